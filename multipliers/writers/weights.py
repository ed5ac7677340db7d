"""Operand distributions in NumPy's ``.npz`` files; see `multipliers.readers.weights`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multipliers.distributions import OperandDistributions
from multipliers.files import write_atomically


def write_distributions(distributions: OperandDistributions, path: str | Path) -> Path:
    """Write ``weights_a`` and ``weights_b`` with the texts ``a`` and ``b`` (operand formats) to a ``.npz`` file.

    ``axsurrogate characterise SPEC --weights-a PATH --weights-b PATH`` takes each operand's weights from it.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind.
    """
    d = distributions
    return write_atomically(
        path,
        lambda file: np.savez_compressed(file, a=d.a.label, b=d.b.label, weights_a=d.weights_a, weights_b=d.weights_b),
    )
