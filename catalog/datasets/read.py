"""Images from what the user names: a file or a folder in one of the usual forms."""

from __future__ import annotations

from pathlib import Path

from catalog.datasets import cifar, idx
from catalog.datasets.archive import PLAIN, read_archive
from catalog.datasets.arrays import DatasetError, ImageArrays, checked
from catalog.datasets.digits import digits


def read_images(path: str | Path) -> ImageArrays:
    """Read labelled images.

    Parameters
    ----------
    path : path
        An ``.npz`` archive of plain arrays or of JPEG files (`catalog.datasets.archive`), or a folder with IDX files
        (`catalog.datasets.idx`, as MNIST and Fashion-MNIST are published) or with the binary version of CIFAR-10 or
        CIFAR-100 (`catalog.datasets.cifar`).

    Raises
    ------
    DatasetError
        If it is none of these, or damaged.
    FileNotFoundError
        If there is no such file or folder.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}, and no folder")
    if not path.is_dir():
        return checked(read_archive(path), str(path))
    if idx.find(path):
        return checked(idx.read_idx(path), str(path))
    if cifar.is_cifar(path):
        return checked(cifar.read_cifar(path), str(path))
    if (path / "data_batch_1").is_file() or (path / "batches.meta").is_file():
        raise DatasetError(
            f"{path}: is the Python version of CIFAR-10, which is read by running it (pickle); take the binary version"
        )
    raise DatasetError(
        f"{path}: holds neither IDX files ({idx.NAMES[0]}, ...) nor the binary version of CIFAR ({cifar.TEN[0][0]}, "
        f"...); or give an .npz file of {', '.join(PLAIN)}"
    )


def load_images(source: str | Path) -> ImageArrays:
    """Return the digits of scikit-learn for ``"digits"``, else what `read_images` reads from a path."""
    return digits() if str(source) == "digits" else read_images(source)
