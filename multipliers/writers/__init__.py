"""Writers of foreign formats: each file stores a multiplier as other tools, or our own readers, read it."""
