"""Truncation of both operands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class Truncation(Design):
    """Exact product of operands whose low bits are cleared.

    With ``t = low_bits``,

        f(a, b) = (2**t * floor(a / 2**t)) * (2**t * floor(b / 2**t))

    Commutative, zero preserving, and of rank 1: one product of two transformed operands.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.
    low_bits : int
        Bits cleared in each operand, 0 to ``min(n, m) - 1``. Label letter ``t``.

    Notes
    -----
    Sign rule: native two's complement. Clearing bits rounds a negative operand away from zero (the floor), so the
    design is not odd in its operands.

    Error range: unsigned ``f <= a * b`` and relative error in ``[-1, 0]``, -1 where a non-zero operand is below
    ``2**t``; worst case ``(2**t - 1) * (2**n + 2**m - 2**t - 1)``. With a signed operand the error has both signs.

    Source: the *truncated multiplier* of EvoApproxLib (Mrazek, Hrbacek, Vasicek, Sekanina, "EvoApprox8b", DATE 2017).

    Examples
    --------
    >>> m = Truncation(OperandFormat(8), OperandFormat(8), low_bits=3)
    >>> m.name, int(m(15, 17))
    ('trunc8u_t3', 128)
    """

    a: OperandFormat
    b: OperandFormat
    low_bits: int

    family = "trunc"
    letters: ClassVar[dict[str, str]] = {"t": "low_bits"}

    def __post_init__(self) -> None:
        self._check_widths()
        self._check_parameter("low_bits", 0, min(self.a.bits, self.b.bits) - 1)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        keep = ~((1 << self.low_bits) - 1)
        return (a & keep) * (b & keep)
