"""Labelled images as arrays, and what all readers check of them."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class DatasetError(ValueError):
    """Files that do not hold labelled images; the message says which, and what was expected."""


class ImageArrays(NamedTuple):
    """Labelled images as arrays: ``x`` (n, height, width[, channels]), ``y`` (n,) classes from 0."""

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]

    def fingerprint(self) -> str:
        """Return the SHA-256 of shapes, types and values: which data a result is of."""
        digest = hashlib.sha256()
        for array in self:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def checked(images: ImageArrays, source: str) -> ImageArrays:
    """Return images as they are, if numbers of images and labels agree.

    Raises
    ------
    DatasetError
        If they do not, there are none, or a class for testing is beyond those for training.
    """
    for part, x, y in (("training", images.x_train, images.y_train), ("testing", images.x_test, images.y_test)):
        if x.ndim not in (3, 4):
            raise DatasetError(
                f"{source}: images for {part} must be (n, height, width) or (n, height, width, channels), got {x.shape}"
            )
        if y.dtype.kind not in "iu" or y.shape != (len(x),) or len(y) == 0:
            raise DatasetError(
                f"{source}: {len(x)} images for {part} need as many integer labels and at least one, "
                f"got {y.dtype} {y.shape}"
            )
        if y.min() < 0:
            raise DatasetError(f"{source}: classes count from 0, but a label for {part} is {y.min()}")
    if images.x_train.shape[1:] != images.x_test.shape[1:]:
        raise DatasetError(
            f"{source}: images for training are {images.x_train.shape[1:]}, for testing {images.x_test.shape[1:]}"
        )
    if images.y_test.max() > images.y_train.max():
        raise DatasetError(
            f"{source}: there are {images.y_train.max() + 1} classes for training, but class {images.y_test.max()} "
            f"for testing (they count from 0)"
        )
    return images
