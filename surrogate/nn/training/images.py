"""Labelled images as tensors, and the usual augmentation of small ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

MARGIN = 4
"""Pixels by which augmentation moves an image at most, up, down, left or right."""


@dataclass(frozen=True)
class Images:
    """Labelled images for training and for testing.

    Attributes
    ----------
    x_train, x_test : Tensor
        Shape ``(n, channels, height, width)``, float32, in [0, 1].
    y_train, y_test : Tensor
        Classes from 0, int64, shape ``(n,)``.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor

    @classmethod
    def from_arrays(
        cls, x_train: NDArray[Any], y_train: NDArray[Any], x_test: NDArray[Any], y_test: NDArray[Any]
    ) -> Images:
        """Build from grey-scale ``(n, height, width)`` or colour ``(n, height, width, channels)`` arrays.

        Values are divided by the largest of the training images.

        Raises
        ------
        ValueError
            If shapes, lengths or values do not fit, or a class for testing is beyond those for training.
        """
        largest = float(np.max(x_train, initial=0))
        if not (np.isfinite(largest) and largest > 0):
            raise ValueError(f"the largest pixel of the training images must be positive and finite, got {largest}")
        parts: list[Tensor] = []
        for name, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
            if x.ndim not in (3, 4) or x.shape[1:] != x_train.shape[1:] or len(x) == 0:
                raise ValueError(
                    f"x_{name} must be (n, height, width) or (n, height, width, channels), alike for training and "
                    f"test, and not empty; got {x.shape}"
                )
            if y.shape != (len(x),) or y.dtype.kind not in "iu" or y.min() < 0:
                raise ValueError(f"y_{name} must be {len(x)} classes from 0, got {y.dtype} {y.shape}")
            pixels = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)) / largest
            parts += [
                pixels[:, None] if x.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous(),
                torch.from_numpy(y.astype(np.int64)),
            ]
        n_classes, largest_class = int(y_train.max()) + 1, int(y_test.max())
        if largest_class >= n_classes:
            raise ValueError(f"y_test has class {largest_class}, but those of y_train are 0 to {n_classes - 1}")
        return cls(*parts)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1

    def subset(self, n_train: int | None = None, n_test: int | None = None) -> Images:
        """Return the first ``n_train`` images for training and ``n_test`` for testing; None keeps all.

        Raises
        ------
        ValueError
            If there are fewer.
        """
        for name, wanted, have in (("train", n_train, len(self.y_train)), ("test", n_test, len(self.y_test))):
            if wanted is not None and not 0 < wanted <= have:
                raise ValueError(f"n_{name} must be 1 to {have}, the images that there are, got {wanted}")
        return Images(self.x_train[:n_train], self.y_train[:n_train], self.x_test[:n_test], self.y_test[:n_test])


def augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image by up to four pixels, zeros follow, and mirror half of them from left to right.

    Parameters
    ----------
    x : Tensor
        Shape ``(n, channels, height, width)``.
    generator : torch.Generator
        Of the CPU.

    Notes
    -----
    The augmentation of He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
    """
    n, _, height, width = x.shape
    down, right = torch.randint(0, 2 * MARGIN + 1, (2, n, 1), generator=generator)
    rows = down + torch.arange(height)
    columns = right + torch.arange(width)
    columns = torch.where(torch.rand(n, 1, generator=generator) < 0.5, columns.flip(1), columns)
    padded = nn.functional.pad(x, (MARGIN,) * 4)
    picked = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (n, height, width, c)
    return picked.movedim(3, 1).contiguous()
