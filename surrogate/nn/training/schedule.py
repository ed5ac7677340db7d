"""Which mode each layer trains in, epoch by epoch: approximate first, exact in the end, or any other way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, Self

from torch import nn

from surrogate.nn.calibration import layers_with_modes, set_modes_
from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.operation import MODES
from surrogate.nn.selection import deciding_pattern, listed
from surrogate.nn.training.loop import Epoch, Progress, Training


class Schedule(Protocol):
    """What sets the modes of a model's layers before an epoch."""

    def apply(self, model: nn.Module, epoch: int) -> dict[str, str]:
        """Set the modes of an epoch, counted from 0; return them by layer."""


@dataclass(frozen=True)
class ModeSchedule:
    """The mode of each layer as a function of the epoch.

    Parameters
    ----------
    modes : mapping of str to mapping of int to str
        By name pattern (as `surrogate.nn.approximate_` takes them), the mode from an epoch on: ``{"*": {0:
        "approximate", 30: "quantised"}}`` trains epochs 0 to 29 approximately. Layers that no pattern matches keep the
        mode that they have.

    Raises
    ------
    ValueError
        If there is no pattern, one says nothing of epoch 0, an epoch is no whole number from 0, or a mode is unknown.

    See Also
    --------
    surrogate.nn.training.mode_callback : The same in Lightning.

    Notes
    -----
    Layers are approximate ones, whose modes are those of `surrogate.nn.ApproxLayer`, and those of
    `surrogate.nn.simulation.perturbed_weights.perturb_weights_`, whose modes are ``"relative"`` and ``"float"``.
    Accurate products are ``"quantised"`` or ``"float"``; ``"exact"`` is the multiplier itself, simulated exactly. Modes
    that quantise need calibrated ranges at the first forward pass in evaluation; training observes them.

    Examples
    --------
    >>> schedule = ModeSchedule({"0": {0: "approximate", 5: "quantised"}, "_default": {0: "relative", 8: "float"}})
    >>> [schedule.mode("0", epoch) for epoch in (0, 4, 5, 9)]
    ['approximate', 'approximate', 'quantised', 'quantised']
    >>> schedule.mode("2", 7), ModeSchedule.switch(7).mode("2", 7)
    ('relative', 'quantised')
    """

    modes: Mapping[str, Mapping[int, str]]

    def __post_init__(self) -> None:
        if not isinstance(self.modes, Mapping) or not self.modes:
            raise ValueError(
                f'modes must map at least one pattern of layers to their modes, such as {{"*": {{0: "approximate", 30: '
                f'"quantised"}}}}, got {self.modes!r:.80}'
            )
        for pattern, by_epoch in self.modes.items():
            if not isinstance(by_epoch, Mapping) or 0 not in by_epoch:
                raise ValueError(
                    f"the pattern {pattern!r} must map epochs, 0 among them, to modes, got {by_epoch!r:.80}"
                )
            for epoch, name in by_epoch.items():
                if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
                    raise ValueError(f"the pattern {pattern!r} has epoch {epoch!r}; epochs are whole numbers from 0")
                if name not in MODES:
                    raise ValueError(f"the pattern {pattern!r} has mode {name!r}; modes are {', '.join(MODES)}")
        frozen = {pattern: MappingProxyType(dict(by_epoch)) for pattern, by_epoch in self.modes.items()}
        object.__setattr__(self, "modes", MappingProxyType(frozen))

    @classmethod
    def switch(cls, epoch: int, first: str = "approximate", then: str = "quantised", layers: str = "*") -> Self:
        """Train in one mode before an epoch, and in another from it on; at epoch 0, in the other alone."""
        return cls({layers: {0: first, epoch: then}})

    def mode(self, layer: str, epoch: int) -> str | None:
        """Return the mode of a layer at an epoch, counted from 0; None if no pattern matches its name."""
        by_epoch = self.modes.get(deciding_pattern(self.modes, (layer,)))
        return None if by_epoch is None else by_epoch[max(start for start in by_epoch if start <= epoch)]

    def apply(self, model: nn.Module, epoch: int) -> dict[str, str]:
        """Set the modes of an epoch, all or none.

        Parameters
        ----------
        model : nn.Module
            With approximate layers, or such whose weights are perturbed.
        epoch : int
            The epoch that is about to begin, counted from 0.

        Returns
        -------
        dict of str to str
            Mode by layer, of those that a pattern matches.

        Raises
        ------
        ConversionError
            If the model has no such layer, a pattern decides for none, or a layer lacks the mode.
        """
        layers = dict(layers_with_modes(model))
        used = {deciding_pattern(self.modes, (name,)) for name in layers}
        unused = [pattern for pattern in self.modes if pattern not in used]
        if unused:
            raise ConversionError(
                f"the pattern {unused[0]!r} decides for no layer that has modes; these are {listed(layers)}; "
                f"approximate_ and perturb_weights_ make them"
            )
        wanted = {name: found for name in layers if (found := self.mode(name, epoch)) is not None}
        set_modes_(layers, wanted)
        return wanted


def scheduled_epochs(training: Training, schedule: Schedule, progress: Progress | None = None) -> Iterator[Epoch]:
    """Run the remaining epochs of a training, each in the modes of a schedule.

    Parameters
    ----------
    training : Training
        Of a model with modes; it may have begun.
    schedule : ModeSchedule or PlateauSwitch
        Applied before each epoch.
    progress : callable, optional
        See `Training.run_epoch`.

    Examples
    --------
    >>> import torch
    >>> from surrogate.nn import RelativeError, perturb_weights_
    >>> from surrogate.nn.training import Images, Recipe
    >>> images = Images(torch.rand(64, 1, 4, 4), torch.arange(64) % 2, torch.rand(8, 1, 4, 4), torch.arange(8) % 2)
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> perturb_weights_(model, RelativeError.from_mre(0.05))
    ('1',)
    >>> training = Training(model, images, Recipe(epochs=3, learning_rate=0.1))
    >>> for epoch in scheduled_epochs(training, ModeSchedule.switch(2, "relative", "float")):
    ...     print(epoch.number, model[1].parametrizations.weight[0].mode)
    1 relative
    2 relative
    3 float
    """
    while not training.finished:
        schedule.apply(training.model, training.epoch)
        yield training.run_epoch(progress)
