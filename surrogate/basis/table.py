"""An arbitrary function of one operand, by its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from multipliers.operands import IntArray, OperandFormat
from surrogate.basis.base import BasisFunction, FactorArray, read_values, register
from surrogate.errors import SurrogateError


@register
@dataclass(frozen=True, eq=False)
class Table(BasisFunction):
    """An arbitrary function, by its values in natural order.

    Parameters
    ----------
    operand : OperandFormat
        The format that it is defined on.
    values : array_like, shape (2**bits,)
        Integers in the range of int64, or finite floats.

    Raises
    ------
    SurrogateError
        If the length is not ``2**bits``, or a value is not finite or does not fit.
    """

    operand: OperandFormat
    values: FactorArray
    kind = "table"

    def __init__(self, operand: OperandFormat, values: ArrayLike) -> None:
        array = np.array(values)
        if array.dtype.kind == "f" and not isinstance(values, np.ndarray):
            objects = np.array(values, dtype=object)  # NumPy makes floats of integers from 2**63 on
            array = objects if all(isinstance(v, int | np.integer) for v in objects.flat) else array
        if array.dtype.kind in "iu" and (array.dtype.kind == "i" or array.size == 0 or array.max() < 1 << 63):
            array = array.astype(np.int64)
        elif array.dtype.kind == "f" and np.isfinite(array).all():
            array = array.astype(np.float64) + 0.0  # no -0.0: equal tables have equal bytes
        else:
            raise SurrogateError(f"table: values must be int64 integers or finite floats, got {array.dtype} values")
        if array.shape != (operand.size,):
            raise SurrogateError(f"table: {operand} needs {operand.size} values, got an array of shape {array.shape}")
        array.setflags(write=False)
        object.__setattr__(self, "operand", operand)
        object.__setattr__(self, "values", array)

    def __call__(self, x: IntArray) -> FactorArray:
        return self.values[x - self.operand.minimum]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Table)
            and self.operand == other.operand
            and self.is_integer == other.is_integer
            and np.array_equal(self.values, other.values)
        )

    def __hash__(self) -> int:
        return hash((self.operand, self.values.tobytes()))

    def __repr__(self) -> str:
        return f"Table({self.operand!r}, {self.values.tolist()!r})"

    @property
    def is_integer(self) -> bool:
        return self.values.dtype.kind == "i"

    def largest(self, operand: OperandFormat) -> float:
        bounds = self.values.min(), self.values.max()
        return max(abs(int(v) if self.is_integer else float(v)) for v in bounds)

    def check(self, operand: OperandFormat) -> None:
        if operand != self.operand:
            raise SurrogateError(f"table: defined on {self.operand}, used on an operand of format {operand}")

    def formula(self, variable: str) -> str:
        return f"table({variable})"

    def configuration(self) -> dict[str, Any]:
        kind = "integer" if self.is_integer else "float"
        return {"operand": self.operand.label, "type": kind, "values": self.values.tolist()}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Table:
        if set(configuration) != {"operand", "type", "values"}:
            raise SurrogateError(f"table: configured by operand, type and values, got {sorted(configuration)}")
        values = read_values(cls.kind, configuration["type"], configuration["values"])
        return cls(OperandFormat.parse(configuration["operand"]), values)
