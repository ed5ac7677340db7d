"""Approximate radix-4 Booth multipliers: R4ABM1/2, the broken Booth multiplier, and the high-radix RAD2^k.

The multiplier ``b`` of ``m`` bits is recoded into the digits ``d_i = b[2i-1] + b[2i] - 2 b[2i+1]``, from -2 to 2, with
``b[-1] = 0`` and the sign extended; ``a * b = sum_i d_i * a * 4**i``. Roles differ: no design here is commutative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.designs.signs import check_room
from multipliers.errors import ParameterError
from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


class _Booth(Design):
    """A design whose signed operands are recoded digit by digit."""

    def _check_signed(self) -> None:
        check_room(self)
        if not (self.a.signed and self.b.signed):
            raise ParameterError(
                f"{type(self).__name__} is defined for two's-complement operands, got {self.a} x {self.b}; "
                f"use signed formats, one bit wider where values are unsigned"
            )

    def _digits(self, b: IntArray) -> Iterator[tuple[int, IntArray, IntArray, IntArray]]:
        """Yield the column ``2 i`` of each row and its multiplier bits ``b[2i+1], b[2i], b[2i-1]``."""
        for column in range(0, self.b.bits, 2):
            yield column, b >> (column + 1) & 1, b >> column & 1, (b << 1) >> column & 1


@register
@dataclass(frozen=True)
class ApproximateBooth(_Booth):
    """Radix-4 Booth multiplier with approximate dots in the low columns (R4ABM1, R4ABM2).

    With the multiplier bits ``b2, b1, b0`` of row ``i`` and ``a[-1] = 0``, the dot of ``a[j]``, at column ``2 i + j``,
    is

        (b1 ^ b0) & (b2 ^ a[j]) | ~(b1 ^ b0) & (b2 ^ b1) & (b2 ^ a[j-1])      exact, from column p on
        (b1 ^ b0) & (b2 ^ a[j])                                               encoder 1, below column p
        b2 ^ a[j]                                                             encoder 2, below column p

    for ``j < n``; the sign dot ``j = n`` is exact. A row that starts at a column from ``p`` on adds the exact
    correction ``b2 & ~(b1 & b0)`` at its first column, a row that starts below ``p`` adds ``b2 & (b1 ^ b0)``.

    Parameters
    ----------
    a, b : OperandFormat
        Signed, up to 32 bits. ``a`` is the multiplicand, ``b`` the recoded multiplier.
    encoder : int
        1 (R4ABM1) or 2 (R4ABM2). Label letter ``e``.
    columns : int
        Approximation factor ``p``: columns of approximate dots, 0 (exact) to ``n + m - 1``. Label letter
        ``p``.

    Notes
    -----
    Sign rule: native two's complement.

    The correction bit of approximate rows is an interpretation: public Verilog has ``b2 & (b1 ^ b0)``, taken here, for
    ``p`` of 14 and 16, and ``b2`` for 20 and 24, with an effect of about 5 % on NMED.

    Error range: two-sided. A zero multiplicand gives non-zero products, for encoder 2 a zero multiplier too: relative
    errors are unbounded.

    Source: W. Liu, L. Qian, C. Wang, H. Jiang, J. Han, F. Lombardi, "Design of Approximate Radix-4 Booth Multipliers
    for Error-Tolerant Computing", IEEE Trans. Computers 66(8), 2017.

    Examples
    --------
    >>> m = ApproximateBooth(OperandFormat(8, True), OperandFormat(8, True), encoder=1, columns=6)
    >>> m.name, int(m(100, -50)), int(m(0, -2))
    ('r4abm8s_e1p6', -5056, -64)
    """

    a: OperandFormat
    b: OperandFormat
    encoder: int
    columns: int

    family = "r4abm"
    letters: ClassVar[dict[str, str]] = {"e": "encoder", "p": "columns"}

    def __post_init__(self) -> None:
        self._check_signed()
        self._check_parameter("encoder", 1, 2)
        self._check_parameter("columns", 0, self.a.bits + self.b.bits - 1)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        n = self.a.bits
        total = np.zeros_like(a)
        for column, b2, b1, b0 in self._digits(b):
            once, negate = b1 ^ b0, -b2
            twice = (1 - once) & (b2 ^ b1)
            exact = (-once & (a ^ negate)) | (-twice & ((a << 1) ^ negate))  # two's complement of n + 1 bits
            dots = max(self.columns - column, 0)
            low = (1 << min(dots, n)) - 1
            rough = a ^ negate if self.encoder == 2 else -once & (a ^ negate)
            correction = b2 & once if dots else b2 & (1 - (b1 & b0))
            total = total + ((((exact & ~low) | (rough & low)) + correction) << column)
        return total


@register
@dataclass(frozen=True)
class BrokenBooth(_Booth):
    """Broken Booth multiplier (BBM): a radix-4 Booth array without the dots right of column ``vbl``.

    With the digits ``d_i`` of ``b`` and ``trunc(x) = 2**v * floor(x / 2**v)``,

        type 0   f(a, b) = sum_i trunc(d_i * a * 4**i)
        type 1   f(a, b) = sum_i trunc(r_i * 4**i) + [d_i < 0 and 2 i >= v] * 4**i

    where ``r_i = d_i * a`` for ``d_i >= 0`` and its ones' complement ``~(-d_i * a)`` for ``d_i < 0``. Type 0 breaks
    complete two's-complement rows, type 1 rows of ones' complement and the dots that negate them. An interpretation,
    from the text of the paper.

    Parameters
    ----------
    a, b : OperandFormat
        Signed, up to 32 bits. ``a`` is the multiplicand, ``b`` the recoded multiplier.
    kind : int
        Type, 0 or 1. Label letter ``k``.
    vbl : int
        Vertical break level ``v``: columns omitted, 0 (exact) to ``n``. Label letter ``v``.

    Notes
    -----
    Sign rule: native two's complement.

    Error range: never above the product; type 1 gives non-zero products for ``a = 0``.

    Source: F. Farshchi, M. S. Abrishami, S. M. Fakhraie, "New Approximate Multiplier for Low Power Digital Signal
    Processing", CADS 2013 (arXiv 2003.06727).

    Examples
    --------
    >>> m = BrokenBooth(OperandFormat(8, True), OperandFormat(8, True), kind=0, vbl=5)
    >>> m.name, int(m(7, 7)), int(m(-7, 7))
    ('bbm8s_k0v5', 0, -64)
    """

    a: OperandFormat
    b: OperandFormat
    kind: int
    vbl: int

    family = "bbm"
    letters: ClassVar[dict[str, str]] = {"k": "kind", "v": "vbl"}

    def __post_init__(self) -> None:
        self._check_signed()
        self._check_parameter("kind", 0, 1)
        self._check_parameter("vbl", 0, self.a.bits)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        keep = ~((1 << self.vbl) - 1)
        total = np.zeros_like(a)
        for column, b2, b1, b0 in self._digits(b):
            digit = b0 + b1 - 2 * b2
            row = digit * a
            if self.kind == 0:
                total = total + ((row << column) & keep)
                continue
            negated = (digit < 0).astype(np.int64)
            total = total + (((row - negated) << column) & keep) + ((negated << column) & keep)
        return total


@register
@dataclass(frozen=True)
class HighRadix(_Booth):
    """Hybrid high-radix multiplier RAD2^k: the low ``k`` bits of ``b`` become one digit, a power of two.

    With ``b = h * 2**k + l``, ``-2**(k-1) <= l < 2**(k-1)``, and ``u = 2**(k-5)``,

        q(l) = sign(l) * (0, 2 u, 4 u, 8 u or 16 u)      where abs(l) < u, < 3 u, < 6 u, < 12 u, or above
        f(a, b) = a * (h * 2**k + q(l))

    The high part is exact; the product has rank 1.

    Parameters
    ----------
    a, b : OperandFormat
        Signed, up to 32 bits.
    radix_bits : int
        Bits ``k`` of the high-radix digit, 5 to ``m``; 6, 8 and 10 are RAD64, RAD256 and RAD1024. Label letter ``k``.

    Notes
    -----
    Sign rule: native two's complement.

    Error range: the error is ``a * (q(l) - l)``, at most ``4 u * abs(a)`` in magnitude; relative error within +-100 %.

    Source: V. Leon, G. Zervakis, D. Soudris, K. Pekmestzi, "Approximate Hybrid High Radix Encoding for Energy-Efficient
    Inexact Multipliers", IEEE TVLSI 26(3), 2018.

    Examples
    --------
    >>> m = HighRadix(OperandFormat(16, True), OperandFormat(16, True), radix_bits=6)
    >>> m.name, int(m(10, 100)), int(m(10, -100))
    ('rad16s_k6', 960, -960)
    """

    a: OperandFormat
    b: OperandFormat
    radix_bits: int

    family = "rad"
    letters: ClassVar[dict[str, str]] = {"k": "radix_bits"}

    def __post_init__(self) -> None:
        self._check_signed()
        if self.b.bits < 5:
            raise ParameterError(f"{type(self).__name__} needs an operand b of at least 5 bits, got {self.b}")
        self._check_parameter("radix_bits", 5, 32)
        if self.radix_bits > self.b.bits:
            raise ParameterError(
                f"{type(self).__name__}: radix_bits must be at most the {self.b.bits} bits of b, got {self.radix_bits}"
            )

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        k = self.radix_bits
        half, unit = 1 << (k - 1), 1 << (k - 5)
        low = ((b + half) & ((1 << k) - 1)) - half
        size = np.abs(low)
        steps = np.array([0, 2, 4, 8, 16], dtype=np.int64) * unit
        rounded = steps[np.searchsorted(np.array([1, 3, 6, 12]) * unit, size, side="right")]
        recoded: IntArray = b - low + np.sign(low) * rounded
        return a * recoded
