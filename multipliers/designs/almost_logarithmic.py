"""Logarithmic multipliers with approximate mantissas: approximate adders (ALM), and short unbiased mantissas (DR-ALM).

For ``x > 0``, ``k(x) = floor(log2 x)`` is the characteristic, and the mantissa in ``w`` fraction bits is
``X = floor((x / 2**k(x) - 1) * 2**w)``.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import antilogarithm, fraction_bits
from multipliers.designs.signs import ComplementDesign, check_room
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


class _ApproximateAdder(ComplementDesign):
    """Mitchell's multiplier whose mantissa adder is approximate in its low bits."""

    approximate_bits: int

    def _check(self) -> None:
        check_room(self)
        self._check_parameter("approximate_bits", 0, self._fraction_bits)
        self._check_complement()

    @property
    def _fraction_bits(self) -> int:
        return max(self.a.bits, self.b.bits) - 1

    @abstractmethod
    def _low_sum(self, x: IntArray, y: IntArray) -> IntArray:
        """Return the low ``m = approximate_bits > 0`` bits of the sum of two mantissas, and the carry as bit ``m``."""

    def _generated_carry(self, x: IntArray, y: IntArray) -> IntArray:
        """Carry into bit ``m``: whether both bits ``m - 1`` are 1, at its place."""
        return (x & y) >> (self.approximate_bits - 1) << self.approximate_bits & 1 << self.approximate_bits

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        x, y = (fraction_bits(v, self._fraction_bits) for v in (a, b))
        m = self.approximate_bits
        if m == 0:
            return antilogarithm(a, b, x + y, self._fraction_bits)
        total = (((x >> m) + (y >> m)) << m) + self._low_sum(x, y)
        return antilogarithm(a, b, total, self._fraction_bits)


@register
@dataclass(frozen=True)
class AlmostLogarithmicLOA(_ApproximateAdder):
    """Approximate logarithmic multiplier with a lower-part-or adder (ALM-LOA).

    Mitchell's multiplier with mantissas ``X, Y`` of ``w = max(n, m) - 1`` fraction bits, added as

        S = 2**m * (floor(X / 2**m) + floor(Y / 2**m) + c) + ((X or Y) mod 2**m)     c = X[m-1] and Y[m-1]
        f(a, b) = floor(2**(ka + kb) * (1 + S / 2**w))        where S < 2**w
        f(a, b) = floor(2**(ka + kb + 1) * S / 2**w)          otherwise

    with ``m = approximate_bits``, bitwise *or* in the low part and no ``c`` for ``m = 0``; 0 where an operand is 0.
    Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    approximate_bits : int
        Low bits ``m`` of the mantissa adder, 0 (Mitchell) to ``w``. Label letter ``m``.
    complement : int or None
        Sign rule (`ComplementDesign`), 1 (as published) or 2; None where no operand is signed. Label letter ``c``.

    Notes
    -----
    Error range: the mantissa sum errs by at most ``2**(m-1)`` units of ``2**-w`` in magnitude; two-sided in general.

    Source: W. Liu, J. Xu, D. Wang, C. Wang, P. Montuschi, F. Lombardi, "Design and Evaluation of Approximate
    Logarithmic Multipliers for Low Power Error-Tolerant Applications", IEEE TCAS-I 65(9), 2018.

    Examples
    --------
    >>> m = AlmostLogarithmicLOA(OperandFormat(8), OperandFormat(8), approximate_bits=5)
    >>> m.name, int(m(200, 100))
    ('almloa8u_m5', 17408)
    """

    a: OperandFormat
    b: OperandFormat
    approximate_bits: int
    complement: int | None = None

    family = "almloa"
    letters: ClassVar[dict[str, str]] = {"m": "approximate_bits", "c": "complement"}

    def __post_init__(self) -> None:
        self._check()

    def _low_sum(self, x: IntArray, y: IntArray) -> IntArray:
        return (x | y) & ((1 << self.approximate_bits) - 1) | self._generated_carry(x, y)


@register
@dataclass(frozen=True)
class AlmostLogarithmicSOA(_ApproximateAdder):
    """Approximate logarithmic multiplier with a set-one adder (ALM-SOA).

    As `AlmostLogarithmicLOA`, but the low ``m`` bits of the mantissa sum are all 1:

        S = 2**m * (floor(X / 2**m) + floor(Y / 2**m) + c) + 2**m - 1     c = X[m-1] and Y[m-1]

    Commutative; not exact at powers of two.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    approximate_bits : int
        Low bits ``m`` of the mantissa adder, 0 (Mitchell) to ``max(n, m) - 1``. Label letter ``m``.
    complement : int or None
        Sign rule (`ComplementDesign`), 1 (as published) or 2; None where no operand is signed. Label letter ``c``.

    Notes
    -----
    Error range: the mantissa sum errs by less than ``2**m`` units of ``2**-w``, mostly upwards, which works against
    Mitchell's negative error: two-sided.

    Source: W. Liu, J. Xu, D. Wang, C. Wang, P. Montuschi, F. Lombardi, "Design and Evaluation of Approximate
    Logarithmic Multipliers for Low Power Error-Tolerant Applications", IEEE TCAS-I 65(9), 2018.

    Examples
    --------
    >>> m = AlmostLogarithmicSOA(OperandFormat(8), OperandFormat(8), approximate_bits=5)
    >>> m.name, int(m(200, 100)), int(m(64, 64))
    ('almsoa8u_m5', 20352, 5088)
    """

    a: OperandFormat
    b: OperandFormat
    approximate_bits: int
    complement: int | None = None

    family = "almsoa"
    letters: ClassVar[dict[str, str]] = {"m": "approximate_bits", "c": "complement"}

    def __post_init__(self) -> None:
        self._check()

    def _low_sum(self, x: IntArray, y: IntArray) -> IntArray:
        return self._generated_carry(x, y) | ((1 << self.approximate_bits) - 1)


