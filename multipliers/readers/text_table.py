"""Tables of ApproxTorch and ApproxFlow: whole numbers separated by white space, row by row.

Rows are the first operand. ApproxTorch: signed operands from -128 to 127, or unsigned from 0 to 255; its gradient
tables look the same, with 256 or 65,536 fractions. ApproxFlow: unsigned from 0 to 255.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multipliers.errors import TableError
from multipliers.operands import IntArray, OperandFormat
from multipliers.readers.foreign import ForeignTable, decode_text, floats, integers, is_text, read_bytes
from multipliers.readers.layout import Layout, widths

_CHARACTERS = b" \t\r\n\f0123456789+-.eE\xef\xbb\xbfnNaAiIfF"  # with those of nan and inf, to refuse these by name


def recognise(data: bytes) -> bool:
    """Whether these are numbers and white space."""
    return is_text(data) and not data.translate(None, _CHARACTERS)


def parse_approxtorch(data: bytes, a: OperandFormat | None = None, b: OperandFormat | None = None) -> ForeignTable:
    """Read a table of two signed or two unsigned operands; see `parse_numbers`."""
    array = parse_numbers(decode_text(data), a, b)
    n, m = widths(array.shape)
    signs = (True, False)
    return ForeignTable(array, tuple(Layout(OperandFormat(n, s), OperandFormat(m, s)) for s in signs))


def parse_approxflow(data: bytes, a: OperandFormat | None = None, b: OperandFormat | None = None) -> ForeignTable:
    """Read a table of two unsigned operands; see `parse_numbers`."""
    array = parse_numbers(decode_text(data), a, b)
    n, m = widths(array.shape)
    return ForeignTable(array, (Layout(OperandFormat(n), OperandFormat(m)),))


def parse_numbers(text: str, a: OperandFormat | None, b: OperandFormat | None) -> IntArray:
    """Shape numbers into a table: by the formats, else by lines if they are of one length, else 256 x 256.

    Raises
    ------
    TableError
        If a number is not whole, or the count of numbers is not that of a table.
    """
    values = integers(text)
    if a is not None and b is not None:
        shape = (a.size, b.size)
        if values.size != shape[0] * shape[1]:
            raise TableError(
                f"there are {values.size} numbers, but {a} x {b} operands have {shape[0] * shape[1]} products"
            )
        return values.reshape(shape)
    lengths = {len(line.split()) for line in text.splitlines()} - {0}
    if len(lengths) == 1 and (length := lengths.pop()) not in (1, values.size):
        return values.reshape(-1, length)
    if values.size == 1 << 16:
        return values.reshape(256, 256)
    hint = "; 256 numbers are a one-dimensional gradient table (read_gradient)" if values.size == 256 else ""
    raise TableError(
        f"there are {values.size} numbers without lines of one length, where 65,536 are the table of 8-bit operands; "
        f"the file is truncated, or pass a= and b={hint}"
    )


def read_gradient(path: str | Path) -> NDArray[np.float64]:
    """Read a gradient table of ApproxTorch.

    Returns
    -------
    ndarray of float64
        Of shape (256,): the gradient with respect to one operand as a function of the other; or (256, 256), row =
        first operand. The values ascend from -128, or from 0 for unsigned operands: the file does not say which.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TableError
        If it does not hold 256 or 65,536 finite numbers.
    """
    path = Path(path)
    try:
        values = floats(decode_text(read_bytes(path)))
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    if values.size not in (256, 65536):
        raise TableError(f"{path} has {values.size} numbers; a gradient table has 256 or 65,536")
    return values if values.size == 256 else values.reshape(256, 256)
