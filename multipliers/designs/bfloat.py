"""bfloat16 seen as an approximate multiplier of fixed-point operands."""

from __future__ import annotations

from dataclasses import dataclass

from multipliers.bits import keep_leading_bits
from multipliers.designs.signs import MagnitudeDesign
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register

SIGNIFICANT_BITS = 8
"""Of bfloat16: a leading one and seven bits of mantissa."""


@register
@dataclass(frozen=True)
class BfloatTruncation(MagnitudeDesign):
    """Exact product of operands truncated to bfloat16.

    With ``T(x)`` the 8 leading bits of ``x`` (the bits below cleared; ``x < 2**8`` unchanged), which are the
    significand of the bfloat16 number that a truncating conversion makes of it,

        f(a, b) = T(a) T(b)

    The product of two such significands has 16 bits, so a unit that accumulates in float32, as bfloat16 units do, adds
    it without rounding it first. Commutative, zero preserving, and of rank 1. The label's width is that of the
    fixed-point operands: ``bfloat16s`` truncates signed 16-bit ones. `multipliers.floating` has the multiplier of
    floating-point numbers (``e8m7_exact8u``), which truncates its products to bfloat16, too.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs. Up to 8 bits nothing is truncated.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`), as of a number with a sign bit.

    Error range: each operand loses less than 2**-7 = 0.78 % of itself, so the relative error is in
    ``((1 + 2**-7)**-2 - 1, 0] = (-1.54 %, 0]``.

    Source: M. S. Kim, A. A. Del Barrio, H. Kim, N. Bagherzadeh, "The Effects of Approximate Multiplication on
    Convolutional Neural Networks", IEEE Trans. Emerging Topics in Computing 10(2), 2022, which sets the truncation of
    bfloat16 beside logarithmic multipliers. The same function as LOBA0 (DSM) of 8 bits.

    Examples
    --------
    >>> m = BfloatTruncation(OperandFormat(16, True), OperandFormat(16, True))
    >>> m.name, int(m(1000, -1000)), int(m(255, 3))
    ('bfloat16s', -1000000, 765)
    >>> int(m(1001, 1))
    1000
    """

    a: OperandFormat
    b: OperandFormat

    family = "bfloat"

    def __post_init__(self) -> None:
        self._check_widths()

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        return keep_leading_bits(a, SIGNIFICANT_BITS) * keep_leading_bits(b, SIGNIFICANT_BITS)
