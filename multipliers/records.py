"""Frozen results that hold arrays: read-only, compared by value, JSON-safe."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from multipliers.operands import OperandFormat


class Record:
    """Base of frozen dataclasses (declared with ``eq=False``) whose fields may be arrays or further records."""

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                kept = value.copy()
                kept.setflags(write=False)
                object.__setattr__(self, f.name, kept)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-safe values: arrays as lists, formats as labels, NaN as None."""
        return {f.name: json_safe(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]  # as above

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # arrays are compared by value, too long to hash


def json_safe(value: Any) -> Any:
    """Convert a field to what the ``json`` module writes without extensions.

    Examples
    --------
    >>> json_safe((np.float64(0.5), math.nan, np.arange(3)))
    [0.5, None, [0, 1, 2]]
    """
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, OperandFormat):
        return value.label
    if isinstance(value, np.ndarray | np.generic):
        return json_safe(value.tolist())
    if isinstance(value, list | tuple):
        return [json_safe(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
