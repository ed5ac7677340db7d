"""Hybrid training: how long training may be approximate, and whether Gaussian error predicts what multipliers do.

Hammad, El-Sankary and Gu ("Deep Learning Training with Simulated Approximate Multipliers", ROBIO 2019, arXiv
2001.00060) train with weights times random factors of given mean relative error (MRE) and standard deviation, test
without, and search the epoch to switch at that keeps the accuracy. Here the same for their eight levels of error, for
multipliers of the catalog, and for each multiplier's stand-in: Gaussian errors of its mean and standard deviation.

| kind of error  | approximate training                            | switches to, tested as    | baseline  |
|----------------|-------------------------------------------------|---------------------------|-----------|
| ``gaussian``   | float weights times factors of a level          | float                     | float     |
| ``multiplier`` | quantised, every product that of the multiplier | quantised, exact products | quantised |
| ``stand-in``   | quantised, weights times factors                | quantised, exact products | quantised |
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from catalog.studies.identity import operands_of, short_fingerprint
from multipliers.metrics import error_metrics

if TYPE_CHECKING:
    from catalog.studies.study import Row, Study, Told
    from multipliers.multiplier import Multiplier
    from surrogate.nn import RelativeError
    from surrogate.nn.training import Images, Recipe, Training

HAMMAD_LEVELS = (
    (0.012, 0.015),
    (0.014, 0.018),
    (0.024, 0.030),
    (0.036, 0.045),
    (0.048, 0.060),
    (0.096, 0.120),
    (0.192, 0.240),
    (0.382, 0.480),
)
"""Mean relative error and standard deviation of the published experiments."""

MULTIPLIERS = ("drum8s_k3", "mitchell8s", "roba8u", "bam8s_h2v5")
"""One of each of four families: leading segments, logarithmic, rounding, broken array."""

_CALIBRATION = 512


@dataclass(frozen=True)
class ErrorSource:
    """Where the errors of an approximate training come from.

    Attributes
    ----------
    kind : {"gaussian", "multiplier", "stand-in"}
    name : str
        Label of the multiplier, or ``"mre1.2 sd1.5"``, in percent.
    error : RelativeError
        The Gaussian error, or one of the multiplier's moments.
    mre : float
        Mean relative error, as published or of the multiplier itself.
    multiplier : Multiplier or None
    """

    kind: str
    name: str
    error: RelativeError
    mre: float
    multiplier: Multiplier | None = None

    @property
    def modes(self) -> tuple[str, str]:
        """Modes of layers before and after the switch."""
        first = "approximate" if self.kind == "multiplier" else "relative"
        return first, "float" if self.multiplier is None else "quantised"

    @property
    def key(self) -> dict[str, str]:
        """What names it in a study: another multiplier of the same name is another source."""
        key = {"kind": self.kind, "error": self.name}
        if self.multiplier is not None:
            key["fingerprint"] = short_fingerprint(self.multiplier)
        return key

    @property
    def baseline(self) -> str:
        """What training without these errors is: ``"float"``, or the operands that are quantised to."""
        return "float" if self.multiplier is None else operands_of(self.multiplier)


def error_sources(levels: Iterable[tuple[float, float]], multipliers: Iterable[Multiplier]) -> list[ErrorSource]:
    """List the errors of a study: Gaussian levels (MRE and standard deviation), multipliers, and their stand-ins."""
    from surrogate.nn import RelativeError

    found = [
        ErrorSource("gaussian", f"mre{100 * mre:g} sd{100 * sd:g}", RelativeError.from_mre(mre, sd), mre)
        for mre, sd in levels
    ]
    for multiplier in multipliers:
        metrics = error_metrics(multiplier)
        error = RelativeError(metrics.relative_bias, metrics.relative_sd)
        found += [
            ErrorSource(kind, multiplier.name, error, metrics.mre, multiplier) for kind in ("multiplier", "stand-in")
        ]
    return found


def run_hybrid(
    study: Study,
    images: Images,
    network: str,
    recipe: Recipe,
    sources: Iterable[ErrorSource],
    *,
    seeds: int = 1,
    validation: float = 0.1,
    tolerance: float = 0.001,
    window: int = 2,
    search: Iterable[str] = ("gaussian", "multiplier"),
    told: Told | None = None,
) -> list[Row]:
    """Train with every source of errors, and find when to leave it.

    Parameters
    ----------
    study : Study
        Keeps every accuracy that was measured; checkpoints of a source are deleted when it is done.
    images : Images
    network : str
        As `surrogate.nn.networks.create_network` takes it.
    recipe : Recipe
        Of each training; its seed is replaced.
    sources : iterable of ErrorSource
    seeds : int
        Repetitions; a seed decides weights, order of images, and errors.
    validation : float
        Share of the training images that is held out for the plateau rule.
    tolerance : float
        The search keeps the baseline's test accuracy less this, as the published one does.
    window : int
        Of the `surrogate.nn.training.PlateauRule`.
    search : iterable of str
        Kinds of error for which the latest switch is searched.
    told : callable, optional
        ``told(stage, done, total)``.

    Returns
    -------
    list of dict
        A row for each source and seed: ``baseline``, ``accuracy`` (approximate to the end), ``switch`` (the latest
        that keeps the baseline), ``monotone``, ``searched`` (epochs trained for the search), ``plateau`` (where the
        rule switches), and the accuracies of both.

    Raises
    ------
    ValueError
        If the held-out share is empty or leaves nothing to train on.
    """
    sources, search = list(sources), set(search)
    rows = []
    for seed in range(seeds):
        for number, source in enumerate(sources):
            if told is not None:
                told("sources of error", seed * len(sources) + number, seeds * len(sources))
            work = _Source(study, source, seed, images, network, recipe, validation, told)
            rows.append(work.row(tolerance, window, source.kind in search))
            work.clear()
    return rows


class _Source:
    """The trainings of one source of errors from one seed; what was measured before is not trained again."""

    def __init__(
        self,
        study: Study,
        source: ErrorSource,
        seed: int,
        images: Images,
        network: str,
        recipe: Recipe,
        validation: float,
        told: Told | None,
    ) -> None:
        from surrogate.nn.training import HybridTraining

        self.study, self.source, self.seed = study, source, seed
        self.recipe, self.network = replace(recipe, seed=seed), network
        self.images, self.held_out = _held_out(images, validation)
        name = re.sub(r"[^\w-]", "_", "_".join((*source.key.values(), f"seed{seed}")))
        self.folder = study.checkpoint(name).with_suffix("")
        where = f"{source.kind} {source.name}, seed {seed}"
        first, then = source.modes
        self.training = HybridTraining(
            self._make,
            self.folder,
            first=first,
            then=then,
            told=None if told is None else lambda stage, done, total: told(f"{where}: {stage}", done, total),
        )

    def _make(self) -> Training:
        """Begin a training: the same network and order of images whatever the error."""
        from surrogate.nn import ApproxConfig, approximate_, calibrate, perturb_weights_
        from surrogate.nn.networks import create_network
        from surrogate.nn.training import Training

        channels, height, width = self.images.x_train.shape[1:]
        model = create_network(self.network, (channels, height, width), self.images.n_classes, self.seed)
        error, multiplier = replace(self.source.error, seed=self.seed), self.source.multiplier
        if multiplier is None:
            perturb_weights_(model, error)
        else:
            approximate_(model, ApproxConfig(multiplier=multiplier, relative_error=error))
            calibrate(model, [self.images.x_train[:_CALIBRATION]])
        return Training(model, self.images, self.recipe)

    def row(self, tolerance: float, window: int, search: bool) -> Row:
        """Measure all of a row."""
        from surrogate.nn.training import PlateauRule, latest_switch

        epochs, error = self.recipe.epochs, self.source.error
        rule = PlateauRule(len(self.held_out[1]), window)
        plateau = rule.switch_epoch(self.curve()) or epochs
        baseline = self.accuracy_at(0)
        row: Row = {
            "kind": self.source.kind,
            "error": self.source.name,
            "seed": self.seed,
            "mre": self.source.mre,
            "sd": error.sd,
            "bias": error.mean,
            "epochs": epochs,
            "baseline": baseline,
            "accuracy": self.accuracy_at(epochs),
            "plateau": plateau,
            "plateau_accuracy": self.accuracy_at(plateau),
        }
        if search:
            found = latest_switch(self.accuracy_at, epochs, max(0.0, baseline - tolerance))
            row |= {
                "switch": found.epoch,
                "switch_accuracy": None if found.epoch is None else found.tried[found.epoch],
                "monotone": found.monotone,
                "searched": found.exact_epochs - (epochs if 0 in found.tried else 0),  # the baseline is there anyway
            }
        return row

    def accuracy_at(self, switch: int) -> float:
        """Test accuracy, without errors, of the training that switches at an epoch."""
        from surrogate.nn.training import accuracy

        key: Row = {**self.source.key, "seed": self.seed, "switch": switch}
        if switch == 0:
            key = {"kind": "baseline", "error": self.source.baseline, "seed": self.seed, "switch": 0}

        def compute() -> dict[str, float]:
            model = self.training.switched_at(switch).model
            return {"accuracy": accuracy(model, self.images.x_test, self.images.y_test)}

        return float(self.study.cell(key, compute)["accuracy"])

    def curve(self) -> list[float]:
        """Accuracy on the images held out, without errors, after each epoch of approximate training."""
        from surrogate.nn.training import accuracy

        key = {**self.source.key, "seed": self.seed, "switch": "curve"}

        def compute() -> dict[str, list[float]]:
            epochs = range(1, self.recipe.epochs + 1)
            return {"validation": [accuracy(self.training.at(epoch).model, *self.held_out) for epoch in epochs]}

        return list(self.study.cell(key, compute)["validation"])

    def clear(self) -> None:
        """Delete the checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _held_out(images: Images, share: float) -> tuple[Images, tuple[Any, Any]]:
    """Set the last of the training images apart."""
    n = round(share * len(images.y_train))
    if not 0 < n < len(images.y_train):
        raise ValueError(
            f"holding out {share:g} of {len(images.y_train)} training images leaves {len(images.y_train) - n} to train "
            f"on and {n} to validate; give a share between 0 and 1"
        )
    kept = replace(images, x_train=images.x_train[:-n], y_train=images.y_train[:-n])
    return kept, (images.x_train[-n:], images.y_train[-n:])
