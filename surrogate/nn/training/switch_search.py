"""The latest epoch at which training may leave its approximate mode: found by bisection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class SwitchSearch:
    """What was tried, and what follows.

    Attributes
    ----------
    epochs : int
        Epochs of the training.
    target : float
        Accuracy to keep.
    tried : dict of int to float
        Accuracy by switch epoch, in ascending order.
    """

    epochs: int
    target: float
    tried: dict[int, float]

    @property
    def epoch(self) -> int | None:
        """The latest switch epoch of those tried that keeps the accuracy; None if none does."""
        return max(self._keeping, default=None)

    @property
    def monotone(self) -> bool:
        """Whether no tried epoch keeps the accuracy after one that does not, as bisection assumes of all."""
        failing = self.tried.keys() - self._keeping
        return max(self._keeping, default=-1) < min(failing, default=self.epochs + 1)

    @property
    def exact_epochs(self) -> int:
        """Epochs after a switch that were trained to find out."""
        return sum(self.epochs - epoch for epoch in self.tried)

    @property
    def _keeping(self) -> set[int]:
        return {epoch for epoch, accuracy in self.tried.items() if accuracy >= self.target}


def latest_switch(
    accuracy_at: Callable[[int], float], epochs: int, target: float, *, neighbours: int = 1
) -> SwitchSearch:
    """Find the latest switch epoch that keeps an accuracy, by bisection.

    Assumes that a later switch never gives a higher accuracy. Accuracies are measured, so that this may fail by chance
    where they are close to the target: the neighbours of what was found are tried, too, and `SwitchSearch.monotone`
    tells whether any of them contradicts.

    Parameters
    ----------
    accuracy_at : callable
        ``accuracy_at(epoch)``: accuracy, a share in [0, 1], of the training that switches at this epoch; called once
        per epoch. ``epochs`` means never, 0 from the start.
    epochs : int
        Epochs of the training.
    target : float
        Accuracy to keep.
    neighbours : int
        How many epochs before and after the boundary to try as well.

    Raises
    ------
    ValueError
        If ``epochs`` or ``neighbours`` is negative, or the target is no share in [0, 1].

    Notes
    -----
    At most ``2 + ceil(log2(epochs)) + 2 neighbours`` epochs are tried. Hammad, El-Sankary and Gu (arXiv 2001.00060),
    whose procedure this is, sweep.

    Examples
    --------
    >>> found = latest_switch(lambda epoch: 0.9 if epoch <= 37 else 0.8, 50, 0.85)
    >>> found.epoch, found.monotone, sorted(found.tried)
    (37, True, [0, 25, 36, 37, 38, 39, 40, 43, 50])
    """
    if epochs < 0 or neighbours < 0:
        raise ValueError(f"epochs and neighbours must be 0 or more, got {epochs} and {neighbours}")
    if not 0 <= target <= 1:
        raise ValueError(f"the target must be a share from 0 to 1, got {target}; divide percent by 100")
    tried: dict[int, float] = {}

    def keeps(epoch: int) -> bool:
        if epoch not in tried:
            tried[epoch] = accuracy_at(epoch)
        return tried[epoch] >= target

    low, high = 0, epochs  # low keeps the accuracy, high does not
    if keeps(high):
        low = high
    elif keeps(low):
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if keeps(middle) else (low, middle)
    else:
        return SwitchSearch(epochs, target, dict(sorted(tried.items())))
    for epoch in range(max(0, low - neighbours), min(epochs, low + 1 + neighbours) + 1):
        keeps(epoch)
    return SwitchSearch(epochs, target, dict(sorted(tried.items())))
