"""Fixed-width truncated array multipliers with constant (CCT) and variable (VCT) correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.designs.signs import check_room
from multipliers.errors import ParameterError
from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


class _FixedWidth(Design):
    """An unsigned array multiplier that keeps the columns from ``n - k`` on and returns a multiple of ``2**n``."""

    extra_columns: int

    def _check(self, least: int) -> None:
        check_room(self)
        if self.a != self.b or self.a.signed:
            raise ParameterError(
                f"{type(self).__name__} is defined for two unsigned operands of one width, got {self.a} x {self.b}"
            )
        self._check_parameter("extra_columns", least, self.a.bits - 1)

    @property
    def _first_column(self) -> int:
        return self.a.bits - self.extra_columns

    def _kept_dots(self, a: IntArray, b: IntArray) -> IntArray:
        """Sum of the dots from the first kept column on."""
        total = np.zeros_like(a)
        for row in range(self.b.bits):
            kept = a & ~((1 << max(self._first_column - row, 0)) - 1)
            total = total + (kept << row) * (b >> row & 1)
        return total

    def _most_significant(self, total: IntArray) -> IntArray:
        return total >> self.a.bits << self.a.bits


@register
@dataclass(frozen=True)
class ConstantCorrected(_FixedWidth):
    """Fixed-width multiplier with constant correction (CCT).

    With the bits ``a_i``, ``b_j``, ``c = n - k`` and ``k = extra_columns``,

        f(a, b) = 2**n * floor((C + sum of a_i b_j 2**(i+j) over i + j >= c) / 2**n)
        C = 2**c * round((T + (2**n - 2**c) / 2) / 2**c)          T = sum of (i + 1) 2**i / 4 over i < c

    where ``T`` is the mean of the omitted dots, each 1 with probability 1/4, and the next term that of the bits dropped
    at the end. Commutative. An interpretation, from the text of the paper.

    Parameters
    ----------
    a, b : OperandFormat
        Unsigned, of one width ``n`` up to 31 bits.
    extra_columns : int
        Columns ``k`` computed below the ``n`` returned, 0 to ``n - 1``. Label letter ``k``.

    Notes
    -----
    Sign rule: unsigned only.

    Error range: two-sided. For ``k <= 1`` (at 8 bits) ``f(0, 0)`` is not 0.

    Source: M. J. Schulte, E. E. Swartzlander, "Truncated Multiplication with Correction Constant", VLSI Signal
    Processing VI, 1993.

    Examples
    --------
    >>> m = ConstantCorrected(OperandFormat(8), OperandFormat(8), extra_columns=2)
    >>> m.name, int(m(200, 100)), int(m(255, 255)), int(m(0, 0))
    ('cct8u_k2', 19968, 64768, 0)
    """

    a: OperandFormat
    b: OperandFormat
    extra_columns: int

    family = "cct"
    letters: ClassVar[dict[str, str]] = {"k": "extra_columns"}

    def __post_init__(self) -> None:
        self._check(0)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return self._most_significant(self._kept_dots(a, b) + self._constant)

    @property
    def _constant(self) -> int:
        unit = 1 << self._first_column
        four_means = (self._first_column - 1) * unit + 1 + 2 * ((1 << self.a.bits) - unit)
        return (four_means + 2 * unit) // (4 * unit) * unit  # never a tie: the sum is odd


@register
@dataclass(frozen=True)
class VariableCorrected(_FixedWidth):
    """Fixed-width multiplier with variable correction (VCT).

    With the bits ``a_i``, ``b_j``, ``c = n - k`` and ``k = extra_columns``, the dots of column ``c - 1`` are added into
    column ``c``, and ones into the columns ``c`` to ``n - 2`` for the bits dropped at the end:

        S = (sum of a_i b_j 2**(i+j) over i + j >= c) + 2**c * (sum of a_i b_j over i + j = c - 1)
        f(a, b) = 2**n * floor((S + 2**(n-1) - 2**c) / 2**n)

    Commutative, zero preserving. An interpretation, from the text of the paper; the rounding constant above all.

    Parameters
    ----------
    a, b : OperandFormat
        Unsigned, of one width ``n`` up to 31 bits.
    extra_columns : int
        Columns ``k`` computed below the ``n`` returned, 1 to ``n - 1``. Label letter ``k``.

    Notes
    -----
    Sign rule: unsigned only.

    Error range: two-sided.

    Source: E. J. King, E. E. Swartzlander, "Data-Dependent Truncation Scheme for Parallel Multipliers", Asilomar
    Conference on Signals, Systems and Computers, 1997.

    Examples
    --------
    >>> m = VariableCorrected(OperandFormat(8), OperandFormat(8), extra_columns=2)
    >>> m.name, int(m(200, 100)), int(m(255, 255)), int(m(0, 0))
    ('vct8u_k2', 19968, 65024, 0)
    """

    a: OperandFormat
    b: OperandFormat
    extra_columns: int

    family = "vct"
    letters: ClassVar[dict[str, str]] = {"k": "extra_columns"}

    def __post_init__(self) -> None:
        self._check(1)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        column = self._first_column
        total = self._kept_dots(a, b) + ((1 << (self.a.bits - 1)) - (1 << column))
        for row in range(column):  # the dots of the last omitted column
            total = total + ((a >> (column - 1 - row) & b >> row & 1) << column)
        return self._most_significant(total)
