"""Tables of AdaPT and TransAxx: a C array in a header, in the order of two's-complement codes.

AdaPT: ``const int16_t lut [256][256] = {{..},..};``, indexed by the operands cast to uint8: signed, 0 .. 127, -128 ..
-1. TransAxx: the same as ``const __device__ short lut[256][256]``. Rows are the first operand.
"""

from __future__ import annotations

import re

import numpy as np

from multipliers.errors import TableError
from multipliers.multiplier import MAX_TABLE_ENTRIES
from multipliers.operands import OperandFormat
from multipliers.readers.foreign import ForeignTable, decode_text, integers, is_text
from multipliers.readers.layout import Layout, widths

_HEAD = re.compile(
    r"(?P<type>(?:[A-Za-z_]\w*+\s++){1,8})(?P<name>[A-Za-z_]\w*+)\s*"
    r"\[\s*(?P<rows>\d{1,9})\s*\]\s*\[\s*(?P<columns>\d{1,9})\s*\]\s*=\s*\{"
)
_FIELDS = {
    "int8_t": (-(1 << 7), (1 << 7) - 1),
    "int16_t": (-(1 << 15), (1 << 15) - 1),
    "short": (-(1 << 15), (1 << 15) - 1),
    "int32_t": (-(1 << 31), (1 << 31) - 1),
    "int": (-(1 << 31), (1 << 31) - 1),
    "uint8_t": (0, (1 << 8) - 1),
    "uint16_t": (0, (1 << 16) - 1),
    "uint32_t": (0, (1 << 32) - 1),
}


def recognise(data: bytes, device: bool) -> bool:
    """Whether these define a two-dimensional C array, for the GPU (``__device__``) or not."""
    if not is_text(data):
        return False
    head = _HEAD.search(_without_comments(data[: 1 << 16].decode("utf-8", errors="replace")))
    return head is not None and ("__device__" in head["type"].split()) == device


def parse(data: bytes, a: OperandFormat | None = None, b: OperandFormat | None = None) -> ForeignTable:
    """Read the only array of a header.

    Raises
    ------
    TableError
        If there is no array or several, its size is no table's or not that of its rows, or a number is not in the
        range of the declared type (which the compiler would reduce in silence).
    """
    text = _without_comments(decode_text(data))
    heads = list(_HEAD.finditer(text))
    if len(heads) != 1:
        raise TableError(f"the header defines {len(heads)} two-dimensional arrays; one, such as lut[256][256], is read")
    [head] = heads
    n_rows, n_columns = int(head["rows"]), int(head["columns"])
    n, m = widths((n_rows, n_columns))
    if n_rows * n_columns > MAX_TABLE_ENTRIES:
        raise TableError(f"the header announces {n_rows} x {n_columns} numbers; tables have at most 2**24")
    end = text.find(";", head.end())
    body = text[head.end() : end].strip()
    if end < 0 or not body.endswith("}"):
        raise TableError("the array does not end with '};': the header is truncated")
    rows = re.findall(r"\{([^{}]*)\}", body)
    if re.sub(r"\{[^{}]*\}", "", body[:-1]).strip(" \t\r\n,"):
        raise TableError("the array is not made of rows in braces, such as {{0, 0}, {0, 1}}")
    if len(rows) != n_rows:
        raise TableError(f"the array has {len(rows)} rows in braces, but is declared [{n_rows}][{n_columns}]")
    numbers = []
    for i, row in enumerate(rows):
        cells = row.strip().rstrip(",").split(",")
        if len(cells) != n_columns or any(len(cell.split()) != 1 for cell in cells):
            raise TableError(f"row {i} of the array has {len(cells)} numbers, but {n_columns} are declared")
        try:
            numbers.append(integers(" ".join(cells)))
        except TableError as error:
            raise TableError(f"row {i}: {error}") from None
    array = np.array(numbers)
    _check_field(array, head["type"].split())
    return ForeignTable(array, (Layout(OperandFormat(n, signed=True), OperandFormat(m, signed=True), "codes"),))


def _check_field(array: np.ndarray, words: list[str]) -> None:
    named = next((word for word in words if word in _FIELDS), None)
    if named is None:
        return
    low, high = _FIELDS[named]
    if "unsigned" in words:
        low, high = 0, high - low
    bad = (array < low) | (array > high)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise TableError(
            f"entry [{row}, {column}] = {array[row, column]} does not fit the declared type {' '.join(words)} "
            f"({int(bad.sum())} such entries): a compiler would store another number"
        )


def _without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?(?:\*/|\Z)", " ", text, flags=re.DOTALL)
