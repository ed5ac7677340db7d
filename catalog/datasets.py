"""Images to train on: the digits that scikit-learn carries, and the user's own files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

KEYS = ("x_train", "y_train", "x_test", "y_test")


class DatasetError(ValueError):
    """A file does not hold labelled images."""


class ImageArrays(NamedTuple):
    """Labelled images as arrays: ``x`` (n, height, width[, channels]), ``y`` (n,) classes from 0."""

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]


def digits() -> ImageArrays:
    """Return the 1,797 hand-written digits of 8 x 8 pixels that come with scikit-learn.

    Three in four are for training, as `sklearn.model_selection.train_test_split` draws them with seed 0. Alpaydin,
    Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        data.images, data.target, test_size=0.25, random_state=0, stratify=data.target
    )
    return ImageArrays(x_train, y_train, x_test, y_test)


def read_images(path: str | Path) -> ImageArrays:
    """Read ``x_train``, ``y_train``, ``x_test`` and ``y_test`` from an ``.npz`` file, such as Fashion-MNIST's.

    Raises
    ------
    DatasetError
        If the file is not such an archive.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DatasetError(f"{path}: is a single array; save {', '.join(KEYS)} with numpy.savez")
        with archive:
            missing = [key for key in KEYS if key not in archive]
            if missing:
                raise DatasetError(
                    f"{path}: lacks {', '.join(missing)}; it holds {', '.join(archive.files) or 'nothing'}"
                )
            return ImageArrays(*(archive[key] for key in KEYS))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: is not an .npz file of plain arrays {', '.join(KEYS)} ({error})") from None
