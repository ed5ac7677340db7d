"""One door for tables that other tools read; the inverse of `multipliers.readers.tables`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from multipliers.errors import UnknownNameError
from multipliers.multiplier import Multiplier
from multipliers.writers.arrays import write_npz
from multipliers.writers.c_header import write_adapt, write_transaxx
from multipliers.writers.csv_table import write_csv
from multipliers.writers.text_table import write_approxflow, write_approxtorch
from multipliers.writers.tfapprox import write_tfapprox
from multipliers.writers.torchapprox import write_npy, write_torchapprox
from multipliers.writers.tram import write_tram

WRITERS: Mapping[str, Callable[[Multiplier, str | Path], Path]] = {
    "tfapprox": write_tfapprox,
    "adapt": write_adapt,
    "transaxx": write_transaxx,
    "approxtorch": write_approxtorch,
    "tram": write_tram,
    "approxflow": write_approxflow,
    "torchapprox": write_torchapprox,
    "npy": write_npy,
    "npz": write_npz,
    "csv": write_csv,
}
"""Writers by the name of their format."""


def write_table(multiplier: Multiplier, path: str | Path, format: str) -> Path:
    """Write the table of a multiplier in a format that `multipliers.readers.tables.read_table` reads back.

    Parameters
    ----------
    multiplier : Multiplier
        Of at most 2**24 operand pairs.
    path : str or Path
        Where to write, replacing what is there once the new file is complete.
    format : str
        A key of `WRITERS`.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    TableError
        If the format cannot hold the operands or a product; nothing is written.
    OSError
        If it cannot be written; nothing is left behind.
    """
    if format not in WRITERS:
        raise UnknownNameError.of("table format", format, WRITERS)
    return WRITERS[format](multiplier, path)
