"""Hybrid training: one approximate run, of which every checkpoint can be continued in another mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from surrogate.nn.training.checkpoint import CheckpointError, load_state, save_state
from surrogate.nn.training.loop import Training
from surrogate.nn.training.schedule import ModeSchedule

Told = Callable[[str, int, int], None]
"""Called with (stage, epochs done, epochs of the stage)."""


class HybridTraining:
    """Train in one mode, and from any of its epochs on in another: each epoch of the first mode is trained once.

    Parameters
    ----------
    make : callable
        ``make()`` returns a new `Training`, each time from the same start; its model has layers with modes.
    folder : Path
        Where the checkpoints of the first mode are kept, one an epoch; those found there are used again.
    first, then : str
        Modes before and after the switch.
    layers : str
        Pattern of the layers that switch.
    told : callable, optional
        ``told(stage, epochs_done, epochs)`` as epochs end.

    See Also
    --------
    latest_switch : Searches the latest epoch to switch at.

    Notes
    -----
    The switch changes modes and nothing else: steps, batches and learning rates go on as they would have.
    """

    def __init__(
        self,
        make: Callable[[], Training],
        folder: str | Path,
        *,
        first: str = "approximate",
        then: str = "quantised",
        layers: str = "*",
        told: Told | None = None,
    ) -> None:
        self.make, self.folder = make, Path(folder)
        self.first, self.then, self.layers = first, then, layers
        self._told = told or (lambda stage, done, total: None)

    def switched_at(self, epoch: int) -> Training:
        """Return the finished training that switched at an epoch, its layers in the second mode.

        Parameters
        ----------
        epoch : int
            From 0, the second mode alone, to the number of epochs, the first mode alone.

        Raises
        ------
        ValueError
            If the training has no such epoch.
        CheckpointError
            If a checkpoint in the folder is damaged, or of another training.
        """
        training = self.at(epoch)
        total = training.recipe.epochs
        while not training.finished:
            training.run_epoch()
            self._told(f"{self.then} from epoch {epoch}", training.epoch - epoch, total - epoch)
        return training

    def at(self, epoch: int) -> Training:
        """Return the training after some epochs in the first mode, its layers in the second; see `switched_at`."""
        training = self.make()
        epochs = training.recipe.epochs
        if not 0 <= epoch <= epochs:
            raise ValueError(f"the training has {epochs} epochs, and can switch at 0 to {epochs}, not at {epoch}")
        done = next((count for count in range(epoch, 0, -1) if self._checkpoint(count).exists()), 0)
        if done:
            self._load(training, done)
        schedule = ModeSchedule.switch(epoch, self.first, self.then, self.layers)
        self.folder.mkdir(parents=True, exist_ok=True)
        while training.epoch < epoch:
            schedule.apply(training.model, training.epoch)
            training.run_epoch()
            save_state({"mode": self.first, "training": training.state_dict()}, self._checkpoint(training.epoch))
            self._told(f"{self.first} epochs", training.epoch, epochs)
        schedule.apply(training.model, epoch)
        return training

    def _load(self, training: Training, epoch: int) -> None:
        path = self._checkpoint(epoch)
        state: dict[str, Any] = load_state(path)
        if state.get("mode") != self.first:
            raise CheckpointError(
                f"{path}: was trained in mode {state.get('mode')!r}, not {self.first!r}; give another folder"
            )
        try:
            training.load_state_dict(state["training"])
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}; give another folder") from None

    def _checkpoint(self, epoch: int) -> Path:
        return self.folder / f"epoch{epoch}.pt"
