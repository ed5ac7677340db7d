"""Multiplier labels, formatted and parsed in one place.

``<family><bits><s|u>[_<letter><value>...]``, such as ``drum8u_k4`` or ``bam8u_h2v5``. Operands of different formats
are written ``<family><bits_a>[s|u]x<bits_b><s|u>``: ``exact8x4u`` (both unsigned), ``exact8sx4u`` (signed, unsigned).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from multipliers.errors import ParameterError
from multipliers.operands import OperandFormat

_LABEL = re.compile(
    r"(?P<family>[a-z][a-z0-9]*?)(?P<bits_a>[1-9][0-9]?)(?:(?P<sign_a>[su])?x(?P<bits_b>[1-9][0-9]?))?(?P<sign_b>[su])"
    r"(?:_(?P<parameters>(?:[a-z]+[0-9]+)+))?"
)
_PARAMETER = re.compile(r"([a-z]+)([0-9]+)")


@dataclass(frozen=True)
class Label:
    """A parsed label."""

    family: str
    a: OperandFormat
    b: OperandFormat
    parameters: dict[str, int]


def format_label(family: str, a: OperandFormat, b: OperandFormat, parameters: Mapping[str, int]) -> str:
    """Write a label.

    Examples
    --------
    >>> format_label("bam", OperandFormat(8), OperandFormat(8), {"h": 2, "v": 5})
    'bam8u_h2v5'
    >>> format_label("exact", OperandFormat(8, True), OperandFormat(4), {})
    'exact8sx4u'
    """
    if a == b:
        widths = a.label
    elif a.signed == b.signed:
        widths = f"{a.bits}x{b.label}"
    else:
        widths = f"{a.label}x{b.label}"
    suffix = "".join(f"{letter}{value}" for letter, value in parameters.items())
    return f"{family}{widths}" + (f"_{suffix}" if suffix else "")


def parse_label(label: str) -> Label:
    """Read a label; the inverse of `format_label`.

    Raises
    ------
    ParameterError
        If ``label`` does not follow the grammar, names a parameter twice, or has a width out of range.

    Examples
    --------
    >>> parse_label("drum8u_k4").parameters
    {'k': 4}
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise ParameterError(
            f"{label!r} is not a multiplier label; expected <family><bits><s|u>[_<letter><value>...], "
            f"such as 'drum8u_k4', 'bam8s_h0v3' or 'exact8x4u'"
        )
    signed_b = match["sign_b"] == "s"
    signed_a = signed_b if match["sign_a"] is None else match["sign_a"] == "s"
    bits_a = int(match["bits_a"])
    bits_b = bits_a if match["bits_b"] is None else int(match["bits_b"])
    parameters: dict[str, int] = {}
    for letter, value in _PARAMETER.findall(match["parameters"] or ""):
        if letter in parameters:
            raise ParameterError(f"{label!r} gives the parameter {letter!r} twice")
        parameters[letter] = int(value)
    return Label(match["family"], OperandFormat(bits_a, signed_a), OperandFormat(bits_b, signed_b), parameters)
