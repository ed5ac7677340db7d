"""Multipliers of significands that floating-point designs are built on: AFM and CFPU.

A significand ``1.x`` of ``F`` mantissa bits is the integer ``2**F + x`` of ``F + 1`` bits, leading one set; other
integers are covered too, by their leading one. `multipliers.floating` adds sign and exponent. The other two cores of
that kind are `Mitchell` (MIT) and `Exact` (truncated, as in bfloat16 units).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import fraction_bits, keep_leading_bits, leading_one
from multipliers.designs.corrected_logarithmic import MinimallyBiased
from multipliers.designs.signs import MagnitudeDesign, check_room
from multipliers.errors import ParameterError
from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class ApproximateFloatMantissa(MagnitudeDesign):
    """Mantissa multiplier of AFM: a minimally biased multiplier (MBM) with as few bits out as in.

    With ``F = max(n, m) - 1`` fraction bits, ``S(x)`` the operand with the last of these bits of its mantissa set, and
    ``T`` the ``F + 1`` leading bits of a number (the bits below cleared),

        f(a, b) = T(floor(mbm(S(a), S(b))))

    where ``mbm`` is `MinimallyBiased` before its floor; 0 where an operand is 0. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 30 bits, one of them at least 2.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: that of MBM, [-7.64, 7.81] %, widened by the bit that is set and by the truncation: relative to the
    product of numbers of unlimited precision, from -8.59 to 9.38 % for F = 7 and from -23.8 to 25 % for F = 3.

    Source: J. Gong, H. Saadat, H. Gamaarachchi, H. Javaid, X. S. Hu, S. Parameswaran, "ApproxTrain: Fast Simulation of
    Approximate Multipliers for DNN Training and Inference", IEEE TCAD 42(11), 2023. Its tables MBM_7, MBM_5, MBM_3 and
    MBM_1 are the products of normalised operands of 8, 6, 4 and 2 bits. Its 32-bit AFM sets no bit: ``mbm24u_t0``.

    Examples
    --------
    >>> m = ApproximateFloatMantissa(OperandFormat(8), OperandFormat(8))
    >>> m.name, int(m(128, 128)), int(m(192, 192))
    ('afm8u', 17920, 34560)
    """

    a: OperandFormat
    b: OperandFormat

    family = "afm"

    def __post_init__(self) -> None:
        bits = max(self.a.bits, self.b.bits)
        if not 2 <= bits < MAX_BITS - 1:
            raise ParameterError(
                f"{type(self).__name__}: the wider operand must have 2 to {MAX_BITS - 2} bits (a leading one and a "
                f"mantissa, with room for one bit more), got {self.a} x {self.b}"
            )

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        bits = max(self.a.bits, self.b.bits)
        wider = OperandFormat(bits + 1)
        # one more mantissa bit, dropped: the bit above it is then the last of the F kept, and set
        product = MinimallyBiased(wider, wider, dropped_bits=1)(2 * a, 2 * b) >> 2
        return keep_leading_bits(product, bits)


@register
@dataclass(frozen=True)
class DiscardedMantissa(MagnitudeDesign):
    """Mantissa multiplier of CFPU: the mantissa of ``b`` is discarded where it is nearly 1 or nearly 2.

    With ``kb`` the characteristic of ``b`` and ``t`` the first ``N`` bits of its mantissa (zeros follow a shorter one),

        f(a, b) = a * 2**kb          where t = 00...0
        f(a, b) = a * 2**(kb + 1)    where t = 11...1
        f(a, b) = a * b              otherwise

    and 0 where an operand is 0: ``a`` times a function of ``b`` alone, of rank 1. Asymmetric.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    tuning_bits : int
        Bits ``N`` that are examined, 1 to ``m - 1`` for ``m`` bits of ``b``; the more, the more accurate. With 1
        no product is exact but by chance. Label letter ``n``.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: relative error from ``1 / (1 + 2**-N) - 1`` (exclusive) to ``1 / (1 - 2**-(N + 1)) - 1``;
    ``1 - 2**(1 - N)`` of all mantissas of ``b`` give exact products.

    Source: M. Imani, D. Peroni, T. Rosing, "CFPU: Configurable Floating Point Multiplier for Energy-Efficient
    Computing", DAC 2017. **An interpretation**: from a summary of the text, checked against no table, code or figure of
    the authors. In particular, that only the mantissa of ``b`` is examined is our reading.

    Examples
    --------
    >>> m = DiscardedMantissa(OperandFormat(8), OperandFormat(8), tuning_bits=2)
    >>> m.name, int(m(200, 140)), int(m(200, 250)), int(m(200, 180))
    ('cfpu8u_n2', 25600, 51200, 36000)
    """

    a: OperandFormat
    b: OperandFormat
    tuning_bits: int

    family = "cfpu"
    letters: ClassVar[dict[str, str]] = {"n": "tuning_bits"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("tuning_bits", 1, max(self.b.bits - 1, 1))

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        first = fraction_bits(np.maximum(b, 1), self.tuning_bits)
        power = leading_one(b)
        product = np.where(first == 0, a << power, a * b)
        product = np.where(first == (1 << self.tuning_bits) - 1, a << (power + 1), product)
        return np.where(b == 0, 0, product)
