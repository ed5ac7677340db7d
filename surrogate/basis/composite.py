"""Functions made of others: on the magnitude with the sign restored, within a window of magnitudes, and sums.

They nest in this order only: a sum of windows of odd functions of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from surrogate.basis.base import BasisFunction, FactorArray, check_int, from_dict, register
from surrogate.basis.table import Table
from surrogate.errors import SurrogateError

MAX_PARTS = 256
"""Most functions that a `Sum` adds up."""


@register
@dataclass(frozen=True)
class Odd(BasisFunction):
    """``g(abs(x))``, negated where ``x < 0``: for designs that multiply magnitudes and restore the sign.

    Examples
    --------
    >>> from surrogate.basis import Mod
    >>> Odd(Mod(2))(np.array([-5, -1, 5]))
    array([-1, -1,  1])
    """

    function: BasisFunction
    kind = "odd"
    since = 2

    def __post_init__(self) -> None:
        if not isinstance(self.function, BasisFunction) or isinstance(self.function, Odd | Window | Sum | Table):
            raise SurrogateError(f"{self.kind}: function must be a plain basis function, got {self.function!r:.80}")

    @property
    def components(self) -> tuple[BasisFunction, ...]:
        return (self, *self.function.components)

    def __call__(self, x: IntArray) -> IntArray:
        value = self.function(np.abs(x))
        return np.where(x < 0, -value, value)

    def largest(self, operand: OperandFormat) -> float:
        return self.function.largest(OperandFormat(operand.bits))

    def formula(self, variable: str) -> str:
        inner = self.function.formula(f"|{variable}|")
        return f"sgn({variable})" if inner == "1" else f"sgn({variable}) {inner}"

    def configuration(self) -> dict[str, Any]:
        return {"function": self.function.to_dict()}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Odd:
        if set(configuration) != {"function"}:
            raise SurrogateError(f"{cls.kind}: configured by function, got {sorted(configuration)}")
        return cls(from_dict(configuration["function"], excluded=_COMPOSITES))


@register
@dataclass(frozen=True)
class Window(BasisFunction):
    """``g(x)`` where ``2**low <= abs(x) < 2**high``, else 0; ``low`` None means from 0 on, ``high`` None without end.

    Examples
    --------
    >>> from surrogate.basis import Identity
    >>> Window(Identity(), low=2, high=3)(np.array([3, -4, 7, 8]))
    array([ 0, -4,  7,  0])
    """

    function: BasisFunction
    low: int | None = None
    high: int | None = None
    kind = "window"
    since = 2

    def __post_init__(self) -> None:
        if not isinstance(self.function, BasisFunction) or isinstance(self.function, Window | Sum | Table):
            raise SurrogateError(f"{self.kind}: function must be a plain or odd function, got {self.function!r:.80}")
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                check_int(self.kind, name, getattr(self, name), 0, MAX_BITS)
        if self.low is None and self.high is None:
            raise SurrogateError(f"{self.kind}: low or high must be given")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise SurrogateError(f"{self.kind}: low must be below high, got {self.low} and {self.high}")

    @property
    def components(self) -> tuple[BasisFunction, ...]:
        return (self, *self.function.components)

    def __call__(self, x: IntArray) -> FactorArray:
        magnitude = np.abs(x)
        inside = magnitude >= (0 if self.low is None else 1 << self.low)
        if self.high is not None:
            inside &= magnitude < 1 << self.high
        value = self.function(x)
        return np.where(inside, value, np.zeros_like(value))

    def largest(self, operand: OperandFormat) -> float:
        return self.function.largest(operand)

    def formula(self, variable: str) -> str:
        above = "" if self.low is None else f"{1 << self.low} <= "
        below = "" if self.high is None else f" < {1 << self.high}"
        return f"{self.function.formula(variable)} [{above}|{variable}|{below}]"

    def configuration(self) -> dict[str, Any]:
        return {"function": self.function.to_dict(), "low": self.low, "high": self.high}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Window:
        if set(configuration) != {"function", "low", "high"}:
            raise SurrogateError(f"{cls.kind}: configured by function, low and high, got {sorted(configuration)}")
        inner = from_dict(configuration["function"], excluded=(Window.kind, Sum.kind, Table.kind))
        return cls(inner, configuration["low"], configuration["high"])


@register
@dataclass(frozen=True)
class Sum(BasisFunction):
    """``sum_i c_i g_i(x)`` with integer coefficients: a short combination of other functions.

    Parameters
    ----------
    parts : sequence of (int, BasisFunction)
        At least one, at most `MAX_PARTS`; no sums, no tables.

    Examples
    --------
    >>> from surrogate.basis import Bit, Identity
    >>> Sum([(1, Identity()), (-2, Bit(1))]).formula("a")
    '(a - 2 bit_1(a))'
    """

    parts: tuple[tuple[int, BasisFunction], ...]
    kind = "sum"
    since = 2

    def __init__(self, parts: Sequence[tuple[int, BasisFunction]]) -> None:
        object.__setattr__(self, "parts", tuple((c, g) for c, g in parts))
        if not 1 <= len(self.parts) <= MAX_PARTS:
            raise SurrogateError(f"{self.kind}: needs 1 to {MAX_PARTS} parts, got {len(self.parts)}")
        for coefficient, function in self.parts:
            check_int(self.kind, "coefficient", coefficient, -(1 << 62), 1 << 62)
            if not isinstance(function, BasisFunction) or isinstance(function, Sum | Table):
                raise SurrogateError(f"{self.kind}: a part must be no sum and no table, got {function!r:.80}")

    @property
    def components(self) -> tuple[BasisFunction, ...]:
        return (self, *(inner for _, function in self.parts for inner in function.components))

    def __call__(self, x: IntArray) -> FactorArray:
        total: FactorArray = np.zeros_like(x)
        for coefficient, function in self.parts:
            total = total + coefficient * function(x)
        return total

    def check(self, operand: OperandFormat) -> None:
        if not self.largest(operand) < 1 << 63:
            raise SurrogateError(f"{self.kind}: could exceed int64 on {operand}")

    def largest(self, operand: OperandFormat) -> float:
        return sum(abs(coefficient) * function.largest(operand) for coefficient, function in self.parts)

    def formula(self, variable: str) -> str:
        text = ""
        for coefficient, function in self.parts:
            name = function.formula(variable)
            size = "" if abs(coefficient) == 1 and name != "1" else f"{abs(coefficient)}"
            word = size if name == "1" else f"{size} {name}".strip()
            text += (" - " if coefficient < 0 else " + ") + word
        return "(" + (text[3:] if text.startswith(" + ") else "-" + text[3:]) + ")"

    def configuration(self) -> dict[str, Any]:
        return {"parts": [{"coefficient": c, "function": g.to_dict()} for c, g in self.parts]}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Sum:
        parts = configuration.get("parts")
        if set(configuration) != {"parts"} or not isinstance(parts, list):
            raise SurrogateError(f"{cls.kind}: configured by a list of parts, got {sorted(configuration)}")
        for part in parts:
            if not isinstance(part, Mapping) or set(part) != {"coefficient", "function"}:
                raise SurrogateError(f"{cls.kind}: a part is stored as {{'coefficient': ..., 'function': {{...}}}}")
        return cls([(p["coefficient"], from_dict(p["function"], excluded=(Sum.kind, Table.kind))) for p in parts])


_COMPOSITES = (Odd.kind, Window.kind, Sum.kind, Table.kind)
