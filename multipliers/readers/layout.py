"""How a foreign table is laid out: axes and operands, order of their values, coding of results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from multipliers.errors import ParameterError, TableError
from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from multipliers.table import integer_table

Order = Literal["natural", "codes"]
"""Order of a signed operand's values along its axis: from the smallest, or as two's-complement codes count."""

ResultCode = Literal["plain", "offset", "wrapped"]
"""How products are stored: as they are, plus ``2**(n+m-1)``, or modulo ``2**(n+m)``."""


@dataclass(frozen=True)
class Layout:
    """Where each product stands in a foreign table, and how it is coded there.

    Parameters
    ----------
    a, b : OperandFormat
        Formats of the operands, of ``n`` and ``m`` bits.
    order : {"natural", "codes"}
        ``"natural"``: values ascend along each axis. ``"codes"``: the index is the two's-complement code, so a signed
        operand runs ``0 .. 2**(n-1) - 1, -2**(n-1) .. -1``. They are the same for unsigned operands.
    result : {"plain", "offset", "wrapped"}
        ``"plain"``: the stored number is the product. ``"offset"``: the product plus ``2**(n+m-1)`` (a signed product
        in an unsigned field). ``"wrapped"``: the product modulo ``2**(n+m)``, whatever the sign of the field.
    transposed : bool
        Rows are values of ``b`` and columns of ``a``.

    Raises
    ------
    ParameterError
        If ``order`` or ``result`` is none of these.

    Examples
    --------
    >>> Layout(OperandFormat(2, True), OperandFormat(2), "codes").row_values()
    array([ 0,  1, -2, -1])
    """

    a: OperandFormat
    b: OperandFormat
    order: Order = "natural"
    result: ResultCode = "plain"
    transposed: bool = False

    def __post_init__(self) -> None:
        check_choice("order", self.order, get_args(Order))
        check_choice("result", self.result, get_args(ResultCode))

    def __str__(self) -> str:
        words = [f"{self.a} x {self.b}"]
        if self.a.signed or self.b.signed:
            signed = self.a if self.a.signed else self.b
            codes = f"0 .. {signed.maximum}, {signed.minimum} .. -1"
            natural = f"{signed.minimum} .. {signed.maximum}"
            words.append(f"in {self.order} order ({codes if self.order == 'codes' else natural})")
        if self.result != "plain":
            bits = self.a.bits + self.b.bits
            words.append(f"plus 2**{bits - 1}" if self.result == "offset" else f"modulo 2**{bits}")
        if self.transposed:
            words.append("with rows of b")
        return " ".join(words)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the foreign table."""
        return (self.b.size, self.a.size) if self.transposed else (self.a.size, self.b.size)

    @property
    def signed(self) -> bool:
        """Whether products can be negative."""
        return self.a.signed or self.b.signed

    def row_values(self) -> IntArray:
        """Operand value of each row."""
        return self._ordered(self.b if self.transposed else self.a)

    def column_values(self) -> IntArray:
        """Operand value of each column."""
        return self._ordered(self.a if self.transposed else self.b)

    def decode(self, array: ArrayLike) -> IntArray:
        """Return the products of a foreign table, ``[i, j]`` of the ``i``-th smallest ``a``, ``j``-th ``b``.

        Raises
        ------
        TableError
            If the array has another shape, or values that are not integers in the range of int64.
        """
        table = self.decode_results(integer_table(array))
        if table.shape != self.shape:
            raise TableError(f"the table has shape {table.shape}, but the layout {self} has shape {self.shape}")
        rows, columns = (np.argsort(v) for v in (self.row_values(), self.column_values()))
        table = table[rows[:, None], columns[None, :]]
        return np.ascontiguousarray(table.T if self.transposed else table)

    def encode(self, products: ArrayLike) -> IntArray:
        """Arrange products in natural order as the foreign table has them; the inverse of `decode`.

        Raises
        ------
        TableError
            If the array has another shape, or a product does not survive the coding of results.
        """
        table = integer_table(products)
        if table.shape != (self.a.size, self.b.size):
            raise TableError(
                f"products have shape {table.shape}, but operands {self.a} x {self.b} need "
                f"({self.a.size}, {self.b.size})"
            )
        bits = self.a.bits + self.b.bits
        if self.result != "plain":
            low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if self._negative else (0, (1 << bits) - 1)
            refuse_outside(table, low, high, f"a {bits}-bit result")
            table = table + (1 << (bits - 1)) if self.result == "offset" else table & ((1 << bits) - 1)
        table = table.T if self.transposed else table
        rows, columns = self.row_values(), self.column_values()
        return np.ascontiguousarray(table[(rows - rows.min())[:, None], (columns - columns.min())[None, :]])

    def decode_results(self, array: IntArray) -> IntArray:
        """Undo the coding of results alone, entry by entry."""
        bits = self.a.bits + self.b.bits
        if self.result == "plain" or bits >= 64:
            return array
        half = np.int64(1 << (bits - 1))
        if self.result == "offset":
            return array - half
        low = array & np.int64((1 << bits) - 1)
        return np.where(low >= half, low - np.int64(1 << (bits - 1)) * 2, low) if self.signed else low

    @property
    def _negative(self) -> bool:
        return self.signed or self.result == "offset"

    def _ordered(self, operand: OperandFormat) -> IntArray:
        values = operand.values()
        return np.roll(values, operand.minimum) if self.order == "codes" else values


def check_choice(parameter: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ParameterError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ParameterError(f"{parameter} must be one of {', '.join(map(repr, choices))}; got {value!r}")


def refuse_outside(table: IntArray, low: int, high: int, holder: str) -> None:
    """Raise TableError if an entry lies outside ``[low, high]``, what ``holder`` can hold."""
    outside = (table < low) | (table > high)
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        raise TableError(
            f"product [{row}, {column}] = {table[row, column]} is outside [{low}, {high}] of {holder} "
            f"({int(outside.sum())} such entries); choose another format, such as npz"
        )


def widths(shape: tuple[int, ...]) -> tuple[int, int]:
    """Operand widths of a table, from its shape.

    Raises
    ------
    TableError
        If the shape is not two powers of two from 2 to 2**32.

    Examples
    --------
    >>> widths((256, 16))
    (8, 4)
    """
    bits = [size.bit_length() - 1 for size in shape]
    if len(shape) != 2 or any(not 1 <= n <= MAX_BITS or size != 1 << n for n, size in zip(bits, shape, strict=True)):
        raise TableError(
            f"a table has one row per value of a and one column per value of b, so powers of two (from 2) of each; "
            f"this array has shape {shape}"
        )
    return bits[0], bits[1]


def layouts(
    shape: tuple[int, int],
    orders: tuple[Order, ...] = ("natural", "codes"),
    results: tuple[ResultCode, ...] = ("plain",),
) -> Iterator[Layout]:
    """All layouts of a table of one shape with row = first operand: every combination of signs, orders and results.

    Raises
    ------
    TableError
        If the shape is no table's.
    """
    n, m = widths(shape)
    for signed_a in (False, True):
        for signed_b in (False, True):
            a, b = OperandFormat(n, signed_a), OperandFormat(m, signed_b)
            for order in orders if signed_a or signed_b else orders[:1]:
                for result in results:
                    yield Layout(a, b, order, result)
