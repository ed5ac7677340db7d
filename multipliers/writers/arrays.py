"""Tables in NumPy's ``.npz`` files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier


def write_npz(multiplier: Multiplier, path: str | Path) -> Path:
    """Write the table of a multiplier to a compressed ``.npz`` file that `multipliers.readers.arrays` reads back.

    The file holds ``table`` (int64; row = first operand, natural order of the values) and the texts ``a`` and ``b``
    (operand formats, such as ``"8s"``) and ``name``. It appears under its name only when it is complete.

    Parameters
    ----------
    multiplier : Multiplier
        Of at most 2**24 operand pairs.
    path : str or Path
        Where to write, replacing what is there; the suffix ``.npz`` is not added.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TableTooLargeError
        If the table has more than 2**24 entries; nothing is written.
    OSError
        If the folder does not exist or cannot be written to; nothing is left behind.
    """
    table = multiplier.table()
    return write_atomically(
        path,
        lambda file: np.savez_compressed(
            file, table=table, a=multiplier.a.label, b=multiplier.b.label, name=multiplier.name
        ),
    )
