"""Tables of AppMult-Aware-Retraining and TRAM: text with lines ``a b value``, and sections of gradients.

The file may begin with lines of a tool's log. A line ``LUT for approximate multiplier:`` opens the table, ``LUT for the
gradient of the approximate multiplier w.r.t. the first operand:`` (and ``... second operand:``) its gradients, whose
values are fractions times 16, as int16. Operands are in the order of the Verilog ports.
"""

from __future__ import annotations

import re

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

_LINE = re.compile(r"\s*-?[0-9]+\s+-?[0-9]+\s+-?[0-9]+\s*")


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
    headings = {TABLE: "table"} | {heading: operand for operand, heading in GRADIENTS.items()}
    sections: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(decode_text(data).splitlines(), 1):
        section = headings.get(line.strip())
        if section is not None:
            if section in sections:
                raise TableError(f"line {number} repeats {line.strip()!r}")
            current = sections[section] = []
        elif current is not None and line.strip():
            if not _LINE.fullmatch(line):
                raise TableError(f"line {number} is {line.strip()[:60]!r}; 'a b value' is expected")
            current.append(line)
    if "table" not in sections:
        raise TableError(f"there is no line {TABLE!r}")
    array, form_a, form_b = _section(sections["table"], "table")
    gradients: dict[str, NDArray[np.float64]] = {}
    for operand in GRADIENTS:
        if operand in sections:
            scaled, *formats = _section(sections[operand], f"gradient with respect to {operand}")
            if formats != [form_a, form_b]:
                raise TableError(f"the gradient with respect to {operand} has {formats[0]} x {formats[1]} operands")
            if np.abs(scaled).max() > 1 << 15:
                raise TableError(f"the gradient with respect to {operand} has values that do not fit int16")
            gradients[operand] = scaled / SCALE
    return ForeignTable(array, (Layout(form_a, form_b),), gradients)


def _section(lines: list[str], what: str) -> tuple[np.ndarray, OperandFormat, OperandFormat]:
    if not lines:
        raise TableError(f"the section of the {what} is empty")
    return from_triples(integers(" ".join(lines)).reshape(-1, 3), what)
