"""Images in ``.npz`` archives of NumPy: plain arrays, or JPEG files one after another."""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.datasets.arrays import DatasetError, ImageArrays

PLAIN = ("x_train", "y_train", "x_test", "y_test")
JPEG = ("jpg_train", "off_train", "y_train", "jpg_test", "off_test", "y_test")


def read_archive(path: Path) -> ImageArrays:
    """Read an ``.npz`` file.

    Plain arrays are ``x_train``, ``y_train``, ``x_test`` and ``y_test``, such as Fashion-MNIST's. JPEG files stand one
    after another in the bytes ``jpg_train``, file ``i`` from ``off_train[i]`` to ``off_train[i + 1]``, and likewise for
    testing.

    Raises
    ------
    DatasetError
        If the file is no such archive.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DatasetError(f"{path}: is a single array; save {', '.join(PLAIN)} with numpy.savez")
        with archive:
            if "jpg_train" in archive:
                arrays = _members(archive, JPEG, path)
                return ImageArrays(
                    _decode(arrays["jpg_train"], arrays["off_train"], f"{path}: jpg_train"),
                    arrays["y_train"],
                    _decode(arrays["jpg_test"], arrays["off_test"], f"{path}: jpg_test"),
                    arrays["y_test"],
                )
            return ImageArrays(**_members(archive, PLAIN, path))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: is not an .npz file of plain arrays {', '.join(PLAIN)} ({error})") from None


def _members(archive: Any, keys: tuple[str, ...], path: Path) -> dict[str, NDArray[Any]]:
    missing = [key for key in keys if key not in archive]
    if missing:
        raise DatasetError(f"{path}: lacks {', '.join(missing)}; it holds {', '.join(archive.files) or 'nothing'}")
    return {key: archive[key] for key in keys}


def _decode(data: NDArray[Any], offsets: NDArray[Any], source: str) -> NDArray[Any]:
    """Decode JPEG files that stand one after another."""
    from PIL import Image

    if data.dtype != np.uint8 or data.ndim != 1:
        raise DatasetError(f"{source}: must be bytes, got {data.dtype} {data.shape}")
    if offsets.dtype.kind not in "iu" or offsets.ndim != 1 or len(offsets) < 2:
        raise DatasetError(f"{source}: its offsets must be two integers or more, got {offsets.dtype} {offsets.shape}")
    if offsets[0] < 0 or offsets[-1] > len(data) or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise DatasetError(f"{source}: its offsets must grow from 0 or more to {len(data)} at most")
    images: list[NDArray[Any]] = []
    whole = data.tobytes()
    for number, (start, stop) in enumerate(itertools.pairwise(offsets)):
        try:
            with Image.open(io.BytesIO(whole[start:stop]), formats=["JPEG"]) as image:
                images.append(np.asarray(image))
        except (OSError, SyntaxError) as error:  # what Pillow raises for damaged files
            raise DatasetError(f"{source}: image {number} cannot be decoded ({error})") from None
        if images[-1].shape != images[0].shape:
            raise DatasetError(
                f"{source}: image {number} is {images[-1].shape}, the first {images[0].shape}; all must be alike"
            )
    return np.stack(images)
