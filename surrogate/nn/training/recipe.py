"""How to train: epochs, rates, batches."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Recipe:
    """How to train: stochastic gradient descent with momentum, cross-entropy.

    Attributes
    ----------
    epochs : int
        Epochs in all.
    learning_rate : float
        At the first step.
    batch_size : int
        Images a step.
    momentum, weight_decay : float
        As of `torch.optim.SGD`.
    augment : bool
        Move and mirror images (`surrogate.nn.training.images.augmented`).
    seed : int
        Decides the order of images and their augmentation, independently of torch's global generator.
    steps_per_epoch : int, optional
        Steps of an epoch; by default as many as pass over all images once. More or fewer go on where the last epoch
        ended: images are drawn without replacement within a pass.
    schedule : {"cosine", "constant"}
        Of the learning rate: down to 0 along half a cosine, or none.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    epochs: int
    learning_rate: float
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 0.0
    augment: bool = False
    seed: int = 0
    steps_per_epoch: int | None = None
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch_size", 1), ("steps_per_epoch", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be {least} or more, got {value}")
        for name in ("learning_rate", "momentum", "weight_decay"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number from 0, got {value}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {SCHEDULES}, got {self.schedule!r}")

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)
