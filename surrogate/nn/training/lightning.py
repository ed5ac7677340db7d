"""Schedules of modes as callbacks of Lightning, imported when they are made."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

from surrogate.nn.training.plateau import PlateauSwitch
from surrogate.nn.training.schedule import ModeSchedule

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
"""The two names of Lightning; a callback of the one is none of the other."""


def mode_callback(schedule: ModeSchedule | PlateauSwitch, monitor: str | None = None) -> Any:
    """Make a Lightning callback that sets the modes of a schedule before each epoch of training.

        Trainer(callbacks=[mode_callback(ModeSchedule.switch(30))])
        Trainer(callbacks=[mode_callback(PlateauSwitch(PlateauRule(n_images=5000)), monitor="val_accuracy")])

    Patterns of the schedule match names in the LightningModule: ``"network.features.*"`` for layers of its attribute
    ``network``. A `PlateauSwitch` is stored in Lightning's checkpoints.

    Parameters
    ----------
    schedule : ModeSchedule or PlateauSwitch
        What sets the modes.
    monitor : str, optional
        For a `PlateauSwitch`: the metric that `LightningModule.log` knows as the validation accuracy, a share.

    Returns
    -------
    Callback
        Of ``lightning.pytorch`` or ``pytorch_lightning``, whichever has been imported, else is installed.

    Raises
    ------
    ImportError
        If neither is installed.
    ValueError
        If a `PlateauSwitch` has nothing to monitor, or a `ModeSchedule` something; while training, if the module does
        not log it.
    """
    if isinstance(schedule, PlateauSwitch) != (monitor is not None):
        raise ValueError("a PlateauSwitch needs monitor=, the name of the logged accuracy; a ModeSchedule has none")
    return _callback_class(_lightning())(schedule, monitor)


def _lightning() -> str:
    """Find which of the two names is in use, or installed."""
    imported = [name for name in PACKAGES if sys.modules.get(name) is not None]
    for name in imported or PACKAGES:
        try:
            import_module(name)
        except ModuleNotFoundError:
            continue
        return name
    raise ImportError("Lightning is not installed; `pip install 'axsurrogate[lightning]'`")


@cache
def _callback_class(package: str) -> Any:
    class ModeCallback(import_module(package).Callback):  # type: ignore[misc]  # one of two, known at run time
        """Sets the modes of a schedule."""

        def __init__(self, schedule: ModeSchedule | PlateauSwitch, monitor: str | None) -> None:
            self.schedule, self.monitor = schedule, monitor

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            """Set the modes of the epoch that begins."""
            self.schedule.apply(pl_module, trainer.current_epoch)

        def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            """Tell a `PlateauSwitch` the accuracy."""
            if isinstance(self.schedule, PlateauSwitch) and not trainer.sanity_checking:
                found = trainer.callback_metrics.get(self.monitor)
                if found is None:
                    logged = ", ".join(map(repr, trainer.callback_metrics)) or "nothing"
                    raise ValueError(f"the module logs no {self.monitor!r} in validation; it logs {logged}")
                self.schedule.observe(float(found))

        def state_dict(self) -> dict[str, Any]:
            """Return the accuracies that a `PlateauSwitch` has observed."""
            return {"accuracies": list(self.schedule.accuracies)} if isinstance(self.schedule, PlateauSwitch) else {}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """Go on from these."""
            if isinstance(self.schedule, PlateauSwitch):
                self.schedule.accuracies = list(state_dict["accuracies"])

    return ModeCallback
