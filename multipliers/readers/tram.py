"""Tables of AppMult-Aware-Retraining and TRAM: text with lines ``a b value``, and sections of gradients.

The file may begin with lines of a tool's log. A line ``LUT for approximate multiplier:`` opens the table, ``LUT for the
gradient of the approximate multiplier w.r.t. the first operand:`` (and ``... second operand:``) its gradients, whose
values are fractions times 16, as int16. Operands are in the order of the Verilog ports.
"""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from multipliers.errors import TableError
from multipliers.operands import OperandFormat
from multipliers.readers.foreign import ForeignTable, decode_text, from_triples, integers, is_text
from multipliers.readers.layout import Layout

TABLE = "LUT for approximate multiplier:"
GRADIENTS = {
    operand: f"LUT for the gradient of the approximate multiplier w.r.t. the {rank} operand:"
    for operand, rank in (("a", "first"), ("b", "second"))
}
SCALE = 16
"""Gradients are stored times 16."""

_SECTIONS = {TABLE: "table"} | {heading: operand for operand, heading in GRADIENTS.items()}
_HEADING = re.compile(rf"^[ \t]*({'|'.join(map(re.escape, _SECTIONS))})[ \t\r]*$", re.MULTILINE)
_LINE = r"-?[0-9]++[ \t]++-?[0-9]++[ \t]++-?[0-9]++[ \t\r]*+"
_LINES = re.compile(rf"\s*+(?:{_LINE}(?:\n\s*+|\Z))*+")


def recognise(data: bytes) -> bool:
    """Whether this is text with the line that opens the table."""
    return is_text(data) and TABLE.encode() in data


def parse(data: bytes, a: OperandFormat | None = None, b: OperandFormat | None = None) -> ForeignTable:
    """Read the table and its gradients.

    Raises
    ------
    TableError
        If a section is missing, empty or repeated, has a line other than ``a b value``, or lacks an operand pair or
        has it twice; or if a gradient does not fit int16 or has other operands than the table.
    """
    text = decode_text(data)
    found = list(_HEADING.finditer(text))
    if not any(heading[1] == TABLE for heading in found):
        raise TableError(f"there is no line {TABLE!r}")
    sections: dict[str, str] = {}
    for heading, end in zip(found, [*(h.start() for h in found[1:]), len(text)], strict=True):
        section = _SECTIONS[heading[1]]
        if section in sections:
            raise TableError(f"line {_line_number(text, heading.start(1))} repeats {heading[1]!r}")
        sections[section] = body = text[heading.end() : end]
        if not _LINES.fullmatch(body):
            _refuse_line(text, heading.end(), end)
    array, form_a, form_b = _section(sections["table"], "table")
    gradients: dict[str, NDArray[np.float64]] = {}
    for operand in GRADIENTS:
        if operand in sections:
            scaled, *formats = _section(sections[operand], f"gradient with respect to {operand}")
            if formats != [form_a, form_b]:
                raise TableError(f"the gradient with respect to {operand} has {formats[0]} x {formats[1]} operands")
            if scaled.min() < -(1 << 15) or scaled.max() >= 1 << 15:
                raise TableError(f"the gradient with respect to {operand} has values that do not fit int16")
            gradients[operand] = scaled / SCALE
    return ForeignTable(array, (Layout(form_a, form_b),), gradients)


def _section(lines: str, what: str) -> tuple[np.ndarray, OperandFormat, OperandFormat]:
    if not lines.strip():
        raise TableError(f"the section of the {what} is empty")
    return from_triples(integers(lines).reshape(-1, 3), what)


def _line_number(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _refuse_line(text: str, start: int, end: int) -> NoReturn:
    """Raise for the first line that is not ``a b value``."""
    for number, line in enumerate(text[start:end].split("\n"), _line_number(text, start)):
        if line.strip() and not re.fullmatch(_LINE, line.lstrip()):
            raise TableError(f"line {number} is {line.strip()[:60]!r}; 'a b value' is expected")
    raise TableError("a section has lines other than 'a b value'")
