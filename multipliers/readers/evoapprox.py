"""What the files of EvoApproxLib say of a circuit beside its logic: figures in the header, formats in the name."""

from __future__ import annotations

import re
from typing import NamedTuple

from multipliers.operands import OperandFormat

NAME = re.compile(r"mul(?P<a>[1-9][0-9]?)(?:x(?P<b>[1-9][0-9]?))?(?P<sign>[us])(?:_|$)")
_FIGURE = re.compile(
    r"^\s*(?://+|/?\*+)\s*(?P<name>[A-Za-z][\w ]*?(?:\([0-9]+\)|%)?)\s*=\s*"
    r"(?P<value>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(?P<unit>[A-Za-z%][\w^/%]*)?\s*(?:\*/)?\s*$",
    re.MULTILINE,
)


class Figure(NamedTuple):
    """A published figure: value and unit, such as ``Figure(0.41, "mW")``; the unit is ``""`` where none is given."""

    value: float
    unit: str


def header_figures(text: str) -> dict[str, Figure]:
    r"""Read the figures of comment lines such as ``// MAE% = 0.0064 %`` or ``// PDK45_PWR = 0.410 mW``.

    The first value of a name counts.

    Examples
    --------
    >>> header_figures("// MAE% = 0.0064 %\n// PDK45_PWR = 0.410 mW\n// EP% = 12.5\n")
    {'MAE%': Figure(value=0.0064, unit='%'), 'PDK45_PWR': Figure(value=0.41, unit='mW'),
     'EP%': Figure(value=12.5, unit='')}
    """
    return {name: Figure(float(value), unit) for name, (value, unit) in printed_figures(text).items()}


def printed_figures(text: str) -> dict[str, tuple[str, str]]:
    r"""Read what `header_figures` reads: by name, the value as it is printed and the unit.

    Examples
    --------
    >>> printed_figures("// MSE = 17895.697e4\n// Power  (45) = 0.428700\n// EP = 86.500000 %\n")
    {'MSE': ('17895.697e4', ''), 'Power (45)': ('0.428700', ''), 'EP': ('86.500000', '%')}
    """
    figures: dict[str, tuple[str, str]] = {}
    for match in _FIGURE.finditer(text):
        figures.setdefault(" ".join(match["name"].split()), (match["value"], match["unit"] or ""))
    return figures


def formats_of_name(name: str) -> tuple[OperandFormat, OperandFormat] | None:
    """Operand formats that a name in the style of EvoApproxLib states, or None.

    Examples
    --------
    >>> [x.label for x in formats_of_name("mul8x4u_29A")]
    ['8u', '4u']
    """
    match = NAME.match(name)
    if match is None:
        return None
    bits_a, bits_b = int(match["a"]), int(match["b"] or match["a"])
    if max(bits_a, bits_b) > 32:
        return None
    signed = match["sign"] == "s"
    return OperandFormat(bits_a, signed), OperandFormat(bits_b, signed)