@register
@dataclass(frozen=True)
class AlmostLogarithmicMAA3(_ApproximateAdder):
    """Approximate logarithmic multiplier with approximate mirror adders of the third kind (ALM-MAA3).

    As `AlmostLogarithmicLOA`, but the low ``m`` bits of the mantissas ``X`` and ``Y`` ripple through cells

        carry_(i+1) = Y[i] or (X[i] and carry_i)      sum_i = not carry_(i+1)      carry_0 = 0

    and ``c = carry_m``. The cell is an interpretation, from the text of the paper. Not commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed. ``X`` is the mantissa of ``a``.
    approximate_bits : int
        Low bits ``m`` of the mantissa adder, 0 (Mitchell) to ``max(n, m) - 1``. Label letter ``m``.
    complement : int or None
        Sign rule (`ComplementDesign`), 1 (as published) or 2; None where no operand is signed. Label letter ``c``.

    Notes
    -----
    Error range: the mantissa sum errs by less than ``2**(m+1)`` units of ``2**-w``: two-sided; not exact at powers of
    two.

    Source: W. Liu, J. Xu, D. Wang, C. Wang, P. Montuschi, F. Lombardi, "Design and Evaluation of Approximate
    Logarithmic Multipliers for Low Power Error-Tolerant Applications", IEEE TCAS-I 65(9), 2018.

    Examples
    --------
    >>> m = AlmostLogarithmicMAA3(OperandFormat(8), OperandFormat(8), approximate_bits=5)
    >>> m.name, int(m(200, 100)), int(m(9, 1)), int(m(1, 9))
    ('almmaa8u_m5', 19328, 9, 10)
    """

    a: OperandFormat
    b: OperandFormat
    approximate_bits: int
    complement: int | None = None

    family = "almmaa"
    letters: ClassVar[dict[str, str]] = {"m": "approximate_bits", "c": "complement"}

    def __post_init__(self) -> None:
        self._check()

    def _low_sum(self, x: IntArray, y: IntArray) -> IntArray:
        carry, total = np.zeros_like(x), np.zeros_like(x)
        for i in range(self.approximate_bits):
            carry = y >> i & 1 | x >> i & carry
            total |= (1 - carry) << i
        return total | carry << self.approximate_bits


@register
@dataclass(frozen=True)
class DynamicRangeLogarithmic(ComplementDesign):
    """Dynamic-range approximate logarithmic multiplier (DR-ALM): short mantissas whose last bit is 1.

    With the mantissas ``X, Y`` truncated to ``w = t - 1`` fraction bits and their last bits set,

        S = (X or 1) + (Y or 1) + 1
        f(a, b) = floor(2**(ka + kb) * (1 + S / 2**w))        where S < 2**w
        f(a, b) = floor(2**(ka + kb + 1) * S / 2**w)          otherwise

    and 0 where an operand is 0. Commutative; small operands are not exact either.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    kept_bits : int
        Leading bits ``t`` kept, counting the leading one, 3 to 32. Label letter ``t``.
    complement : int or None
        Sign rule (`ComplementDesign`), 1 (as published) or 2; None where no operand is signed. Label letter ``c``.

    Notes
    -----
    Error range: two-sided; ``1 + 3 / 2**w`` times the product at powers of two that are large enough not to be cut by
    the floor.

    Source: P. Yin, C. Wang, H. Waris, W. Liu, Y. Han, F. Lombardi, "Design and Analysis of Energy-Efficient Dynamic
    Range Approximate Logarithmic Multipliers for Machine Learning", IEEE Trans. Sustainable Computing 6(4), 2021.

    Examples
    --------
    >>> m = DynamicRangeLogarithmic(OperandFormat(8), OperandFormat(8), kept_bits=4)
    >>> m.name, int(m(200, 100)), int(m(64, 64))
    ('dralm8u_t4', 22528, 5632)
    """

    a: OperandFormat
    b: OperandFormat
    kept_bits: int
    complement: int | None = None

    family = "dralm"
    letters: ClassVar[dict[str, str]] = {"t": "kept_bits", "c": "complement"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("kept_bits", 3, 32)
        self._check_complement()

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        w = self.kept_bits - 1
        return antilogarithm(a, b, (fraction_bits(a, w) | 1) + (fraction_bits(b, w) | 1) + 1, w)
