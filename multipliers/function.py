"""Multipliers given by a Python function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from multipliers.errors import ParameterError, TableError
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat


@dataclass(frozen=True)
class CallableMultiplier(Multiplier):
    """A multiplier given by a Python function ``function(a, b)``.

    Parameters
    ----------
    function : callable
        Called with two int64 arrays of one shape if ``vectorised``, else with two Python integers per product.
        It must be a pure function and return whole numbers in the range of int64.
    a, b : OperandFormat
        Formats of the operands.
    vectorised : bool
        Whether the function takes arrays. A scalar function is called once per product.
    name : str
        A label for people; the function's own name by default.

    Raises
    ------
    ParameterError
        If ``function`` cannot be called.
    TableError
        On evaluation, if the function returns anything but whole numbers in the operands' common shape.

    Examples
    --------
    >>> m = CallableMultiplier(lambda a, b: (a * b) & ~1, OperandFormat(8), OperandFormat(8), name="even")
    >>> int(m(3, 5))
    14
    """

    function: Callable[..., object]
    a: OperandFormat
    b: OperandFormat
    vectorised: bool = True
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ParameterError(f"function must be callable as function(a, b), got {self.function!r}")
        if not self.name:
            object.__setattr__(self, "name", getattr(self.function, "__name__", type(self.function).__name__))
        self._check_widths()

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        if self.vectorised:
            result = np.asarray(self.function(a, b))
        else:
            flat = [self.function(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]
            result = np.array(flat, dtype=None if flat else np.int64).reshape(a.shape)
        if result.shape != a.shape:
            raise TableError(
                f"{self.name} returned shape {result.shape} for operands of shape {a.shape}; a vectorised function "
                f"works element by element (pass vectorised=False for a function of two Python integers)"
            )
        if result.dtype.kind == "f":
            whole = np.isfinite(result) & (result == np.rint(result)) & (np.abs(result) < 2.0**63)
            if not whole.all():
                at = tuple(np.argwhere(~whole)[0])
                raise TableError(
                    f"{self.name}({int(a[at])}, {int(b[at])}) = {result[at]}; a multiplier returns whole numbers"
                )
        elif result.dtype.kind not in "iub" or (result.dtype.kind == "u" and result.size and result.max() >= 1 << 63):
            raise TableError(
                f"{self.name} returned {result.dtype} values; a multiplier returns integers in the range of int64"
            )
        return result.astype(np.int64)
