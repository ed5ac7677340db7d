"""Tables in CSV files; see `multipliers.readers.csv_table`."""

from __future__ import annotations

from pathlib import Path

from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier


def write_csv(multiplier: Multiplier, path: str | Path) -> Path:
    r"""Write a grid: the first line has ``a\b`` and the values of ``b``, each further line a value of ``a``, products.

    Raises
    ------
    TableTooLargeError
        If the table has more than 2**24 entries; nothing is written.
    OSError
        If it cannot be written; nothing is left behind.
    """
    table = multiplier.table().tolist()
    lines = [",".join(["a\\b", *map(str, multiplier.b.values().tolist())])]
    for a, row in zip(multiplier.a.values().tolist(), table, strict=True):
        lines.append(",".join(map(str, [a, *row])))
    return write_atomically(path, ("\n".join(lines) + "\n").encode())
