"""Text tables of AppMult-Aware-Retraining and TRAM; see `multipliers.readers.tram`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from multipliers.errors import ParameterError, TableError
from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray
from multipliers.readers.tram import GRADIENTS, SCALE, TABLE
from multipliers.writers.foreign import INT16, INT32, in_range


def write_tram(multiplier: Multiplier, path: str | Path, gradients: Mapping[str, ArrayLike] | None = None) -> Path:
    """Write lines ``a b value`` under a heading, first operand first, and gradients under theirs.

    Parameters
    ----------
    multiplier : Multiplier
    path : str or Path
    gradients : mapping of str to array_like, optional
        Gradients with respect to ``"a"`` and ``"b"``, of the table's shape (natural order); stored as int16 of 16 times
        the value, rounded.

    Raises
    ------
    TableError
        If a product does not fit int32 or a gradient int16, or has another shape; nothing is written.
    ParameterError
        If a gradient is neither of ``"a"`` nor of ``"b"``.
    OSError
        If it cannot be written; nothing is left behind.
    """
    table = in_range(multiplier.table(), INT32, "int32")
    sections = [(TABLE, table)]
    for operand, gradient in (gradients or {}).items():
        if operand not in GRADIENTS:
            raise ParameterError(f"gradients are with respect to 'a' or 'b', not {operand!r}")
        values = np.asarray(gradient, dtype=np.float64)
        if values.shape != table.shape or not np.isfinite(values).all():
            raise TableError(f"the gradient with respect to {operand} must be finite, of shape {table.shape}")
        scaled = np.rint(np.clip(values, -1e9, 1e9) * SCALE).astype(np.int64)
        sections.append((GRADIENTS[operand], in_range(scaled, INT16, "16 times a gradient, as int16")))
    text = "".join(f"{heading}\n{_lines(multiplier, values)}" for heading, values in sections)
    return write_atomically(path, text.encode())


def _lines(multiplier: Multiplier, values: IntArray) -> str:
    b = multiplier.b.values().tolist()
    rows = zip(multiplier.a.values().tolist(), values.tolist(), strict=True)
    return "".join(f"{x} {y} {value}\n" for x, row in rows for y, value in zip(b, row, strict=True))
