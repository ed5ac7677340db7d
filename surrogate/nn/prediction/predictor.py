"""The accuracy of a network with approximate multipliers, predicted from their errors without running them.

Errors of each layer's outputs (`surrogate.nn.prediction.moments`) change the margins of the network's decisions as
`surrogate.nn.prediction.sensitivity` measured once. Over all layers the changes add up to a mean and a variance for
each margin of each image, and

    accuracy = mean over images of  min over rivals of  Phi((margin + mean) / sqrt(variance))

with ``Phi`` the normal distribution function. This is a first-order answer: predictions rank multipliers, and tell how
much is lost where that is little; where most is lost, they tell no more than that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr
from torch import nn

from multipliers.distributions import FloatArray, OperandDistributions
from multipliers.multiplier import Multiplier
from multipliers.registry import get
from multipliers.table import TableMultiplier
from surrogate.nn.calibration import calibrate, mode
from surrogate.nn.config import ApproxConfig
from surrogate.nn.convert import approximate_, approximate_layers
from surrogate.nn.distributions import from_model
from surrogate.nn.errors import ConversionError
from surrogate.nn.prediction.moments import LayerOperands, output_error
from surrogate.nn.prediction.sensitivity import Sensitivities, measure_sensitivities
from surrogate.nn.progress import Progress
from surrogate.nn.selection import Configs, listed

Choice = Multiplier | str | Mapping[str, Multiplier | str]
"""One multiplier for all layers, or one for each by name; a string is a label, such as ``"drum8s_k4"``."""

_TABULATED = 1 << 16
"""Multipliers of at most so many operand pairs are tabulated once, and looked up in every layer."""


@dataclass(frozen=True)
class Prediction:
    """What is predicted of a network with approximate multipliers.

    Attributes
    ----------
    accuracy : float
        Predicted share of images that are classified correctly.
    accurate : float
        The share by accurate products of the same quantised operands, of the same images: measured, not predicted.
    """

    accuracy: float
    accurate: float

    @property
    def loss(self) -> float:
        """By how much accuracy falls, as a fraction."""
        return self.accurate - self.accuracy


@dataclass(frozen=True)
class Ranked:
    """A multiplier of a ranking.

    Attributes
    ----------
    name : str
    multiplier : Multiplier
    prediction : Prediction
        With it in every layer.
    """

    name: str
    multiplier: Multiplier
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class MarginChange:
    """By how much errors of layers change the margins of images.

    Attributes
    ----------
    mean, variance : ndarray of float64, shape (images, rivals)
    """

    mean: FloatArray
    variance: FloatArray

    def __add__(self, other: MarginChange) -> MarginChange:
        """Add errors of other layers, which are taken to be independent."""
        return MarginChange(self.mean + other.mean, self.variance + other.variance)

    def __sub__(self, other: MarginChange) -> MarginChange:
        """Take errors of some layers away again."""
        return MarginChange(self.mean - other.mean, np.maximum(self.variance - other.variance, 0.0))


class AccuracyPredictor:
    """Predicts the accuracy of a trained network with any multipliers of some operand formats; see the module.

    Parameters
    ----------
    operands : dict of str to LayerOperands
        What each layer multiplies.
    sensitivities : Sensitivities
        Of the same layers.
    distributions : dict of str to OperandDistributions
        The operand values that the products of each layer meet.
    configs : dict of str to ApproxConfig
        Of the same layers; their multipliers do not matter, but for the operand formats.
    corrected : bool
        Whether `surrogate.nn.correct_` will take the mean errors off the biases: then nothing is shifted.

    Examples
    --------
    >>> import torch
    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <torch...>
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> images = torch.rand(64, 8)
    >>> batches = [(images, model(images).argmax(dim=1))]
    >>> predictor = AccuracyPredictor.measure(model, batches, ApproxConfig(multiplier="exact8s"))
    >>> [ranked.name for ranked in predictor.rank(["trunc8s_t3", "bam8s_h0v2"])]
    ['bam8s_h0v2', 'trunc8s_t3']
    >>> mixed = predictor.predict({"0": "bam8s_h0v2", "2": "trunc8s_t3"})
    >>> predictor.predict("trunc8s_t3").accuracy <= mixed.accuracy <= predictor.predict("bam8s_h0v2").accuracy
    True
    """

    def __init__(
        self,
        operands: Mapping[str, LayerOperands],
        sensitivities: Sensitivities,
        distributions: Mapping[str, OperandDistributions],
        configs: Mapping[str, ApproxConfig],
        corrected: bool = False,
    ) -> None:
        self.operands, self.sensitivities = dict(operands), sensitivities
        self.distributions, self.configs = dict(distributions), dict(configs)
        self.corrected = corrected
        self.nothing = MarginChange(*(np.zeros(sensitivities.margins.shape) for _ in range(2)))

    @classmethod
    def measure(
        cls,
        model: nn.Module,
        batches: Iterable[Any],
        config: Configs | None = None,
        *,
        rivals: int = 9,
        corrected: bool = False,
        progress: Progress = None,
    ) -> AccuracyPredictor:
        """Measure what predictions rest on: one pass for the operands, and one with gradients.

        Parameters
        ----------
        model : nn.Module
            With calibrated approximate layers; or any model, with ``config``. It is not changed.
        batches : iterable of (Tensor, Tensor)
            Images and their classes, such as a thousand; iterated more than once, so no generator.
        config : ApproxConfig or mapping, optional
            Quantise a copy of the model so, and calibrate it on the batches.
        rivals : int
            Against how many other classes margins are taken.
        corrected : bool
            Predict for networks that ``correct_(model, batches, "bias")`` corrects after conversion.
        progress : bool or callable, optional
            As of `surrogate.nn.calibrate`, for the sensitivities, which take most of the time.

        Raises
        ------
        ConversionError
            If the model has no approximate layer, or the batches are not as described.
        NotCalibratedError
            If a layer has not seen the range of its activations.
        """
        if iter(batches) is batches:
            raise ConversionError("the batches are iterated more than once; pass a list or a data loader")
        model = copy.deepcopy(model)
        if config is not None:
            approximate_(model, config)
            calibrate(model, batches)
        with mode(model, "quantised"):
            counted = from_model(model, batches)
        sensitivities = measure_sensitivities(model, batches, rivals, progress)
        n_images = len(sensitivities.margins)
        layers = dict(approximate_layers(model))
        operands = {
            name: LayerOperands.of(layer, counted[name], n_images, sensitivities.layers[name].n_outputs)
            for name, layer in layers.items()
        }
        configs = {name: layer.config for name, layer in layers.items()}
        return cls(operands, sensitivities, counted, configs, corrected)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(self.operands)

    @property
    def n_products(self) -> dict[str, float]:
        """Products that each layer takes for an image."""
        return {name: operands.n_products for name, operands in self.operands.items()}

    def change(self, layer: str, multiplier: Multiplier | str) -> MarginChange:
        """Compute how the errors of a multiplier in one layer change the margins.

        Raises
        ------
        ConversionError
            If there is no such layer, or the multiplier's operands have other formats than the layer's.
        """
        if layer not in self.operands:
            raise ConversionError(f"there is no layer {layer!r}; layers: {listed(self.operands)}")
        operands, multiplier = self.operands[layer], _multiplier(multiplier)
        if (multiplier.a, multiplier.b) != operands.formats:
            a, b = operands.formats
            raise ConversionError(
                f"{multiplier.name} multiplies {multiplier.a} x {multiplier.b} operands, and layer {layer!r} was "
                f"measured for {a} x {b}; measure another predictor with a multiplier of these formats"
            )
        error = output_error(operands, multiplier)
        by = self.sensitivities.layers[layer]
        mean = by.gain @ error.gain
        if not self.corrected:
            mean = mean + by.shift @ error.shift
        return MarginChange(mean, by.shift**2 @ error.variance)

    def predict(self, choice: Choice) -> Prediction:
        """Predict the accuracy with a multiplier in all layers, or with one for each.

        Parameters
        ----------
        choice : Multiplier, str, or mapping of str to Multiplier or str
            Layers that a mapping leaves out multiply accurately.

        Raises
        ------
        ConversionError
            As of `change`.
        """
        if not isinstance(choice, Mapping):
            choice = dict.fromkeys(self.layers, tabulated(_multiplier(choice)))
        changes = (self.change(layer, multiplier) for layer, multiplier in choice.items())
        return self.prediction(sum(changes, start=self.nothing))

    def prediction(self, change: MarginChange) -> Prediction:
        """Predict the accuracy under a change of the margins."""
        return Prediction(self._accuracy(change), self._accuracy(self.nothing))

    def rank(
        self, multipliers: Iterable[Multiplier | str], told: Callable[[int, str], None] | None = None
    ) -> list[Ranked]:
        """Rank multipliers by the predicted accuracy with each in all layers, the best first.

        Parameters
        ----------
        multipliers : iterable of Multiplier or str
        told : callable, optional
            ``told(done, name)`` after each.

        Raises
        ------
        ConversionError
            As of `change`.
        """
        ranked = []
        for done, choice in enumerate(multipliers, 1):
            multiplier = _multiplier(choice)
            ranked.append(Ranked(multiplier.name, multiplier, self.predict(multiplier)))
            if told is not None:
                told(done, multiplier.name)
        return sorted(ranked, key=lambda one: -one.prediction.accuracy)

    def _accuracy(self, change: MarginChange) -> float:
        margins = self.sensitivities.margins + change.mean
        sd = np.sqrt(change.variance)
        certain = sd == 0
        z = np.divide(margins, sd, out=np.where(margins > 0, np.inf, -np.inf), where=~certain)
        return float(ndtr(z.min(axis=1)).mean())


def tabulated(multiplier: Multiplier) -> Multiplier:
    """Return a multiplier by its table, where that is small: it is called for every layer."""
    if isinstance(multiplier, TableMultiplier) or multiplier.n_pairs > _TABULATED:
        return multiplier
    return TableMultiplier(multiplier.table(), multiplier.a, multiplier.b, multiplier.name)


def _multiplier(choice: Multiplier | str) -> Multiplier:
    return get(choice) if isinstance(choice, str) else choice
