"""Multipliers given by their table of products."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.errors import TableError
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat


@dataclass(frozen=True)
class TableMultiplier(Multiplier):
    """A multiplier given by all its products.

    Parameters
    ----------
    products : array_like of int, shape (2**n, 2**m)
        ``products[i, j]`` is the product of the ``i``-th smallest value of ``a`` and the ``j``-th smallest of ``b``
        (natural order, row = first operand). Floats are accepted only where each is a whole number.
    a, b : OperandFormat or str
        Formats of the operands, such as ``"8s"``; widths and signs may differ. ``b`` defaults to ``a``.
    name : str
        A label for people; two tables are equal if formats and products are.

    Raises
    ------
    TableError
        If the shape is not that of the formats, or a value is not an integer in the range of int64.

    Examples
    --------
    >>> m = TableMultiplier([[0, 0], [0, 1]], "1u", name="and")
    >>> int(m(1, 1)), m.a.label
    (1, '1u')
    """

    products: IntArray = field(repr=False, compare=False)
    a: OperandFormat
    b: OperandFormat
    name: str = field(default="table", compare=False)
    digest: str = field(init=False)

    def __init__(
        self, products: ArrayLike, a: OperandFormat | str, b: OperandFormat | str | None = None, name: str = "table"
    ) -> None:
        format_a = OperandFormat.parse(a) if isinstance(a, str) else a
        format_b = format_a if b is None else OperandFormat.parse(b) if isinstance(b, str) else b
        table = integer_table(products)
        if table.shape != (format_a.size, format_b.size):
            raise TableError(
                f"table {name!r} has shape {table.shape}, but operands {format_a} x {format_b} need "
                f"({format_a.size}, {format_b.size}): one row per value of a, one column per value of b"
            )
        table.setflags(write=False)
        digest = hashlib.sha256(table.astype("<i8", copy=False).data).hexdigest()
        fields = {"products": table, "a": format_a, "b": format_b, "name": str(name), "digest": digest}
        for attribute, value in fields.items():
            object.__setattr__(self, attribute, value)
        self._check_widths()

    def __reduce__(self) -> tuple[type[TableMultiplier], tuple[IntArray, OperandFormat, OperandFormat, str]]:
        """Copy and pickle through the constructor: NumPy forgets that an array is read-only."""
        return type(self), (self.products, self.a, self.b, self.name)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return self.products[a - self.a.minimum, b - self.b.minimum]

    def table(self) -> IntArray:
        """Return the products (read-only, no copy); see `Multiplier.table`."""
        return self.products

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the canonical table; see `Multiplier.fingerprint`."""
        return self.digest


def integer_table(table: ArrayLike) -> IntArray:
    """Copy a two-dimensional table of whole numbers to C-ordered int64.

    Raises
    ------
    TableError
        Naming the first entry that is NaN, infinite, not whole or outside int64, or the wrong dimension or type.
    """
    array = np.asarray(table)
    if array.ndim != 2:
        raise TableError(f"a table must have two dimensions, one per operand; got shape {array.shape}")
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.dtype.kind == "f":
        _refuse(array, ~np.isfinite(array), "is not a number that a multiplier can return")
        _refuse(array, array != np.rint(array), "is not a whole number")
        _refuse(array, (array < -(2.0**63)) | (array >= 2.0**63), "does not fit int64")
    elif array.dtype.kind == "u":
        _refuse(array, array > np.uint64(2**63 - 1), "does not fit int64")
    elif array.dtype.kind == "O":
        whole = np.frompyfunc(lambda v: isinstance(v, int | np.integer), 1, 1)(array).astype(bool)
        _refuse(array, ~whole, "is not an integer")
        fits = np.frompyfunc(lambda v: -(1 << 63) <= v < 1 << 63, 1, 1)(array).astype(bool)
        _refuse(array, ~fits, "does not fit int64")
    elif array.dtype.kind != "i":
        raise TableError(f"a table must hold integers, got {array.dtype}")
    return np.array(array, dtype=np.int64, order="C")


def _refuse(array: NDArray[Any], bad: NDArray[np.bool_], reason: str) -> None:
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise TableError(
            f"table entry [{row}, {column}] = {array[row, column]!s} {reason} ({int(bad.sum())} such entries)"
        )
