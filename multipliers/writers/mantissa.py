"""Mantissa tables of ApproxTrain; see `multipliers.readers.mantissa`."""

from __future__ import annotations

from pathlib import Path

from multipliers.files import write_atomically
from multipliers.readers.mantissa import MantissaTable


def write_mantissa(table: MantissaTable, path: str | Path) -> Path:
    """Write ``2**(2m)`` bytes, index ``(i << m) + j``; ApproxTrain wants ``m`` at the end of the name (``MBM_7.bin``).

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind.
    """
    return write_atomically(path, table.content)
