"""What a library holds of a circuit and of the files that describe it."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from multipliers.metric_values import ErrorMetrics
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat

MAX_STORED_ENTRIES = 1 << 20
"""Tables up to this size are stored."""

Language = Literal["c", "verilog"]


class Figure(NamedTuple):
    """A figure of a file's header: ``Figure("MAE%", "0.0064", "%")``, the value as printed."""

    name: str
    value: str
    unit: str


@dataclass(frozen=True)
class Source:
    """A file that describes a circuit.

    Attributes
    ----------
    path : Path
        Absolute path.
    language : {"c", "verilog"}
    release : str
        Release of the library, or folder, that the file was imported from.
    name : str
        Name of the circuit: that of the file, without ``_pdk45`` and the like.
    digest : str
        SHA-256 (hex) of the file when it was read.
    figures : tuple of Figure
        Figures of the header.
    gates, depth : int or None
        Gate count and logic depth, of a netlist.
    """

    path: Path
    language: Language
    release: str
    name: str
    digest: str
    figures: tuple[Figure, ...] = ()
    gates: int | None = None
    depth: int | None = None


@dataclass(frozen=True)
class Measured:
    """What is measured of a circuit.

    Attributes
    ----------
    fingerprint, swapped : str
        `Multiplier.fingerprint` where ``complete``, else `Multiplier.sample_fingerprint`; of the circuit, and of the
        circuit with its operands exchanged.
    a, b : OperandFormat
    complete : bool
        Whether the fingerprints cover every operand pair.
    metrics : ErrorMetrics
    terms : int
        Ordinary products that simulate it exactly, min(rank F, 1 + rank E); of more than 2**20 operand pairs at least
        so many, from a random sub-matrix.
    errors : (bytes, str) or None
        ``F - a b`` for all pairs in natural order, compressed, and the NumPy type of the integers.
    """

    fingerprint: str
    swapped: str
    a: OperandFormat
    b: OperandFormat
    complete: bool
    metrics: ErrorMetrics
    terms: int
    errors: tuple[bytes, str] | None = field(default=None, repr=False)


def pack_errors(multiplier: Multiplier) -> tuple[bytes, str] | None:
    """Compress the table of errors; None where the table has more than 2**20 entries.

    Errors are small, so they take less room than products.
    """
    if multiplier.n_pairs > MAX_STORED_ENTRIES:
        return None
    errors = multiplier.table() - _exact(multiplier.a, multiplier.b)
    low, high = int(errors.min()), int(errors.max())
    type_ = next(t for t in ("<i1", "<i2", "<i4", "<i8") if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return zlib.compress(errors.astype(type_).tobytes()), type_


def unpack_errors(data: bytes, type_: str, a: OperandFormat, b: OperandFormat) -> IntArray:
    """Return the table of products from what `pack_errors` returned.

    Raises
    ------
    zlib.error, ValueError, TypeError
        If it is damaged.
    """
    errors: Any = np.frombuffer(zlib.decompress(data), dtype=type_).reshape(a.size, b.size)
    return np.asarray(errors.astype(np.int64) + _exact(a, b))


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _exact(a: OperandFormat, b: OperandFormat) -> IntArray:
    return a.values()[:, None] * b.values()
