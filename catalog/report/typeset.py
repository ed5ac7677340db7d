"""Numbers and units as they are set in print: those of `catalog.text`, with minus signs and powers."""

from __future__ import annotations

import re
from typing import Any

from catalog import text

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_POWER = re.compile(r"(?<=\d)e([+-]\d+)")


def number(value: Any) -> str:
    """Write a number as `catalog.text.number` does, with a minus sign and a power of ten.

    Examples
    --------
    >>> number(-1234.5), number(2115640.5), number(1e-7)
    ('−1,234.5', '2.11564 × 10⁶', '1 × 10⁻⁷')
    """
    return _typeset(text.number(value))


def percent(share: float) -> str:
    """Write a fraction as `catalog.text.percent` does, with a minus sign and a power of ten.

    Examples
    --------
    >>> percent(-0.125), percent(2e-8)
    ('−12.5 %', '2 × 10⁻⁶ %')
    """
    return _typeset(text.percent(share))


def power(exponent: int) -> str:
    """Write a power of ten.

    Examples
    --------
    >>> power(-3)
    '10⁻³'
    """
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def unit(name: str) -> str:
    """Write a unit.

    Examples
    --------
    >>> unit("um^2"), unit("% of 2^(n+m)")
    ('µm²', '% of 2^(n+m)')
    """
    return name.replace("um^2", "µm²").replace("LSB^2", "LSB²")


def _typeset(written: str) -> str:
    return _POWER.sub(lambda match: f" × {power(int(match[1]))}", written).replace("-", "−")
