"""Gate-level circuits: built from named nets, simulated 64 patterns a word, and multipliers made of them."""

from multipliers.netlist.assembly import Cell, Constant, Instance, Module, assemble, flatten
from multipliers.netlist.circuit import Circuit, Gate, Port
from multipliers.netlist.multiplier import NetlistMultiplier
from multipliers.netlist.simulation import simulate

__all__ = [
    "Cell",
    "Circuit",
    "Constant",
    "Gate",
    "Instance",
    "Module",
    "NetlistMultiplier",
    "Port",
    "assemble",
    "flatten",
    "simulate",
]
