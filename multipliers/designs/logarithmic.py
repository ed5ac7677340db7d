"""Logarithmic multipliers: a sum of approximate logarithms in place of a product.

For ``x > 0``, ``k(x) = floor(log2 x)`` is the characteristic, ``r(x) = x - 2**k(x)`` the residue and
``r(x) / 2**k(x)``, in ``[0, 1)``, the mantissa.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import antilogarithm, fraction_bits, keep_leading_bits, leading_one
from multipliers.designs.signs import ComplementDesign, MagnitudeDesign, check_room
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class Mitchell(MagnitudeDesign):
    """Mitchell's logarithmic multiplier: mantissas add where ``log2(1 + x)`` is taken as ``x``.

    With characteristics ``ka, kb`` and residues ``ra, rb``,

        t = ra * 2**kb + rb * 2**ka
        f(a, b) = 2**(ka + kb) + t     where t < 2**(ka + kb)
        f(a, b) = 2 * t                otherwise

    and 0 where an operand is 0. Exact in integers, no rounding; commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: relative error in ``[-1/9, 0]``; exact where an operand is a power of two; -11.11 % where both
    mantissas are 1/2.

    Source: J. N. Mitchell, "Computer Multiplication and Division Using Binary Logarithms", IRE Trans. Electronic
    Computers EC-11(4), 1962.

    Examples
    --------
    >>> m = Mitchell(OperandFormat(8), OperandFormat(8))
    >>> m.name, int(m(3, 3)), int(m(200, 100))
    ('mitchell8u', 8, 18432)
    """

    a: OperandFormat
    b: OperandFormat

    family = "mitchell"

    def __post_init__(self) -> None:
        self._check_widths()

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        return logarithmic_product(a, b)


@register
@dataclass(frozen=True)
class TruncatedMitchell(ComplementDesign):
    """Mitchell's multiplier on the ``w`` leading bits of each operand (Mitch-w).

    With ``T(x)`` the ``w`` leading bits of ``x`` (the bits below cleared; ``x < 2**w`` unchanged),

        f(a, b) = mitchell(T(a), T(b))

    which is the published form with ``w - 1`` truncated fraction bits and a floor. Nothing compensates for the
    truncation. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.
    kept_bits : int
        Leading bits kept, ``w``, 1 to ``max(n, m)``. ``w`` counts the leading one: the generic of the authors'
        Verilog is ``w - 1``, that of their VHDL is ``w``. Label letter ``w``.
    complement : int or None
        Sign rule, label letter ``c``; required where an operand is signed, and absent (None) where none is.

        * 1, as published (*C1*): a negative operand is replaced by its ones' complement ``~x``, and the product ``p``
          by ``~p`` if signs differ. The product is 0 only where an *original* operand is 0; the magnitude 0 of the
          operand -1 acts as 1.
        * 2 (*C2*): exact two's-complement magnitudes and an exact negation, as `MagnitudeDesign`.

    Notes
    -----
    Error range: for unsigned operands and *C2*, the relative error is in ``(8/9 * (1 + 2**(1-w))**-2 - 1, 0]``. Under
    *C1* the product of -1 and 1 is -2, and that of -2 and ``b > 0`` is ``~T(b)``: relative errors reach 100 % for
    small operands, and vanish with the width.

    Source: M. S. Kim, A. A. Del Barrio, L. T. Oliveira, R. Hermida, N. Bagherzadeh, "Efficient Mitchell's
    Approximate Log Multipliers for Convolutional Neural Networks", IEEE Trans. Computers 68(5), 2019.

    Examples
    --------
    >>> m = TruncatedMitchell(OperandFormat(16, True), OperandFormat(16, True), kept_bits=6, complement=1)
    >>> m.name, int(m(-1, 1)), int(m(-1, -1)), int(m(-2, 5))
    ('mitchw16s_w6c1', -2, 1, -6)
    >>> TruncatedMitchell(OperandFormat(16), OperandFormat(16), kept_bits=6).name
    'mitchw16u_w6'
    """

    a: OperandFormat
    b: OperandFormat
    kept_bits: int
    complement: int | None = None

    family = "mitchw"
    letters: ClassVar[dict[str, str]] = {"w": "kept_bits", "c": "complement"}

    def __post_init__(self) -> None:
        self._check_widths()
        self._check_parameter("kept_bits", 1, max(self.a.bits, self.b.bits))
        self._check_complement()

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        return logarithmic_product(keep_leading_bits(a, self.kept_bits), keep_leading_bits(b, self.kept_bits))


@register
@dataclass(frozen=True)
class UnbiasedMitchell(ComplementDesign):
    """Mitchell's multiplier on ``w`` leading bits of which the last is set (Mitch-w, unbiased).

    With the mantissas ``X, Y`` truncated to ``w - 1`` fraction bits, ``S = (X or 1) + (Y or 1)``, and
    ``N = max(n, m)``,

        P = 2**(ka + kb) * (1 + S / 2**(w-1))        where S < 2**(w-1)
        P = 2**(ka + kb + 1) * S / 2**(w-1)          otherwise
        f(a, b) = 2**(N-w) * floor(P / 2**(N-w))

    and 0 where an operand is 0. The ``N - w`` low bits of the decoder are wired to 0, which cuts only products below
    ``2**N``: ``1 * 1`` gives 0. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    kept_bits : int
        Leading bits ``w``, 3 to ``max(n, m)``, counting the leading one and the bit that is set: the generic of the
        authors' VHDL. Label letter ``w``.
    complement : int or None
        Sign rule (`ComplementDesign`), 1 (as published) or 2; None where no operand is signed. Label letter ``c``.

    Notes
    -----
    Error range: two-sided; ``1 + 2**(2-w)`` times the product at large powers of two, -100 % for small products.

    Source: the VHDL of M. S. Kim, A. A. Del Barrio, L. T. Oliveira, R. Hermida, N. Bagherzadeh, "Efficient Mitchell's
    Approximate Log Multipliers for Convolutional Neural Networks", IEEE Trans. Computers 68(5), 2019. Their Verilog is
    `TruncatedMitchell`.

    Examples
    --------
    >>> m = UnbiasedMitchell(OperandFormat(8), OperandFormat(8), kept_bits=4)
    >>> m.name, int(m(200, 100)), int(m(64, 64)), int(m(1, 1))
    ('mitchwu8u_w4', 20480, 5120, 0)
    """

    a: OperandFormat
    b: OperandFormat
    kept_bits: int
    complement: int | None = None

    family = "mitchwu"
    letters: ClassVar[dict[str, str]] = {"w": "kept_bits", "c": "complement"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("kept_bits", 3, max(self.a.bits, self.b.bits))
        self._check_complement()

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        bits = self.kept_bits - 1
        product = antilogarithm(a, b, (fraction_bits(a, bits) | 1) + (fraction_bits(b, bits) | 1), bits)
        dropped = max(self.a.bits, self.b.bits) - self.kept_bits
        return product >> dropped << dropped


def logarithmic_product(a: IntArray, b: IntArray) -> IntArray:
    """Multiply non-negative integers by Mitchell's method; 0 where an operand is 0."""
    ka, kb = leading_one(a), leading_one(b)
    one = np.int64(1) << (ka + kb)
    mantissas = ((a << kb) - one) + ((b << ka) - one)  # ra 2**kb + rb 2**ka
    product = np.where(mantissas < one, one + mantissas, 2 * mantissas)
    return np.where((a == 0) | (b == 0), 0, product)
