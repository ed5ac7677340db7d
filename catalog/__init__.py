"""Named multipliers with provenance, and multipliers by whatever names them.

Needs NumPy only (the command line, in `catalog.cli`, needs more).
"""

from catalog.catalog import Entry, Family, Figure, entries, entry, families
from catalog.circuit import Circuit
from catalog.frame import dataframe
from catalog.measured import circuits
from catalog.pareto import pareto_front
from catalog.query import search
from catalog.resolve import resolve
from catalog.shipped import surrogate, surrogates
from catalog.sweep import Sweep, sweep

__all__ = [
    "Circuit",
    "Entry",
    "Family",
    "Figure",
    "Sweep",
    "circuits",
    "dataframe",
    "entries",
    "entry",
    "families",
    "pareto_front",
    "resolve",
    "search",
    "surrogate",
    "surrogates",
    "sweep",
]
