"""Approximate layers: drop-in subclasses of torch's own, and what their shapes need."""
