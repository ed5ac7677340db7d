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
    Strollo et al., 2022 (ESSM, signed SSM); G. Di Meo et al., 2023 (gESSM).

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


@register
@dataclass(frozen=True)
class CorrectedStaticSegment(Design):
    """Static segment multiplier with the error correction of Strollo et al.: SSM-u2 and SSM-u3.

    With the segments ``S`` of `StaticSegment`, the bits ``a_i`` and ``b_i`` of ``N``-bit operands, ``m = segment_bits``
    and ``l = N - m - 1`` the first bit that the high segment loses,

        f(a, b) = S(a) * S(b) + 4**(N - m) * sum of (b_(N-i) a_l or a_(N-i) b_l) 2**(m-i) over i = 1 .. terms

    where both operands take the high segment, and ``S(a) * S(b)`` elsewhere. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Of one format, up to 31 bits unsigned, 32 bits signed.
    segment_bits : int
        Segment length ``m``, 3 to ``N - 1``. Label letter ``m``.
    terms : int
        2 or 3. Label letter ``u``.

    Notes
    -----
    Sign rule: sign and modulus by ones' complement. A negative operand becomes ``~x``, of ``N = n - 1`` bits, and the
    product ``p`` becomes ``~p`` if the signs differ; an operand 0 counts as positive, so that ``0 * b = -1`` for
    ``b < 0``. (Unsigned: ``N = n``.)

    Error range: two-sided.

    Source: A. G. M. Strollo, E. Napoli, D. De Caro, N. Petra, G. Saggese, G. Di Meo, "Approximate Multipliers Using
    Static Segmentation: Error Analysis and Improvements", IEEE TCAS-I, 2022, and the authors' VHDL.

    Examples
    --------
    >>> m = CorrectedStaticSegment(OperandFormat(8), OperandFormat(8), segment_bits=5, terms=2)
    >>> m.name, int(m(200, 100)), int(m(250, 30)), int(m(255, 255))
    ('cssm8u_m5u2', 20736, 7440, 63040)
    """

    a: OperandFormat
    b: OperandFormat
    segment_bits: int
    terms: int

    family = "cssm"
    letters: ClassVar[dict[str, str]] = {"m": "segment_bits", "u": "terms"}

    def __post_init__(self) -> None:
        check_room(self)
        if self.a != self.b or self._bits < 4:
            raise ParameterError(
                f"{type(self).__name__} is defined for two operands of one format, of at least 4 bits without the "
                f"sign, got {self.a} x {self.b}"
            )
        self._check_parameter("segment_bits", 3, self._bits - 1)
        self._check_parameter("terms", 2, 3)

    @property
    def _bits(self) -> int:
        return self.a.bits - self.a.signed

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        product = self._core(*(np.where(x < 0, ~x, x) for x in (a, b)))
        return np.where((a < 0) != (b < 0), ~product, product)

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        n, m = self._bits, self.segment_bits
        lost = n - m
        high_a, high_b = a >> m != 0, b >> m != 0
        product = np.where(high_a, a >> lost << lost, a) * np.where(high_b, b >> lost << lost, b)
        next_a, next_b = a >> (lost - 1) & 1, b >> (lost - 1) & 1
        correction = np.zeros_like(a)
        for i in range(1, self.terms + 1):
            correction += (b >> (n - i) & next_a | a >> (n - i) & next_b) << (m - i)
        return np.where(high_a & high_b, product + (correction << (2 * lost)), product)
