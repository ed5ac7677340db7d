"""Tables of TFApprox (``.bin``): 256 x 256 uint16, little-endian, index ``a*256 + b``.

Row = first argument of the C function, so for most 8-bit unsigned circuits of EvoApproxLib, declared ``(B, A)``, the
transpose of the order of the Verilog ports. For signed operands a trick is in use: rows and columns from -128 to 127,
and each product stored plus 32,768.
"""

from __future__ import annotations

import numpy as np

from multipliers.errors import TableError
from multipliers.operands import OperandFormat
from multipliers.readers.foreign import ForeignTable, is_text
from multipliers.readers.layout import Layout

N_BYTES = 1 << 17


def recognise(data: bytes) -> bool:
    """Whether these are 131,072 bytes that are no text."""
    return len(data) == N_BYTES and not is_text(data)


def parse(data: bytes, a: OperandFormat | None = None, b: OperandFormat | None = None) -> ForeignTable:
    """Read the table; ``TableError`` unless there are 131,072 bytes."""
    if len(data) != N_BYTES:
        raise TableError(f"a TFApprox table has {N_BYTES} bytes (256 x 256 uint16), this file has {len(data)}")
    array = np.frombuffer(data, dtype="<u2").astype(np.int64).reshape(256, 256)
    u, s = OperandFormat(8), OperandFormat(8, signed=True)
    return ForeignTable(array, (Layout(u, u), Layout(s, s, result="offset")))
