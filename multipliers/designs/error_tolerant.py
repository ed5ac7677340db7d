"""The error-tolerant multiplier (ETM)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.bits import leading_one
from multipliers.designs.signs import MagnitudeDesign, check_room
from multipliers.errors import ParameterError
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class ErrorTolerant(MagnitudeDesign):
    """Error-tolerant multiplier (ETM): exact high halves, and ones from the leading one of the low halves down.

    With ``h = n / 2``, high and low halves ``a = 2**h * AH + AL``, ``b = 2**h * BH + BL``, and
    ``j = floor(log2(AL or BL))``,

        f(a, b) = AL * BL                                      where AH = BH = 0
        f(a, b) = 2**n * AH * BH + 2**(h + j + 1) - 1          otherwise; the last terms 0 where AL = BL = 0

    The cross terms ``AH * BL`` and ``AL * BH`` are dropped. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        One even width ``n``, up to 30 bits unsigned, 32 bits signed.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`), in words of ``n`` bits. An operand 0 counts as positive,
    and its product is 0 only where the other operand is below ``2**h`` or a multiple of it.

    Error range: exact for operands below ``2**h``; two-sided.

    Source: K. Y. Kyaw, W. L. Goh, K. S. Yeo, "Low-Power High-Speed Multiplier for Error-Tolerant Application", EDSSC
    2010. The family is named after its first author.

    Examples
    --------
    >>> m = ErrorTolerant(OperandFormat(8), OperandFormat(8))
    >>> m.name, int(m(15, 15)), int(m(200, 100)), int(m(32, 48))
    ('etm8u', 225, 18687, 1536)
    """

    a: OperandFormat
    b: OperandFormat

    family = "etm"

    def __post_init__(self) -> None:
        check_room(self)
        if self.a.bits != self.b.bits or self.a.bits % 2:
            raise ParameterError(
                f"{type(self).__name__} is defined for two operands of one even width, got {self.a} x {self.b}"
            )

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        half = self.a.bits // 2
        mask = (1 << half) - 1
        high_a, high_b, low_a, low_b = a >> half, b >> half, a & mask, b & mask
        seen = low_a | low_b
        ones = np.where(seen == 0, 0, (np.int64(1) << (half + leading_one(seen) + 1)) - 1)
        return np.where((high_a | high_b) == 0, low_a * low_b, ((high_a * high_b) << (2 * half)) + ones)
