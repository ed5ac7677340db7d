"""Images in IDX files, the format of MNIST and of data sets after it.

Big-endian: two zero bytes, a byte that is 8 for unsigned bytes, the number of axes, their lengths as 32-bit integers,
then the values, last axis fastest. LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.datasets.arrays import DatasetError, ImageArrays

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def find(folder: Path) -> list[Path]:
    """Return those of the four files that are in a folder, compressed by gzip or not."""
    places = [[folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx")] for name in NAMES]
    return [next(path for path in paths if path.is_file()) for paths in places if any(p.is_file() for p in paths)]


def read_idx(folder: Path) -> ImageArrays:
    """Read the four files of a folder.

    Raises
    ------
    DatasetError
        If one is missing or damaged.
    """
    files = find(folder)
    if len(files) < len(NAMES):
        have = ", ".join(path.name for path in files) or "none"
        raise DatasetError(f"{folder}: needs {', '.join(NAMES)} (or these with .gz); of these it has {have}")
    return ImageArrays(*(_array(path, axes) for path, axes in zip(files, (3, 1, 3, 1), strict=True)))


def _array(path: Path, axes: int) -> NDArray[np.uint8]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"{path}: is damaged ({error})") from None
    if data[:4] != bytes((0, 0, 8, axes)) or len(data) < 4 + 4 * axes:
        raise DatasetError(
            f"{path}: must begin with bytes 0 0 8 {axes}, as IDX files of bytes do, got {list(data[:4])}"
        )
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", axes, 4))
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * axes)
    if len(body) != math.prod(shape):
        raise DatasetError(f"{path}: says {' x '.join(map(str, shape))} values, and holds {len(body)}")
    return body.reshape(shape)
