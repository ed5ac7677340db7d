"""Logarithmic multipliers that add a correction to Mitchell's sum of mantissas: MBM and REALM.

For ``x > 0``, ``k(x) = floor(log2 x)`` is the characteristic and ``x / 2**k(x) - 1``, in ``[0, 1)``, the mantissa.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from multipliers.bits import fraction_bits, leading_one, scale_floor
from multipliers.designs.signs import MagnitudeDesign, check_room
from multipliers.errors import ParameterError
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register

_UNIT_BITS = 7
"""Corrections, and their halves, are multiples of ``2**-7``."""


class _Corrected(MagnitudeDesign):
    """What the two designs share: mantissas of ``w = max(n, m) - 1`` fraction bits, shortened by ``dropped_bits``."""

    dropped_bits: int

    @property
    def _fraction_bits(self) -> int:
        return max(self.a.bits, self.b.bits) - 1

    def _mantissa(self, x: IntArray) -> IntArray:
        mantissa = fraction_bits(x, self._fraction_bits)
        t = self.dropped_bits
        return mantissa if t == 0 else (mantissa >> t | 1) << t

    def _antilogarithm(self, a: IntArray, b: IntArray, correction: IntArray | int, *, guarded: bool) -> IntArray:
        """Product of the characteristics and the corrected sum of mantissas; ``correction`` in units of 1/64."""
        bits = self._fraction_bits + _UNIT_BITS
        unit = 1 << self._fraction_bits
        total = (self._mantissa(a) + self._mantissa(b)) << _UNIT_BITS
        carry = total >= 1 << bits
        power = leading_one(a) + leading_one(b)
        corrected = total + np.where(carry, correction, 2 * correction) * unit
        if guarded:
            corrected = np.where(carry & (corrected >= 2 << bits), total, corrected)
        product = np.where(
            carry, scale_floor(corrected, power + 1 - bits), scale_floor(corrected + (1 << bits), power - bits)
        )
        return np.where((a == 0) | (b == 0), 0, product)


@register
@dataclass(frozen=True)
class MinimallyBiased(_Corrected):
    """Minimally biased multiplier (MBM): Mitchell's sum of mantissas plus the constant ``c = 5/64``.

    With characteristics ``ka, kb`` and mantissas ``x, y`` of ``w = max(n, m) - 1`` fraction bits,

        f(a, b) = floor(2**(ka + kb) * (1 + x + y + c))           where x + y < 1
        f(a, b) = floor(2**(ka + kb + 1) * (x + y + c / 2))       where x + y >= 1 and x + y + c / 2 < 2
        f(a, b) = floor(2**(ka + kb + 1) * (x + y))               otherwise

    and 0 where an operand is 0. For ``t = dropped_bits > 0``, the ``t`` last bits of ``x`` and ``y`` are cleared and
    the last bit kept is set. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    dropped_bits : int
        Mantissa bits ``t`` dropped, 0 to ``max(n, m) - 2`` (0 for 1-bit operands), and at most 29, so that products of
        32-bit operands fit int64. Label letter ``t``.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: for ``t = 0`` the relative error is in ``[-7.64, 7.81]`` % where the floor is negligible; small
    products reach -11.11 % (``3 * 3 = 8``).

    Source: H. Saadat, H. Bokhari, S. Parameswaran, "Minimally Biased Multipliers for Approximate Integer and Floating-
    Point Multiplication", IEEE TCAD 37(11), 2018. The guard against ``x + y + c / 2 >= 2`` is that of ApproxTrain.

    Examples
    --------
    >>> m = MinimallyBiased(OperandFormat(8), OperandFormat(8), dropped_bits=0)
    >>> m.name, int(m(3, 3)), int(m(64, 64)), int(m(200, 100))
    ('mbm8u_t0', 8, 4416, 19072)
    """

    a: OperandFormat
    b: OperandFormat
    dropped_bits: int

    family = "mbm"
    letters: ClassVar[dict[str, str]] = {"t": "dropped_bits"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("dropped_bits", 0, min(max(self._fraction_bits - 1, 0), 29))

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        return self._antilogarithm(a, b, 5, guarded=True)


@register
@dataclass(frozen=True)
class ReducedErrorLogarithmic(_Corrected):
    """Reduced-error approximate log-based multiplier (REALM): a correction for each pair of mantissa segments.

    As `MinimallyBiased`, but the constant depends on the segments ``i, j`` of ``[0, 1)``, ``M`` equal ones, that hold
    the mantissas ``x, y`` (their ``log2 M`` leading bits):

        s_ij = I(min(x y, (1 - x) (1 - y)) / ((1 + x) (1 + y))) / I(1 / ((1 + x) (1 + y)))

    with ``I`` the integral over both segments, which makes the mean relative error 0 in each, rounded to the nearest
    1/64 (`correction_table`). No correction is skipped; products are clamped to ``2**(n + m) - 1``. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed; ``max(n, m) > log2 M``.
    segments : int
        Segments ``M`` per mantissa: 4, 8 or 16. Label letter ``m``.
    dropped_bits : int
        Mantissa bits ``t`` dropped, the last bit kept being set, 0 to ``max(n, m) - 2 - log2 M`` (or 0), so that
        the segment does not depend on the set bit. Label letter ``t``.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: relative error within +-7.4 % (M = 4), +-2.1 % (M = 16) where the floor is negligible; small products
    reach -11.11 % (``3 * 3 = 8``).

    Source: H. Saadat, H. Javaid, A. Ignjatovic, S. Parameswaran, "REALM: Reduced-Error Approximate Log-based Integer
    Multiplier", DATE 2020. The clamp is ours: M = 4 exceeds ``2**(n + m)`` by 0.4 % near the largest operands.

    Examples
    --------
    >>> m = ReducedErrorLogarithmic(OperandFormat(8), OperandFormat(8), segments=4, dropped_bits=0)
    >>> m.name, int(m(200, 100)), int(m(255, 255))
    ('realm8u_m4t0', 19584, 65280)
    """

    a: OperandFormat
    b: OperandFormat
    segments: int
    dropped_bits: int

    family = "realm"
    letters: ClassVar[dict[str, str]] = {"m": "segments", "t": "dropped_bits"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("segments", 4, 16)
        if self.segments not in (4, 8, 16):
            raise ParameterError(f"{type(self).__name__}: segments must be 4, 8 or 16, got {self.segments}")
        spare = self._fraction_bits - self._index_bits
        if spare < 0:
            raise ParameterError(
                f"{type(self).__name__}: segments={self.segments} takes mantissas of at least {self._index_bits} bits, "
                f"and {self.a} x {self.b} operands have {self._fraction_bits}; use fewer segments"
            )
        self._check_parameter("dropped_bits", 0, max(spare - 1, 0))

    @property
    def _index_bits(self) -> int:
        return self.segments.bit_length() - 1

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        i, j = (fraction_bits(x, self._index_bits) for x in (np.maximum(a, 1), np.maximum(b, 1)))
        correction = np.array(correction_table(self.segments), dtype=np.int64)[i, j]
        largest = (1 << (self.a.bits + self.b.bits)) - 1
        return np.minimum(self._antilogarithm(a, b, correction, guarded=False), min(largest, (1 << 63) - 1))


@cache
def correction_table(segments: int) -> tuple[tuple[int, ...], ...]:
    """Corrections ``s_ij`` of REALM in units of 1/64, by the segments of the two mantissas.

    Examples
    --------
    >>> correction_table(4)
    ((1, 3, 5, 4), (3, 9, 12, 5), (5, 12, 9, 3), (4, 5, 3, 1))
    """
    rows = [[round(64 * _mean_correction(i, j, segments)) for j in range(segments)] for i in range(segments)]
    return tuple(tuple(row) for row in rows)


def _mean_correction(i: int, j: int, segments: int) -> float:
    """Integral quotient ``s_ij``: the inner integral in closed form, the outer one by Gauss-Legendre quadrature."""
    x0, x1, y0, y1 = (edge / segments for edge in (i, i + 1, j, j + 1))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    x = (x0 + x1) / 2 + nodes / (2 * segments)
    split = np.clip(1 - x, y0, y1)  # below, x y is the smaller; above, (1 - x) (1 - y)
    below = split - y0 - np.log((1 + split) / (1 + y0))
    above = 2 * np.log((1 + y1) / (1 + split)) - (y1 - split)
    numerator = float(np.sum(weights * (x * below + (1 - x) * above) / (1 + x))) / (2 * segments)
    return numerator / float(np.log((1 + x1) / (1 + x0)) * np.log((1 + y1) / (1 + y0)))
