"""How the rows of studies name a multiplier: beside its label, which may mean another one tomorrow."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from surrogate.model import MultiplierReference

if TYPE_CHECKING:
    from multipliers.multiplier import Multiplier

DIGITS = 16
"""Hexadecimal digits of digests, in rows."""


def operands_of(multiplier: Multiplier) -> str:
    """Return the formats of a multiplier's operands.

    Examples
    --------
    >>> from multipliers import get
    >>> operands_of(get("exact8x6u"))
    '8u x 6u'
    """
    return f"{multiplier.a} x {multiplier.b}"


@lru_cache(maxsize=256)
def short_fingerprint(multiplier: Multiplier) -> str:
    """Return the first digits of a multiplier's fingerprint; found once, since that takes its whole table.

    Examples
    --------
    >>> from multipliers import get
    >>> short_fingerprint(get("exact4u")) == get("exact4u").fingerprint()[:DIGITS]
    True
    """
    return MultiplierReference.of(multiplier).fingerprint[:DIGITS]
