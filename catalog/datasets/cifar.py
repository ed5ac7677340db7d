"""CIFAR-10 and CIFAR-100 in their binary version.

A record is one label byte (CIFAR-100: a coarse one before it), then 32 x 32 red, green and blue bytes, row by row.
Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.datasets.arrays import DatasetError, ImageArrays

PIXELS = 3 * 32 * 32
TEN = (tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",))
HUNDRED = (("train.bin",), ("test.bin",))


def is_cifar(folder: Path) -> bool:
    """Whether a folder has a file of either set."""
    return any((folder / name).is_file() for parts in (*TEN, *HUNDRED) for name in parts)


def read_cifar(folder: Path) -> ImageArrays:
    """Read the binary files of a folder; labels of CIFAR-100 are the fine ones.

    Raises
    ------
    DatasetError
        If a file is missing or has no whole number of records.
    """
    is_hundred = (folder / HUNDRED[0][0]).is_file()
    arrays: list[NDArray[np.uint8]] = []
    for names in HUNDRED if is_hundred else TEN:
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise DatasetError(f"{folder}: lacks {', '.join(missing)}")
        arrays += _records([folder / name for name in names], labels=2 if is_hundred else 1)
    return ImageArrays(*arrays)


def _records(paths: list[Path], labels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images ``(n, 32, 32, 3)`` and their labels."""
    parts = []
    for path in paths:
        data = np.fromfile(path, np.uint8)
        if len(data) == 0 or len(data) % (labels + PIXELS):
            raise DatasetError(f"{path}: has {len(data)} bytes, not a number of records of {labels + PIXELS}")
        parts.append(data.reshape(-1, labels + PIXELS))
    records = np.concatenate(parts)
    images = records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, labels - 1].copy()
