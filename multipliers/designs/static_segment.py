"""Static segment multipliers: an exact product of one of a few fixed segments of each operand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.designs.signs import check_room
from multipliers.errors import ParameterError
from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class StaticSegment(Design):
    """Static segment multiplier (SSM), and with a third segment the enhanced one (ESSM).

    With ``m = segment_bits`` and ``N`` the width of the operand (``N <= m``: exact),

        S(x) = x                                         where x < 2**m
        S(x) = 2**q * floor(x / 2**q)                    else where x < 2**(m + q)   (only with a middle segment)
        S(x) = 2**(N - m) * floor(x / 2**(N - m))        otherwise
        f(a, b) = S(a) * S(b)

    Commutative where both operands have one format, zero preserving, of rank 1.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    segment_bits : int
        Segment length ``m``, 1 to ``max(n, m)``. Label letter ``m``.
    middle : int or None
        Shift ``q`` of the middle segment, 1 to ``max(n, m) - segment_bits - 1``; None (SSM) for two segments. ESSM has
        ``q = (N - m) / 2``; any other ``q`` is the generalised gESSM. Where ``q >= N - m`` the operand has no middle
        segment. Label letter ``q``.

    Notes
    -----
    Sign rule: native two's complement for SSM (Strollo et al.): the low segment where ``-2**(m-1) <= x < 2**(m-1)``,
    else the high one, rounded towards minus infinity. ESSM: two's-complement magnitude of ``N``-bit words, negated
    exactly if the signs differ.

    Error range: for magnitudes ``S(x) <= x``, relative error in ``(-1, 0]``; 16-bit SSM-8 has -74.9 % at
    ``a = b = 511``. Native SSM errs in both directions.

    Source: S. Narayanamoorthy, H. A. Moghaddam, Z. Liu, T. Park, N. S. Kim, "Energy-Efficient Approximate
    Multiplication for Digital Signal Processing and Classification Applications", IEEE TVLSI 23(6), 2015; A. G. M.
    Strollo et al., 2022 (ESSM without its correction, signed SSM); G. Di Meo et al., 2023 (gESSM).

    Examples
    --------
    >>> m = StaticSegment(OperandFormat(16), OperandFormat(16), segment_bits=8)
    >>> m.name, int(m(1000, 3)), int(m(255, 255))
    ('ssm16u_m8', 2304, 65025)
    >>> m = StaticSegment(OperandFormat(16), OperandFormat(16), segment_bits=8, middle=4)
    >>> m.name, int(m(1000, 3))
    ('ssm16u_m8q4', 2976)
    """

    a: OperandFormat
    b: OperandFormat
    segment_bits: int
    middle: int | None = None

    family = "ssm"
    letters: ClassVar[dict[str, str]] = {"m": "segment_bits", "q": "middle"}

    def __post_init__(self) -> None:
        check_room(self)
        widest = max(self.a.bits, self.b.bits)
        self._check_parameter("segment_bits", 1, widest)
        if self.middle is not None:
            if widest - self.segment_bits < 2:
                raise ParameterError(
                    f"{type(self).__name__}: {self.a} x {self.b} operands have no middle segment of "
                    f"segment_bits={self.segment_bits}; leave middle out"
                )
            self._check_parameter("middle", 1, widest - self.segment_bits - 1)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return self._segment(a, self.a) * self._segment(b, self.b)

    def _segment(self, x: IntArray, form: OperandFormat) -> IntArray:
        m = self.segment_bits
        high = form.bits - m
        if high <= 0:
            return x
        if self.middle is None and form.signed:
            small = (x >= -(1 << (m - 1))) & (x < 1 << (m - 1))
            return np.where(small, x, x >> high << high)
        magnitude = np.abs(x)
        segment = magnitude >> high << high
        if self.middle is not None and self.middle < high:
            segment = np.where(magnitude < 1 << (m + self.middle), magnitude >> self.middle << self.middle, segment)
        return np.sign(x) * np.where(magnitude < 1 << m, magnitude, segment)
