"""Recursive multipliers built of small approximate blocks."""

from __future__ import annotations

from dataclasses import dataclass

from multipliers.designs.signs import MagnitudeDesign
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register

_EVEN_BITS = 0x5555_5555_5555_5555


@register
@dataclass(frozen=True)
class Underdesigned(MagnitudeDesign):
    """Recursive multiplier of 2x2 blocks that return ``3 * 3 = 7`` (UDM).

    The block is ``{a1 b1, a1 b0 | a0 b1, a0 b0}``: exact but for ``3 * 3 -> 7``, so that it fits three bits. Larger
    multipliers add the blocks of all pairs of 2-bit digits exactly. With ``T(x) = sum_i [digit_i(x) = 3] * 4**i``,

        f(a, b) = sum_ij block(digit_i(a), digit_j(b)) * 4**(i+j) = a * b - 2 * T(a) * T(b)

    Commutative, zero preserving; the error has rank 1.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.

    Notes
    -----
    Widths that are odd or no power of two are defined by the same digits: the top digit of an odd width is
    zero-extended. Where the width is a power of two this is the published recursion, since all adders are exact.

    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: relative error in ``[-2/9, 0]``, -22.22 % where every non-zero digit of both operands is 3. NMED (over
    ``(2**n - 1) * (2**m - 1)``) is 1/72 = 1.389 % at every even width.

    Source: P. Kulkarni, P. Gupta, M. Ercegovac, "Trading Accuracy for Power with an Underdesigned Multiplier
    Architecture", VLSI Design 2011.

    Examples
    --------
    >>> m = Underdesigned(OperandFormat(8), OperandFormat(8))
    >>> m.name, int(m(3, 3)), int(m(15, 15))
    ('udm8u', 7, 175)
    """

    a: OperandFormat
    b: OperandFormat

    family = "udm"

    def __post_init__(self) -> None:
        self._check_widths()

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        return a * b - 2 * (_threes(a) * _threes(b))


def _threes(x: IntArray) -> IntArray:
    """``sum_i [digit_i(x) = 3] * 4**i`` over the 2-bit digits of ``x >= 0``."""
    return x & (x >> 1) & _EVEN_BITS
