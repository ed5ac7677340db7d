"""How numbers and foreign names are written for people."""

from __future__ import annotations

import math
from typing import Any


def plain(text: object) -> str:
    r"""Return text from files and users without control characters: they are escaped.

    Examples
    --------
    >>> print(plain("8u" + chr(27) + "[2J"))
    8u\x1b[2J
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def number(value: Any) -> str:
    """Write a number for people: integers in full, others to six significant digits, truth as yes and no.

    Examples
    --------
    >>> number(65536), number(-0.123456789), number(True), number(math.nan), number(None)
    ('65,536', '-0.123457', 'yes', 'undefined', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "undefined" if math.isnan(value) else str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.6g}"


def percent(share: float) -> str:
    """Write a fraction in per cent; 0 % and 100 % are said only of none and all.

    Examples
    --------
    >>> percent(0.0), percent(0.5), percent(1.0), percent(0.999999)
    ('0 %', '50 %', '100 %', '> 99.99 %')
    """
    text = f"{100 * share:.4g} %"
    return "> 99.99 %" if text == "100 %" and share < 1 else text
