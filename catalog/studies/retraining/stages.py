"""Float to quantised to approximate: the stages of training, and what each leaves."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.studies.retraining.simulations import Simulation
    from multipliers.operands import OperandFormat
    from surrogate.nn import ApproxConfig
    from surrogate.nn.training import Images, Recipe

Progress = Callable[[int, int], None]
"""Called with (steps done, steps)."""

CALIBRATION_IMAGES = 1024
"""Images of the training set from which the ranges of activations are learned before quantised training."""


@dataclass(frozen=True)
class Stages:
    """How a network is trained at each stage.

    Attributes
    ----------
    floating, quantised, approximate : Recipe
        Of float training, of quantised training with accurate products, and of each retraining.
    """

    floating: Recipe
    quantised: Recipe
    approximate: Recipe

    @classmethod
    def of_steps(cls, steps: int, seed: int = 0) -> Stages:
        """Give float training a number of steps, and the other stages a third of them each."""
        from surrogate.nn.training import Recipe

        later = Recipe(1, 0.01, seed=seed, steps_per_epoch=max(1, steps // 3))
        return cls(Recipe(1, 0.05, seed=seed, steps_per_epoch=steps), later, later)

    def seeded(self, seed: int) -> Stages:
        """Return the same stages from another seed."""
        return Stages(*(replace(stage, seed=seed) for stage in (self.floating, self.quantised, self.approximate)))

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)

    def settings(self) -> dict[str, Any]:
        """Return all but the seeds as plain values, ``"floating_epochs"`` and so on, for `catalog.studies.study`."""
        return {
            f"{stage}_{name}": value
            for stage, recipe in self.to_dict().items()
            for name, value in recipe.items()
            if name != "seed"
        }


@dataclass(frozen=True)
class Retrained:
    """What a retraining led to.

    Attributes
    ----------
    before : float
        Accuracy before it, as simulated.
    simulated : float
        Accuracy after it, as simulated; that of guessing where it diverged.
    on_circuit : float
        Accuracy after it with every product as the circuit returns it; that of guessing where it diverged.
    step_time_s : float
        Median time of a training step; NaN where it diverged.
    weights : str
        SHA-256 of the retrained parameters.
    diverged : bool
        Whether training ended early, in values that are not finite.
    """

    before: float
    simulated: float
    on_circuit: float
    step_time_s: float
    weights: str
    diverged: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)


def accurate_config(a: OperandFormat, b: OperandFormat) -> ApproxConfig:
    """Configure layers for accurate products of quantised operands."""
    from multipliers.registry import create
    from surrogate.nn import ApproxConfig

    return ApproxConfig(multiplier=create("exact", a, b))


def quantise(model: Any, config: ApproxConfig, images: Images) -> None:
    """Make the layers of a float network quantised ones, calibrated, in place."""
    from surrogate.nn import approximate_, calibrate

    approximate_(model, config)
    calibrate(model, [images.x_train[:CALIBRATION_IMAGES]])


def run(model: Any, images: Images, recipe: Recipe, progress: Progress | None = None) -> float:
    """Train in place for all epochs of a recipe; return the median time of a step."""
    import statistics

    from surrogate.nn.training import Training

    times = [epoch.step_time_s for epoch in Training(model, images, recipe).run(progress)]
    return statistics.median(times) if times else 0.0


def retrain(
    model: Any,
    simulation: Simulation,
    circuit: Simulation,
    images: Images,
    recipe: Recipe,
    progress: Progress | None = None,
) -> Retrained:
    """Retrain a copy of a quantised network by one simulation of a multiplier, and test it on the circuit.

    Parameters
    ----------
    model : nn.Module
        Quantised as the simulation quantises; its ranges are kept. It is not changed.
    simulation : Simulation
        What it is retrained with.
    circuit : Simulation
        What it is tested on, beside its own simulation.
    images : Images
    recipe : Recipe
        The same seed gives the same batches, and baselines of random errors the same draws.
    progress : callable, optional
        ``progress(steps_done, steps)``.
    """
    from surrogate.nn import QuantisationError, approximate_, mode
    from surrogate.nn.training import accuracy, parameters_digest, seeded

    candidate = copy.deepcopy(model)
    approximate_(candidate, simulation.config)
    with seeded(recipe.seed), mode(candidate, simulation.mode):
        before = accuracy(candidate, images.x_test, images.y_test)
        try:
            step_time = run(candidate, images, recipe, progress)
            simulated = accuracy(candidate, images.x_test, images.y_test)
        except QuantisationError:  # layers refuse what is not finite
            guessing = 1 / images.n_classes
            return Retrained(before, guessing, guessing, math.nan, parameters_digest(candidate), diverged=True)
    approximate_(candidate, circuit.config)
    on_circuit = accuracy(candidate, images.x_test, images.y_test)
    return Retrained(before, simulated, on_circuit, step_time, parameters_digest(candidate))
