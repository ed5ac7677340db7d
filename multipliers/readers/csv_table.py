"""Tables in CSV files: a grid with or without the operands' values around it, or lines ``a,b,product``.

Separated by commas, semicolons or tabs. In a grid with values, the first line holds the values of ``b`` after one more
cell, and each further line a value of ``a`` and its products; they, and lines of triples, tell formats and order. A
grid without values has rows of ``a`` and columns of ``b``.
"""

from __future__ import annotations

import re

import numpy as np

from multipliers.errors import TableError
from multipliers.multiplier import MAX_TABLE_ENTRIES
from multipliers.operands import IntArray, OperandFormat
from multipliers.readers.foreign import ForeignTable, decode_text, from_triples, integers, is_text
from multipliers.readers.layout import Layout, layouts, widths


def recognise(data: bytes) -> bool:
    """Whether each of the first lines has the same number of cells, and there are no braces."""
    if not is_text(data) or b"{" in data[:4096]:
        return False
    lines = [line for line in data[: 1 << 16].splitlines() if line.strip()][:3]
    found = [_separators(line.decode("latin-1")) for line in lines]
    return bool(found[0]) and all(found[1:2])


def parse(data: bytes, a: OperandFormat | None = None, b: OperandFormat | None = None) -> ForeignTable:
    """Read the table.

    Raises
    ------
    TableError
        If lines differ in their separator or their number of cells, a cell is no whole number, or the shape is no
        table's; the line is named.
    """
    lines = {number: text.strip(" \r") for number, text in enumerate(decode_text(data).splitlines(), 1) if text.strip()}
    separator = _common_separator(lines)
    rows = [[cell.strip().strip('"') for cell in text.split(separator)] for text in lines.values()]
    if all(row[-1] == "" for row in rows) and len(rows[0]) > 2:
        rows = [row[:-1] for row in rows]
    if len(rows) * len(rows[0]) > 2 * MAX_TABLE_ENTRIES:
        raise TableError(f"there are {len(rows)} x {len(rows[0])} cells; tables have at most 2**24")
    first = next(iter(lines))
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            raise TableError(
                f"line {line} has {len(row)} cells, line {first} has {len(rows[0])}; is the file truncated?"
            )
    numbered = list(zip(lines, rows, strict=True))
    corner = rows[0][0]
    named = re.fullmatch(r"[-+0-9.eE]+", corner) is None
    if named and len(rows[0]) == 3 and re.search(r"[A-Za-z]", rows[0][1]):
        array, form_a, form_b = from_triples(_numbers(numbered[1:]))
        return ForeignTable(array, (Layout(form_a, form_b),))
    if named:
        columns = _numbers([(first, rows[0][1:])])[0]
        body = _numbers(numbered[1:])
        i, j = np.divmod(np.arange(body[:, 1:].size), len(columns))
        triples = np.stack([body[i, 0], columns[j], body[:, 1:].ravel()], axis=1)
        array, form_a, form_b = from_triples(triples)
        return ForeignTable(array, (Layout(form_a, form_b),))
    array = _numbers(numbered)
    widths(array.shape)
    return ForeignTable(array, tuple(layouts((array.shape[0], array.shape[1]))))


def _numbers(rows: list[tuple[int, list[str]]]) -> IntArray:
    """Read rows, each with the number of its line."""
    if not rows:
        raise TableError("there are no products below the first line")
    found = []
    for line, row in rows:
        if any(len(cell.split()) != 1 for cell in row):
            raise TableError(f"line {line} has an empty cell, or several numbers in one")
        try:
            found.append(integers(" ".join(row)))
        except TableError as error:
            raise TableError(f"line {line}: {error}") from None
    return np.array(found)


def _common_separator(lines: dict[int, str]) -> str:
    """Return the separator of all lines."""
    found = {line: _separators(text) for line, text in lines.items()}
    first, *others = found.items() or [(1, "")]
    if not first[1]:
        raise TableError("there are no commas, semicolons or tabs in the first line")
    for line, separators in (first, *others):
        if len(separators) > 1:
            raise TableError(
                f"line {line} has both {' and '.join(map(repr, separators))}: cells have one separator, and numbers no "
                f"decimal comma"
            )
        if separators != first[1]:
            has = repr(separators) if separators else "no separator"
            raise TableError(f"line {line} has {has}, line {first[0]} has {first[1]!r}; is the file truncated?")
    return first[1]


def _separators(line: str) -> str:
    return "".join(s for s in ",;\t" if s in line)
