"""Named multipliers with provenance, and multipliers by whatever names them.

Needs NumPy only (the command line, in `catalog.cli`, needs more).
"""

from catalog.catalog import Entry, Family, Figure, entries, entry, families
from catalog.resolve import resolve

__all__ = ["Entry", "Family", "Figure", "entries", "entry", "families", "resolve"]
