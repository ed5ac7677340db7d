"""Inference without retraining: what correcting batch-norm statistics and biases brings back.

A network that is trained in float is converted to each multiplier and tested as it is, and corrected in each way that
`surrogate.nn.correct_` knows; beside it, the shares of error variance in the outputs of its layers are measured
(`surrogate.nn.error_variance`). M. S. Kim, A. A. Del Barrio, H. Kim, N. Bagherzadeh, "The Effects of Approximate
Multiplication on Convolutional Neural Networks", IEEE Trans. Emerging Topics in Computing 10(2), 2022.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

from catalog.studies.baseline import trained_network
from catalog.studies.identity import short_fingerprint

if TYPE_CHECKING:
    from catalog.studies.study import Row, Study, Told
    from multipliers.multiplier import Multiplier
    from surrogate.nn import ApproxConfig
    from surrogate.nn.training import Images, Recipe

NETWORKS = ("resnet20-w8", "resnext20-w16-g1", "resnext20-w16-g4", "resnext20-w16-dw", "lenet5")
"""A deep residual network; one network with conventional, grouped and depthwise convolutions; and one without batch
normalisation."""

MULTIPLIERS = ("mitchell8s", "mitchw8s_w4c2", "bam8s_h0v6")

REFERENCES = ("quantised", "quantised, reestimated")
"""What corrections are compared with: accurate products, with the statistics of training and with estimated ones."""

CORRECTIONS = {
    "none": (None, False),
    "analytic": ("analytic", False),
    "gain": ("gain", True),
    "reestimate": ("reestimate", True),
    "transfer": ("transfer", True),
    "bias": ("bias", True),
    "auto": ("auto", True),
    "separable": ("bias", False),
}
"""Rows by name: the method of `surrogate.nn.correct_`, and whether it is given batches."""

WITH_STATISTICS = (*REFERENCES, "none", "analytic", "gain", "reestimate", "transfer", "bias", "auto")
"""Rows of networks with batch normalisation."""

WITHOUT_STATISTICS = (REFERENCES[0], "none", "separable", "bias")
"""Rows of networks without."""

_BATCH = 128
_PRODUCTS = 8
"""Of the approximate surrogate of a multiplier that is too wide for a table and of high rank."""
_SAMPLE = 1 << 18


def run_inference(
    study: Study,
    images: Images,
    networks: Sequence[str],
    recipe: Recipe,
    multipliers: Sequence[Multiplier],
    *,
    seeds: int = 1,
    calibration: int = 1024,
    told: Told | None = None,
) -> list[Row]:
    """Test networks with multipliers, uncorrected and corrected.

    Parameters
    ----------
    study : Study
        Of settings that say which images and recipe these are, and how many images calibrate.
    images : Images
        Networks are trained, calibrated and corrected with its training part, and tested with the other.
    networks : sequence of str
        As `surrogate.nn.networks.create_network` takes them.
    recipe : Recipe
        Of float training.
    multipliers : sequence of Multiplier
        Of more than 2**24 operand pairs, a surrogate stands for one; the rows say what is known of it.
    seeds : int
        Repetitions, from other initial weights and orders of images.
    calibration : int
        Training images, without labels, that ranges, statistics and mean errors are measured on.
    told : callable, optional
        ``told(stage, done, in_all)``.

    Returns
    -------
    list of dict
        One for each network, seed, multiplier and correction: its accuracy, the mean relative error of the multiplier,
        the mean gain of its layers or of their correction, and the time that correcting took. ``accuracy`` is None,
        and ``reason`` given, where a correction does not apply. Rows of no correction have ``layers``, the shares of
        error variance.
    """
    simulations = [_Simulation(m) for m in multipliers]
    rows: list[Row] = []
    for network in networks:
        for seed in range(seeds):
            model = trained_network(study, network, images, replace(recipe, seed=seed), told, seed)
            subject = _Subject(network, seed, model, images, cast(Any, images.x_train[:calibration]).split(_BATCH))
            cells = [
                _float_cell(subject),
                *(cell for simulation in simulations for cell in _cells(subject, simulation)),
            ]
            for done, (key, compute) in enumerate(cells):
                if told is not None:
                    told(f"{network}: {key['multiplier']}, {key['correction']}", done, len(cells))
                rows.append(study.cell(key, compute))
    return rows


@dataclass
class _Simulation:
    """How layers simulate a multiplier, settled when it is first needed."""

    multiplier: Multiplier

    @cached_property
    def config(self) -> ApproxConfig:
        """Exact up to 2**24 operand pairs; by a surrogate above."""
        import surrogate
        from multipliers.multiplier import MAX_TABLE_ENTRIES
        from surrogate.nn import ApproxConfig

        if self.multiplier.n_pairs <= MAX_TABLE_ENTRIES:
            return ApproxConfig(multiplier=self.multiplier)
        try:
            found = surrogate.discover(self.multiplier, "exact", terms=4, sample=_SAMPLE)
        except surrogate.FitError:
            found = surrogate.discover(self.multiplier, "lowrank", products=_PRODUCTS, sample=_SAMPLE)
        return ApproxConfig(multiplier=self.multiplier, surrogate=found)

    @property
    def evidence(self) -> str:
        """What is known of the simulation."""
        model = self.config.surrogate
        if model is None or model.is_exact:
            return "exact"
        certificate = cast(Any, model.certificate)
        if certificate.n_different == 0:
            return f"no difference in {certificate.n_pairs} sampled pairs"
        return f"approximate, {model.n_terms} terms, RMS residual {certificate.rms_residual:.3g}"


@dataclass
class _Subject:
    """A trained network, and its conversion to the multiplier of the day."""

    network: str
    seed: int
    model: Any
    images: Images
    batches: Sequence[Any]
    _converted: tuple[str, Any] = field(default=("", None))

    def converted(self, simulation: _Simulation) -> Any:
        """Return the calibrated conversion, without corrections."""
        from surrogate.nn import approximate_, calibrate, revert_correction_

        name = simulation.multiplier.name
        if self._converted[0] != name:
            model = copy.deepcopy(self.model)
            approximate_(model, simulation.config)
            calibrate(model, self.batches)
            self._converted = name, model
        revert_correction_(self._converted[1])
        return self._converted[1]

    def accuracy(self, model: Any) -> float:
        """Share of the test images that are classified rightly."""
        from surrogate.nn.training import accuracy

        return accuracy(model, self.images.x_test, self.images.y_test)


Cell = tuple[dict[str, Any], Callable[[], dict[str, Any]]]


def _float_cell(subject: _Subject) -> Cell:
    key = {"network": subject.network, "seed": subject.seed, "multiplier": "-", "correction": "float"}
    return key, lambda: {"accuracy": subject.accuracy(subject.model)}


def _cells(subject: _Subject, simulation: _Simulation) -> Iterator[Cell]:
    """Yield what is measured of a network with a multiplier."""
    from surrogate.nn.corrections.pairs import batch_norm_pairs

    multiplier = simulation.multiplier
    key = {"network": subject.network, "seed": subject.seed, "multiplier": multiplier.name}
    key["fingerprint"] = short_fingerprint(multiplier)
    for correction in WITH_STATISTICS if batch_norm_pairs(subject.model) else WITHOUT_STATISTICS:
        measure = _reference if correction in REFERENCES else _corrected
        yield {**key, "correction": correction}, partial(measure, subject, simulation, correction)


def _reference(subject: _Subject, simulation: _Simulation, reference: str) -> dict[str, Any]:
    from surrogate.nn import mode, reestimate_batch_norm_

    model = subject.converted(simulation)
    with mode(model, "quantised"):
        if reference == "quantised":
            return {"accuracy": subject.accuracy(model)}
        model = copy.deepcopy(model)  # the statistics of the other are those of training still
        reestimate_batch_norm_(model, subject.batches)
        return {"accuracy": subject.accuracy(model)}


def _corrected(subject: _Subject, simulation: _Simulation, correction: str) -> dict[str, Any]:
    from surrogate.nn import ConversionError, correct_, error_variance
    from surrogate.nn.corrections.statistics import mean_relative_error

    model = subject.converted(simulation)
    found: dict[str, Any] = {
        "simulation": simulation.evidence,
        "relative_error": mean_relative_error(simulation.config),
    }
    method, measures = CORRECTIONS[correction]
    if method is None:
        layers = error_variance(model, subject.batches[:2])
        gain = statistics.fmean(layer.gain for layer in layers)
        return found | {
            "accuracy": subject.accuracy(model),
            "gain": gain,
            "layers": [layer.to_dict() for layer in layers],
        }
    start = time.perf_counter()
    try:
        done = correct_(model, subject.batches if measures else None, method)
    except ConversionError as error:
        return found | {"accuracy": None, "reason": str(error)}
    took = time.perf_counter() - start
    gains = [layer.gain for layer in done if layer.gain is not None]
    return found | {
        "accuracy": subject.accuracy(model),
        "gain": statistics.fmean(gains) if gains else None,
        "correcting_time_s": took,
    }
