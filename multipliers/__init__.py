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
from multipliers.metrics import ErrorMetrics, error_metrics
from multipliers.multiplier import Design, Multiplier
from multipliers.operands import OperandFormat
from multipliers.readers.arrays import read_array
from multipliers.registry import create, families, get, register
from multipliers.table import TableMultiplier
from multipliers.writers.arrays import write_npz

__all__ = [
    "CallableMultiplier",
    "Design",
    "ErrorMetrics",
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
    "error_metrics",
    "families",
    "get",
    "read_array",
    "register",
    "write_npz",
]
del _designs
