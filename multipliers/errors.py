"""Errors that name the offending value, what was expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OperandTypeError(TypeError):
    """An operand is not made of integers."""


class OperandRangeError(ValueError):
    """An operand holds a value that its format cannot represent."""


class ParameterError(ValueError):
    """A parameter of a format, design or function is outside its range."""


class TableError(ValueError):
    """A table has the wrong shape, type or values."""


class TableTooLargeError(TableError):
    """A table would be too large to hold; a streamed method exists instead."""


class NetlistError(ValueError):
    """A netlist cannot be read, is not combinational, or is no multiplier."""


class UnknownNameError(LookupError):
    """A name is not known; the message suggests the nearest ones."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], remedy: str = "") -> UnknownNameError:
        """Build the error for ``name``, suggesting the closest of ``known``."""
        candidates = sorted(known)
        close = difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
        if close:
            hint = "did you mean " + " or ".join(repr(c) for c in close) + "?"
        else:
            hint = "known: " + ", ".join(candidates[:12]) + (", ..." if len(candidates) > 12 else "")
        return cls(f"unknown {kind} {name!r}; {hint}" + (f" {remedy}" if remedy else ""))
