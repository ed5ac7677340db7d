"""Plain training loops: the same steps, batches and learning rates whatever a model's layers compute."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from surrogate.nn.training.checkpoint import CheckpointError, load_state, save_state
from surrogate.nn.training.images import Images, augmented
from surrogate.nn.training.recipe import Recipe

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch of training was.

    Attributes
    ----------
    number : int
        From 1.
    losses : tuple of float
        Training loss of each step.
    time_s : float
        Wall-clock time of the epoch.
    step_time_s : float
        Median wall-clock time of a step.
    """

    number: int
    losses: tuple[float, ...]
    time_s: float
    step_time_s: float

    @property
    def loss(self) -> float:
        """Mean training loss; NaN of no step."""
        return statistics.fmean(self.losses) if self.losses else math.nan


class Training:
    """A training that goes on epoch by epoch, and can be stopped, stored and resumed between them.

    Resumed from `state_dict`, it takes the steps that it would have taken, bit for bit.

    Parameters
    ----------
    model : nn.Module
        Maps images to class scores; trained in place, on its own device.
    images : Images
        Batches are drawn from its training part.
    recipe : Recipe
        Epochs, rates, batches.

    Examples
    --------
    >>> from surrogate.nn.networks import LeNet5
    >>> images = Images(torch.rand(96, 1, 8, 8), torch.arange(96) % 4, torch.rand(8, 1, 8, 8), torch.arange(8) % 4)
    >>> training = Training(LeNet5.seeded(0, 8, 1, 4), images, Recipe(epochs=2, learning_rate=0.01, batch_size=32))
    >>> len(training.run_epoch().losses), training.epoch, training.finished
    (3, 1, False)
    """

    def __init__(self, model: nn.Module, images: Images, recipe: Recipe) -> None:
        self.model, self.images, self.recipe = model, images, recipe
        self.epoch = 0
        self.steps_per_pass = math.ceil(len(images.x_train) / recipe.batch_size)
        self.steps_per_epoch = self.steps_per_pass if recipe.steps_per_epoch is None else recipe.steps_per_epoch
        self.optimiser = torch.optim.SGD(
            model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        steps = max(1, recipe.epochs * self.steps_per_epoch)
        self.scheduler: torch.optim.lr_scheduler.LRScheduler = (
            torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, T_max=steps)
            if recipe.schedule == "cosine"
            else torch.optim.lr_scheduler.ConstantLR(self.optimiser, factor=1.0)
        )
        self._orders = torch.Generator().manual_seed(recipe.seed)
        self._augmentations = torch.Generator().manual_seed(recipe.seed + 1)
        self._step = 0
        self._before_order = self._orders.get_state()
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def finished(self) -> bool:
        """Whether all epochs of the recipe are done."""
        return self.epoch >= self.recipe.epochs

    def run_epoch(self, progress: Progress | None = None) -> Epoch:
        """Train for one epoch.

        Parameters
        ----------
        progress : callable, optional
            ``progress(steps_done, steps_of_the_epoch)`` after each step.

        Raises
        ------
        ValueError
            If the training is finished.
        """
        if self.finished:
            raise ValueError(f"the training is finished: the recipe has {self.recipe.epochs} epochs")
        self.model.train()
        losses: list[Tensor] = []
        times: list[float] = []
        begin = time.perf_counter()
        for step in range(self.steps_per_epoch):
            start = time.perf_counter()
            losses.append(self._take_step())
            times.append(time.perf_counter() - start)
            if progress is not None:
                progress(step + 1, self.steps_per_epoch)
        self.epoch += 1
        took = time.perf_counter() - begin
        return Epoch(
            self.epoch, tuple(float(loss) for loss in losses), took, statistics.median(times) if times else 0.0
        )

    def run(self, progress: Progress | None = None, checkpoint: str | Path | None = None) -> list[Epoch]:
        """Train for all epochs that are left.

        Parameters
        ----------
        progress : callable, optional
            ``progress(steps_done, steps)`` after each step, of all epochs of the recipe.
        checkpoint : path, optional
            File of the state after each epoch: a training that it holds goes on from there, and is complete if it was.

        Returns
        -------
        list of Epoch
            Those that were trained now.

        Raises
        ------
        CheckpointError
            If the file is damaged, or of another training.
        """
        if checkpoint is not None and Path(checkpoint).exists():
            self.load_state_dict(load_state(checkpoint))
        epochs: list[Epoch] = []
        while not self.finished:
            before = self.epoch * self.steps_per_epoch

            def advance(done: int, steps: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, self.recipe.epochs * steps)

            epochs.append(self.run_epoch(advance))
            if checkpoint is not None:
                save_state(self.state_dict(), checkpoint)
        return epochs

    def _take_step(self) -> Tensor:
        x, y = self._batch()
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.scheduler.step()
        return loss.detach()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Return the next images and classes."""
        place = self._step % self.steps_per_pass
        if place == 0:
            self._before_order = self._orders.get_state()
            self._shuffle()
        self._step += 1
        batch = self._order[place * self.recipe.batch_size :][: self.recipe.batch_size]
        x, y = self.images.x_train[batch], self.images.y_train[batch]
        if self.recipe.augment:
            x = augmented(x, self._augmentations)
        device = device_of(self.model)
        return x.to(device), y.to(device)

    def _shuffle(self) -> None:
        self._order = torch.randperm(len(self.images.x_train), generator=self._orders)

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs, torch's global generator of the CPU included: dropout and noise draw from it.

        `save_state` writes it to a file.
        """
        return {
            "recipe": self.recipe.to_dict(),
            "epoch": self.epoch,
            "step": self._step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "orders": self._before_order if self._step % self.steps_per_pass else self._orders.get_state(),
            "augmentations": self._augmentations.get_state(),
            "global_generator": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state, of a training of the same images by the same recipe; sets torch's global generator, too.

        Raises
        ------
        CheckpointError
            If it is no such state, or that of another recipe.
        """
        try:
            recipe = Recipe(**state["recipe"])
            if recipe != self.recipe:
                raise CheckpointError(f"the state is of another recipe: {recipe}, and this is {self.recipe}")
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scheduler.load_state_dict(state["scheduler"])
            self.epoch, self._step = int(state["epoch"]), int(state["step"])
            self._orders.set_state(state["orders"])
            if self._step % self.steps_per_pass:  # else the next step shuffles
                self._before_order = state["orders"]
                self._shuffle()
            self._augmentations.set_state(state["augmentations"])
            torch.set_rng_state(state["global_generator"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"this is no state of such a training ({error!r:.200})") from None


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
    """Train in place for a number of steps: SGD with momentum 0.9, cosine decay of the learning rate, cross-entropy.

    Parameters
    ----------
    model : nn.Module
        Maps images to class scores.
    images : Images
        Batches are drawn from its training part, without replacement within a pass.
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
    recipe = Recipe(1, learning_rate, batch_size, seed=seed, steps_per_epoch=steps)
    epoch = Training(model, images, recipe).run_epoch(progress)
    return TrainingRun(epoch.losses, epoch.step_time_s)


def device_of(model: nn.Module) -> torch.device:
    """Return where a model's parameters are; the CPU if it has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor, batch_size: int = 500) -> float:
    """Share of images whose highest score is their class, in evaluation mode (the mode is restored)."""
    was_training = model.training
    device = device_of(model)
    model.eval()
    right = 0
    for start in range(0, len(y), batch_size):
        part = slice(start, start + batch_size)
        right += int(torch.sum(model(x[part].to(device)).argmax(dim=1) == y[part].to(device)))
    model.train(was_training)
    return right / len(y)
