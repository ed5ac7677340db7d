"""C headers of AdaPT and TransAxx; see `multipliers.readers.c_header`."""

from __future__ import annotations

from pathlib import Path

from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.readers.layout import Layout
from multipliers.writers.foreign import INT16, in_range, require


def write_adapt(multiplier: Multiplier, path: str | Path) -> Path:
    """Write ``const int16_t lut [256][256]`` in the order of two's-complement codes, row = first operand.

    Raises
    ------
    TableError
        Unless both operands are signed and every product fits int16; nothing is written.
    OSError
        If it cannot be written; nothing is left behind.
    """
    head = "#include <stdint.h>\n\nconst int16_t lut [{}][{}] = {{{{"
    return _write(multiplier, path, head, "AdaPT", "}};\n")


def write_transaxx(multiplier: Multiplier, path: str | Path) -> Path:
    """Write the same as `write_adapt` with ``const __device__ short`` and an include guard; errors alike."""
    head = "#ifndef LUT_H\n#define LUT_H\n\nconst __device__ short lut[{}][{}] = {{{{"
    return _write(multiplier, path, head, "TransAxx", "}};\n\n#endif\n")


def _write(multiplier: Multiplier, path: str | Path, head: str, tool: str, tail: str) -> Path:
    require(multiplier, multiplier.a.signed and multiplier.b.signed, f"{tool} headers hold signed operands")
    table = in_range(multiplier.table(), INT16, f"the int16 of a {tool} header")
    stored = Layout(multiplier.a, multiplier.b, "codes").encode(table)
    body = "},\n{".join(",".join(map(str, row)) for row in stored.tolist())
    return write_atomically(path, (head.format(*stored.shape) + body + tail).encode())
