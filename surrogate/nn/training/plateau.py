"""When to leave approximate training: a rule that switches once validation accuracy has become flat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from torch import nn

from surrogate.nn.training.schedule import ModeSchedule


@dataclass(frozen=True)
class PlateauRule:
    """Say when accuracy has become flat: when it gains less than the images that measure it can tell.

    With ``m`` the mean accuracy of the last ``window`` epochs, ``p`` that of the ``window`` epochs before, and ``n``
    images, accuracy is flat if

        m - p <= z sqrt( 2 m (1 - m) / (window n) )

    The root is the standard error of the difference of two such means of independent measurements. Those of one
    validation set depend on each other, which makes their difference surer: the rule errs on the side of switching
    early, which costs approximate epochs and not accuracy.

    Parameters
    ----------
    n_images : int
        Images that accuracy is measured on.
    window : int
        Epochs in each mean; the rule is silent for the first ``2 window`` epochs.
    z : float
        Standard errors that a gain must exceed; more switches earlier.

    Raises
    ------
    ValueError
        If ``n_images`` or ``window`` is not positive, or ``z`` is negative or not finite.

    Examples
    --------
    >>> PlateauRule(n_images=1000, window=2).switch_epoch([0.50, 0.70, 0.80, 0.84, 0.85, 0.85, 0.85])
    7
    """

    n_images: int
    window: int = 3
    z: float = 1.0

    def __post_init__(self) -> None:
        for name in ("n_images", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not (math.isfinite(self.z) and self.z >= 0):
            raise ValueError(f"z must be a finite number from 0, got {self.z}")

    def is_flat(self, accuracies: Sequence[float]) -> bool:
        """Tell whether accuracy is flat after the epochs that are given, each a share in [0, 1]."""
        if len(accuracies) < 2 * self.window:
            return False
        m = fmean(accuracies[-self.window :])
        p = fmean(accuracies[-2 * self.window : -self.window])
        return m - p <= self.z * math.sqrt(2 * m * (1 - m) / (self.window * self.n_images))

    def switch_epoch(self, accuracies: Sequence[float]) -> int | None:
        """Return how many epochs it took to become flat, the epoch to switch at; None if it has not."""
        counts = range(1, len(accuracies) + 1)
        return next((count for count in counts if self.is_flat(accuracies[:count])), None)


@dataclass
class PlateauSwitch:
    """A schedule that switches once by a `PlateauRule`: tell it the validation accuracy of each epoch.

        schedule = PlateauSwitch(PlateauRule(n_images=len(y)))
        for _ in scheduled_epochs(training, schedule):
            schedule.observe(accuracy(model, x, y))

    Parameters
    ----------
    rule : PlateauRule
        When to switch.
    first, then : str
        Modes before and after.
    layers : str
        Pattern of the layers that switch.
    accuracies : list of float
        Those observed; give them, to go on with a training.
    """

    rule: PlateauRule
    first: str = "approximate"
    then: str = "quantised"
    layers: str = "*"
    accuracies: list[float] = field(default_factory=list)

    def observe(self, accuracy: float) -> None:
        """Take note of the validation accuracy after an epoch.

        Raises
        ------
        ValueError
            If it is no share in [0, 1].
        """
        if not 0 <= accuracy <= 1:
            raise ValueError(f"the accuracy must be a share from 0 to 1, got {accuracy}")
        self.accuracies.append(float(accuracy))

    @property
    def epoch(self) -> int | None:
        """The epoch that the second mode begins at; None as long as accuracy has not been flat."""
        return self.rule.switch_epoch(self.accuracies)

    def apply(self, model: nn.Module, epoch: int) -> dict[str, str]:
        """Set the modes of an epoch, as `ModeSchedule.apply`."""
        switch = self.epoch
        begins = epoch + 1 if switch is None else switch
        return ModeSchedule.switch(begins, self.first, self.then, self.layers).apply(model, epoch)
