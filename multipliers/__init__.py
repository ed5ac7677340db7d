"""Bit-accurate models of approximate multipliers, and what can be said of a multiplier by itself.

Needs NumPy only (plots: matplotlib).
"""

from multipliers import designs as _designs  # registers the families
from multipliers.errors import (
    OperandRangeError,
    OperandTypeError,
    ParameterError,
    TableError,
    TableTooLargeError,
    UnknownNameError,
)
from multipliers.function import CallableMultiplier
from multipliers.multiplier import Design, Multiplier
from multipliers.operands import OperandFormat
from multipliers.registry import create, families, get, register
from multipliers.table import TableMultiplier

__all__ = [
    "CallableMultiplier",
    "Design",
    "Multiplier",
    "OperandFormat",
    "OperandRangeError",
    "OperandTypeError",
    "ParameterError",
    "TableError",
    "TableMultiplier",
    "TableTooLargeError",
    "UnknownNameError",
    "create",
    "families",
    "get",
    "register",
]
del _designs
