"""Operand distributions from NumPy's files: one array of weights (``.npy``), or those of both operands (``.npz``)."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from multipliers.distributions import OperandDistributions
from multipliers.errors import TableError
from multipliers.operands import OperandFormat
from multipliers.readers.arrays import read_npy

_FIELDS = ("a", "b", "weights_a", "weights_b")


def read_weights(path: str | Path, operand: str) -> NDArray[Any]:
    """Read the weights of one operand, from a ``.npy`` file or from one that `multipliers.writers.weights` wrote.

    What they are is checked where they are used.

    Parameters
    ----------
    path : str or Path
        The file; its first bytes, not its suffix, say which of the two it is.
    operand : {"a", "b"}
        Which of the arrays of a ``.npz`` file.

    Raises
    ------
    OSError
        If it cannot be read.
    TableError
        If it is neither format, is damaged, holds objects, or as ``.npz`` lacks the fields.
    """
    with Path(path).open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic == b"\x93NUMPY":
            return read_npy(file, str(path))
    if magic[:4] != b"PK\x03\x04":
        raise TableError(
            f"{path}: is no .npy file; write the weights with numpy.save, one per operand value, or as .npz with "
            f"multipliers.writers.weights"
        )
    distributions = read_distributions(path)
    return distributions.weights_a if operand == "a" else distributions.weights_b


def read_distributions(path: str | Path) -> OperandDistributions:
    """Read what `multipliers.writers.weights.write_distributions` wrote.

    Raises
    ------
    OSError
        If it cannot be read.
    TableError
        If it is damaged, or lacks one of the fields ``a``, ``b``, ``weights_a`` and ``weights_b``.
    ParameterError
        If the weights are no distributions over the formats.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [name for name in _FIELDS if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise TableError(
                    f"{path} has no array {missing[0]!r}; distributions are stored as {', '.join(_FIELDS)}"
                )
            found = {}
            for name in _FIELDS:
                with archive.open(f"{name}.npy") as member:
                    found[name] = read_npy(member, f"{path}, array {name!r}")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise TableError(f"{path} is a truncated or corrupt .npz file: {error or type(error).__name__}") from error
    a, b = (OperandFormat.parse(str(found[name])) for name in ("a", "b"))
    return OperandDistributions(a, b, found["weights_a"], found["weights_b"])
