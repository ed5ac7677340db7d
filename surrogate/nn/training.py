"""Plain training loops: the same steps, batches and learning rates whatever a model's layers compute."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


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
            If shapes, lengths or values do not fit.
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
        return cls(*parts)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1


@dataclass(frozen=True)
class TrainingRun:
    """What a training left behind.

    Attributes
    ----------
    losses : tuple of float
        Training loss of each step.
    step_time_s : float
        Median wall-clock time of a step.
    """

    losses: tuple[float, ...]
    step_time_s: float


def train(
    model: nn.Module,
    images: Images,
    *,
    steps: int,
    learning_rate: float,
    batch_size: int = 64,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainingRun:
    """Train in place: SGD with momentum 0.9, cosine decay of the learning rate, cross-entropy.

    Parameters
    ----------
    model : nn.Module
        Maps images to class scores.
    images : Images
        Batches are drawn from its training part, without replacement within an epoch.
    steps : int
        Number of batches.
    learning_rate : float
        At the first step; decays to 0 along a cosine.
    batch_size : int
        Images a step.
    seed : int
        Decides the order of the images, independently of torch's global generator.
    progress : callable, optional
        ``progress(steps_done, steps)`` after each step.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=max(1, steps))
    model.train()
    losses: list[Tensor] = []
    times: list[float] = []
    per_epoch = math.ceil(len(images.x_train) / batch_size)
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(images.x_train), generator=generator)
        start = time.perf_counter()
        batch = order[step % per_epoch * batch_size :][:batch_size]
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(images.x_train[batch]), images.y_train[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        times.append(time.perf_counter() - start)
        losses.append(loss.detach())
        if progress is not None:
            progress(step + 1, steps)
    return TrainingRun(tuple(float(loss) for loss in losses), statistics.median(times) if times else 0.0)


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor, batch_size: int = 500) -> float:
    """Share of images whose highest score is their class, in evaluation mode (the mode is restored)."""
    was_training = model.training
    model.eval()
    right = 0
    for start in range(0, len(y), batch_size):
        part = slice(start, start + batch_size)
        right += int(torch.sum(model(x[part]).argmax(dim=1) == y[part]))
    model.train(was_training)
    return right / len(y)
