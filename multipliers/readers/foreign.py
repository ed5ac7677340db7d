"""What every reader of foreign tables needs: bytes to numbers, with errors that say where."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multipliers.errors import TableError
from multipliers.multiplier import MAX_TABLE_ENTRIES
from multipliers.operands import IntArray, OperandFormat
from multipliers.readers.layout import Layout
from multipliers.table import integer_table

MAX_FILE_BYTES = 1 << 28
"""Largest file that is read (256 MiB: 2**24 entries of up to 16 characters)."""

_PLAIN = re.compile(r"\s*+(?:[-+]?+[0-9]{1,18}+(?:\s++|\Z))*+", re.ASCII)
"""White space and integers that fit int64 whatever their digits."""

_INTEGERS = re.compile(r"[\s0-9+\-]*+", re.ASCII)

_TEXT = bytes(sorted({*b"\t\n\r\f", *range(0x20, 0x7F), *range(0x80, 0x100)}))


@dataclass(frozen=True)
class ForeignTable:
    """What a file holds, before it is decided how it is laid out.

    Attributes
    ----------
    array : ndarray of int64, two-dimensional
        The numbers as stored.
    layouts : tuple of Layout
        Every layout that the format allows for this array.
    gradients : mapping of str to ndarray
        Gradients with respect to ``"a"`` and ``"b"`` that came with the table (natural order of the values).
    """

    array: IntArray
    layouts: tuple[Layout, ...]
    gradients: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def read_bytes(path: Path) -> bytes:
    """Read a whole file of reasonable size.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TableError
        If it is larger than 256 MiB.
    """
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read a table from {str(path)!r}: it {kind}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise TableError(f"{path} has {size} bytes, more than the {MAX_FILE_BYTES} that a table file can need")
    return path.read_bytes()


def is_text(data: bytes) -> bool:
    """Whether there are characters, and no control characters but white space."""
    return bool(data.strip()) and not data.translate(None, _TEXT)


def decode_text(data: bytes) -> str:
    """Decode UTF-8, with or without a byte-order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"byte {error.start} is no UTF-8 text; is this another format?") from None


def integers(text: str) -> IntArray:
    """Read whole numbers separated by white space; ``7``, ``-7``, ``7.0`` and ``7e0`` (as `numpy.savetxt` writes).

    Raises
    ------
    TableError
        Naming the first token that is no number, not whole or outside int64, and its line, or if there are more than
        2**24.

    Examples
    --------
    >>> integers("1 -2 3.0e+00")
    array([ 1, -2,  3])
    """
    if _PLAIN.fullmatch(text):
        values: IntArray = np.fromstring(text, dtype=np.int64, sep=" ") if text.strip() else np.empty(0, np.int64)
    else:
        tokens = text.split()
        try:
            numbers = np.array(list(map(int, tokens)), dtype=object) if _INTEGERS.fullmatch(text) else _floats(text)
        except ValueError:
            numbers = _floats(text)
        for i, number in enumerate(numbers.tolist()):
            if not math.isfinite(number) or number != int(number) or not -(1 << 63) <= number < 1 << 63:
                whole = math.isfinite(number) and number == int(number)
                reason = "does not fit int64" if whole else "is not a whole number"
                raise TableError(f"{_place(text, i)} is {tokens[i][:40]!r}, which {reason}")
        values = integer_table(numbers[None, :])[0]
    if values.size > 3 * MAX_TABLE_ENTRIES:
        raise TableError(f"there are {values.size} numbers; tables have at most 2**24 entries")
    return values


def floats(text: str) -> NDArray[np.float64]:
    """Read finite numbers separated by white space; errors as of `integers`."""
    values = _floats(text)
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        raise TableError(f"{_place(text, at)} is {values[at]}; gradients are finite")
    return values


def _floats(text: str) -> NDArray[np.float64]:
    number = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:nan|inf)", re.IGNORECASE)
    tokens = text.split()
    for i, token in enumerate(tokens):
        if not number.fullmatch(token):
            raise TableError(f"{_place(text, i)} is {token[:40]!r}, which is no number")
    return np.array(tokens, dtype=np.float64)


def _place(text: str, index: int) -> str:
    """Say where a token stands, by its number and, of several lines, its line."""
    ends = np.cumsum([len(line.split()) for line in text.splitlines()])
    line = int(np.searchsorted(ends, index, side="right")) + 1
    return f"number {index + 1}" + (f" (line {line})" if ends.size > 1 else "")


def from_triples(triples: IntArray, what: str = "table") -> tuple[IntArray, OperandFormat, OperandFormat]:
    """Arrange rows ``a, b, value`` in natural order; the values of the operands tell their formats.

    Raises
    ------
    TableError
        If a pair is missing or given twice, or the operands' values are not all those of a format.
    """
    formats = []
    for operand, column in zip("ab", triples.T[:2], strict=True):
        low, high = int(column.min()), int(column.max())
        bits = max(1, high.bit_length() + (low < 0), (-low - 1).bit_length() + 1 if low < 0 else 0)
        if bits > 24:
            raise TableError(f"operand {operand} of the {what} runs from {low} to {high}; at most 24 bits are read")
        form = OperandFormat(bits, low < 0)
        if (low, high) != (form.minimum, form.maximum):
            raise TableError(
                f"operand {operand} of the {what} runs from {low} to {high}, but a {form} operand takes "
                f"{form.minimum} to {form.maximum}: lines are missing"
            )
        formats.append(form)
    a, b = formats
    if a.size * b.size > MAX_TABLE_ENTRIES:
        raise TableError(f"the {what} is one of {a} x {b} operands; at most 2**24 pairs are read")
    index = (triples[:, 0] - a.minimum) * b.size + triples[:, 1] - b.minimum
    count = np.bincount(index, minlength=a.size * b.size)
    if (count != 1).any():
        at = int(np.argmax(count != 1))
        pair = (at // b.size + a.minimum, at % b.size + b.minimum)
        found = "is missing" if count[at] == 0 else f"is given {count[at]} times"
        raise TableError(f"the pair a, b = {pair[0]}, {pair[1]} {found} in the {what}")
    array = np.empty(a.size * b.size, np.int64)
    array[index] = triples[:, 2]
    return array.reshape(a.size, b.size), a, b
