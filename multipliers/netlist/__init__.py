"""Gate-level circuits: built from named nets, simulated 64 patterns a word, counted, and multipliers made of them."""

from multipliers.netlist.assembly import Cell, Constant, Instance, Module, assemble, flatten
from multipliers.netlist.circuit import Circuit, Gate, Port
from multipliers.netlist.library import Cost, Library, LibraryCell, area, cost
from multipliers.netlist.multiplier import NetlistMultiplier
from multipliers.netlist.simulation import simulate

__all__ = [
    "Cell",
    "Circuit",
    "Constant",
    "Cost",
    "Gate",
    "Instance",
    "Library",
    "LibraryCell",
    "Module",
    "NetlistMultiplier",
    "Port",
    "area",
    "assemble",
    "cost",
    "flatten",
    "simulate",
]
