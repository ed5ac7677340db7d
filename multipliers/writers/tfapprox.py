"""Tables of TFApprox (``.bin``); see `multipliers.readers.tfapprox`."""

from __future__ import annotations

from pathlib import Path

from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.readers.layout import Layout
from multipliers.writers.foreign import in_range, is_8x8, require


def write_tfapprox(multiplier: Multiplier, path: str | Path) -> Path:
    """Write 256 x 256 uint16, little-endian, row = first operand; products of signed operands plus 32,768.

    Raises
    ------
    TableError
        Unless both operands are 8 bits of one sign and every product fits; nothing is written.
    OSError
        If it cannot be written; nothing is left behind.
    """
    require(multiplier, is_8x8(multiplier), "TFApprox tables are 8u x 8u, or 8s x 8s")
    signed = multiplier.a.signed
    limits = (-(1 << 15), (1 << 15) - 1) if signed else (0, (1 << 16) - 1)
    table = in_range(multiplier.table(), limits, "a TFApprox table (uint16)")
    layout = Layout(multiplier.a, multiplier.b, result="offset" if signed else "plain")
    return write_atomically(path, layout.encode(table).astype("<u2").tobytes())
