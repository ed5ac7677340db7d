"""The truncation- and rounding-based scalable multiplier (TOSAM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import fraction_bits, leading_one, scale_floor
from multipliers.designs.signs import MagnitudeDesign, check_room
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class TruncatedRounded(MagnitudeDesign):
    """Truncation- and rounding-based scalable approximate multiplier, TOSAM(h, t).

    With characteristics ``ka, kb``, mantissas ``X, Y`` in ``[0, 1)`` truncated to ``t`` fraction bits for the sum
    (``Xt``) and to ``h`` bits followed by a 1 for the product (``Xh = (floor(2**h X) + 1/2) / 2**h``),

        f(a, b) = floor(2**(ka + kb) * (1 + Xt + Yt + Xh * Yh))

    and 0 where an operand is 0. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    product_bits : int
        Bits ``h`` of the mantissas in the product, 0 to 15. Label letter ``h``.
    sum_bits : int
        Bits ``t`` of the mantissas in the sum, 0 to ``max(n, m) - 1``. Label letter ``t``.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: two-sided; ``1 + 4**-(h + 1)`` times the product at powers of two large enough not to be cut by the
    floor. The mean error is near zero for large ``t`` only (mean relative error -9.0 % at (0, 2), -0.84 % at (1, 5)).

    Source: S. Vahdat, M. Kamal, A. Afzali-Kusha, M. Pedram, "TOSAM: An Energy-Efficient Truncation- and Rounding-Based
    Scalable Approximate Multiplier", IEEE TVLSI 27(5), 2019.

    Examples
    --------
    >>> m = TruncatedRounded(OperandFormat(8), OperandFormat(8), product_bits=0, sum_bits=3)
    >>> m.name, int(m(3, 3)), int(m(64, 64)), int(m(200, 100))
    ('tosam8u_h0t3', 9, 5120, 18432)
    """

    a: OperandFormat
    b: OperandFormat
    product_bits: int
    sum_bits: int

    family = "tosam"
    letters: ClassVar[dict[str, str]] = {"h": "product_bits", "t": "sum_bits"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("product_bits", 0, 15)
        self._check_parameter("sum_bits", 0, max(self.a.bits, self.b.bits) - 1)

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        h, t = self.product_bits, self.sum_bits
        bits = max(t, 2 * h + 2)
        total = (fraction_bits(a, t) + fraction_bits(b, t)) << (bits - t)
        odd_a, odd_b = (2 * fraction_bits(x, h) + 1 for x in (a, b))
        total = total + (odd_a * odd_b << (bits - (2 * h + 2))) + (1 << bits)
        product = scale_floor(total, leading_one(a) + leading_one(b) - bits)
        return np.where((a == 0) | (b == 0), 0, product)
