"""Tables in NumPy's ``.npy`` files: as TorchApprox has them, and in natural order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.readers.layout import Layout
from multipliers.writers.foreign import INT32, in_range, require


def write_torchapprox(multiplier: Multiplier, path: str | Path) -> Path:
    """Write an int32 array in the order of two's-complement codes (0 .. 127, -128 .. -1), row = first operand.

    Raises
    ------
    TableError
        Unless both operands are signed and every product fits int32; nothing is written.
    OSError
        If it cannot be written; nothing is left behind.
    """
    signed = multiplier.a.signed and multiplier.b.signed
    require(multiplier, signed, "TorchApprox tables hold signed operands")
    table = in_range(multiplier.table(), INT32, "int32")
    stored = Layout(multiplier.a, multiplier.b, "codes").encode(table).astype("<i4")
    return write_atomically(path, lambda file: np.save(file, stored))


def write_npy(multiplier: Multiplier, path: str | Path) -> Path:
    """Write an int64 array in natural order, row = first operand; formats and name are not stored (npz has them).

    Raises
    ------
    TableTooLargeError
        If the table has more than 2**24 entries; nothing is written.
    OSError
        If it cannot be written; nothing is left behind.
    """
    table = multiplier.table().astype("<i8")
    return write_atomically(path, lambda file: np.save(file, table))
