"""Text tables of ApproxTorch and ApproxFlow; see `multipliers.readers.text_table`."""

from __future__ import annotations

from pathlib import Path

from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.writers.foreign import INT32, in_range, is_8x8, numbers, require


def write_approxtorch(multiplier: Multiplier, path: str | Path) -> Path:
    """Write 256 lines of 256 numbers, natural order, row = first operand.

    Raises
    ------
    TableError
        Unless both operands are 8 bits of one sign and every product fits int32; nothing is written.
    OSError
        If it cannot be written; nothing is left behind.
    """
    require(multiplier, is_8x8(multiplier), "ApproxTorch tables are 8u x 8u, or 8s x 8s")
    return write_atomically(path, numbers(in_range(multiplier.table(), INT32, "int32"), " ").encode())


def write_approxflow(multiplier: Multiplier, path: str | Path) -> Path:
    """Write 256 lines of 256 numbers, row = first operand, for 8-bit unsigned operands; errors alike."""
    unsigned = is_8x8(multiplier) and not multiplier.a.signed
    require(multiplier, unsigned, "ApproxFlow tables are 8u x 8u")
    return write_atomically(path, numbers(in_range(multiplier.table(), INT32, "int32"), " ").encode())
