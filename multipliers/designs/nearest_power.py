"""Multipliers that round operands to the nearest power of two: ImpLM (ILM-EA) and RoBA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import nearest_power
from multipliers.designs.signs import ComplementDesign, MagnitudeDesign, check_room
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class ImprovedLogarithmic(MagnitudeDesign):
    """Improved logarithmic multiplier with an exact adder (ImpLM, ILM-EA): residues to the *nearest* power of two.

    With ``k' = floor(log2 x) + 1`` where the bit below the leading one is set and ``floor(log2 x)`` otherwise, and the
    signed residues ``qa = a - 2**ka'``, ``qb = b - 2**kb'``,

        f(a, b) = 2**(ka' + kb') + qa * 2**kb' + qb * 2**ka' = a * b - qa * qb

    and 0 where an operand is 0. Ties go up: ``3 -> 4``. The same function as `RoundingBased` but for the operand 3.
    Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: relative error in ``[-1/9, 1/9]``; exact where an operand is a power of two.

    Source: M. S. Ansari, B. F. Cockburn, J. Han, "An Improved Logarithmic Multiplier for Energy-Efficient Neural
    Computing", IEEE Trans. Computers 70(4), 2021.

    Examples
    --------
    >>> m = ImprovedLogarithmic(OperandFormat(8), OperandFormat(8))
    >>> m.name, int(m(3, 3)), int(m(5, 3))
    ('implm8u', 8, 16)
    """

    a: OperandFormat
    b: OperandFormat

    family = "implm"
    aliases: ClassVar[dict[str, dict[str, int]]] = {"ilmea": {}}

    def __post_init__(self) -> None:
        check_room(self)

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        return a * b - (a - nearest_power(a)) * (b - nearest_power(b))


@register
@dataclass(frozen=True)
class RoundingBased(ComplementDesign):
    """Rounding-based approximate multiplier (RoBA).

    With ``R(x)`` the power of two nearest to ``x``, ties upwards but ``R(3) = 2``, and ``R(0) = 0``,

        f(a, b) = R(a) * b + R(b) * a - R(a) * R(b)

    Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    complement : int or None
        Sign rule, label letter ``c``; None where no operand is signed (*U-RoBA*).

        * 2 (*S-RoBA*): exact two's-complement magnitudes and an exact negation.
        * 1 (*AS-RoBA*): ones' complement of negative operands, and of the product where it is negative. Here -1 has the
          magnitude 0 and a zero operand gives 0 (an interpretation: the text states no zero rule), so that
          ``-1 * b = ~0 = -1`` for ``b > 0`` and ``-1 * b = 0`` for ``b < 0``.

    Notes
    -----
    Error range: for unsigned operands and S-RoBA the relative error is in ``[-1/9, 1/9]``; exact where an operand is a
    power of two. AS-RoBA reaches 100 % for small operands.

    Source: R. Zendegani, M. Kamal, M. Bahadori, A. Afzali-Kusha, M. Pedram, "RoBA Multiplier: A Rounding-Based
    Approximate Multiplier for High-Speed yet Energy-Efficient Digital Signal Processing", IEEE TVLSI 25(2), 2017.

    Examples
    --------
    >>> m = RoundingBased(OperandFormat(8), OperandFormat(8))
    >>> m.name, int(m(3, 3)), int(m(5, 3))
    ('roba8u', 8, 14)
    >>> m = RoundingBased(OperandFormat(8, True), OperandFormat(8, True), complement=1)
    >>> m.name, int(m(-1, 5)), int(m(-6, 6))
    ('roba8s_c1', -1, -33)
    """

    a: OperandFormat
    b: OperandFormat
    complement: int | None = None

    family = "roba"
    letters: ClassVar[dict[str, str]] = {"c": "complement"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_complement()

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        if self.complement != 1:
            return super()._product(a, b)
        product = self._core(*(np.where(x < 0, ~x, x) for x in (a, b)))
        negative = ((a < 0) != (b < 0)) & (a != 0) & (b != 0)
        return np.where(negative, ~product, product)

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        rounded_a, rounded_b = (np.where(x == 3, 2, nearest_power(x)) for x in (a, b))
        return a * b - (a - rounded_a) * (b - rounded_b)
