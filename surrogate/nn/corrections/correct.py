"""One call that corrects a converted model: batch-norm statistics where there are some, biases elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from surrogate.nn.convert import approximate_layers
from surrogate.nn.corrections.changes import change_, note_change_, originals, revert_correction_
from surrogate.nn.corrections.pairs import batch_norm_pairs
from surrogate.nn.corrections.separable import separable_error
from surrogate.nn.corrections.statistics import (
    STATISTICS,
    batch_norms,
    mean_relative_error,
    reestimate_batch_norm_,
    shift_statistics_,
    transfer_batch_norm_,
)
from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.layer import ApproxLayer
from surrogate.nn.output_errors import OutputErrors, check_approximate, output_errors
from surrogate.nn.progress import Progress
from surrogate.nn.selection import listed

METHODS = ("auto", "analytic", "gain", "reestimate", "transfer", "bias")

_ESTIMATES = {"reestimate": reestimate_batch_norm_, "transfer": transfer_batch_norm_}


@dataclass(frozen=True)
class LayerCorrection:
    """What was done about the errors of an approximate layer.

    Attributes
    ----------
    layer : str
        Name.
    norm : str or None
        Of the batch normalisation of its output, if there is one.
    method : {"analytic", "gain", "reestimate", "transfer", "bias", "none"}
        ``"none"`` if nothing was.
    gain : float or None
        Factor by which the statistics were scaled.
    mean_error : float or None
        Root mean square over channels of the mean errors that were taken off, in the unit of the outputs.
    separable : float or None
        The same of the part that follows from the weights alone, exactly (`surrogate.nn.corrections.separable`).
    """

    layer: str
    norm: str | None
    method: str
    gain: float | None = None
    mean_error: float | None = None
    separable: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)


@torch.no_grad()
def correct_(
    model: nn.Module,
    batches: Iterable[Any] | None = None,
    method: str = "auto",
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> tuple[LayerCorrection, ...]:
    """Correct a converted model for the mean error of its multipliers, in place, without training.

    | method           | batches | what is done                                                                      |
    |------------------|---------|-----------------------------------------------------------------------------------|
    | ``"analytic"``   | no      | batch-norm statistics times ``1 + e``, ``(1 + e)**2`` (mean relative error ``e``) |
    | ``"gain"``       | yes     | the same with the gain of the outputs, measured, and the mean error beside it     |
    | ``"reestimate"`` | yes     | all batch-norm statistics are estimated anew; see `reestimate_batch_norm_`        |
    | ``"transfer"``   | yes     | they change as such estimates do; see `transfer_batch_norm_`                      |
    | ``"bias"``       | yes     | mean errors of channels, measured, off the bias, or onto the mean of the norm     |
    | ``"bias"``       | no      | the same of the part of the error that follows from the weights alone, exactly    |
    | ``"auto"``       | yes     | ``"bias"`` for layers without batch normalisation, then ``"transfer"``            |
    | ``"auto"``       | no      | ``"analytic"``                                                                    |

    Parameters
    ----------
    model : nn.Module
        With calibrated approximate layers.
    batches : iterable, optional
        Inputs of the model, some hundred images; labels are not needed. ``"auto"`` and ``"transfer"`` iterate them
        more than once.
    method : str
        See above.
    forward, progress
        As in `surrogate.nn.calibrate`.

    Returns
    -------
    tuple of LayerCorrection
        One for each approximate layer.

    Raises
    ------
    ConversionError
        If the model has no approximate layer or no batch normalisation to correct, the method is unknown or needs
        batches, or has no use for them; if ``"analytic"`` meets zero points, to which relative errors do not apply.
        The model is then as before.
    NotCalibratedError
        If a layer has not seen the range of its activations.

    Notes
    -----
    Corrections made before are taken back first, so that calling twice is as calling once; `revert_correction_` takes
    them back for good. They hold for the multipliers that the model has now: correct anew after `approximate_`, and
    revert before `restore_`. Corrected values are in the model's state, those before are not.

    Measured errors are those of a layer for inputs of the accurate quantised network, so the order of layers does not
    matter. Layers whose outputs are added before they are normalised, such as the shortcuts of residual blocks, have
    no normalisation of their own.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig, approximate_, calibrate
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    >>> approximate_(model, ApproxConfig(multiplier="mitchell8s"))
    ('0', '4')
    >>> images = [torch.rand(32, 1, 8, 8)]
    >>> calibrate(model, images)
    >>> [(c.layer, c.norm, c.method) for c in correct_(model, images)]
    [('0', '1', 'transfer'), ('4', None, 'bias')]
    >>> [(c.method, c.gain and round(c.gain, 3)) for c in correct_(model)]
    [('analytic', 0.963), ('none', None)]
    """
    if method not in METHODS:
        raise ConversionError(f"method must be one of {METHODS}, got {method!r}")
    layers = dict(approximate_layers(model))
    check_approximate(layers)
    norms = {layer: norm for layer, norm in batch_norm_pairs(model) if layer in layers and _has_statistics(model, norm)}
    if method == "auto" and batches is None:
        method = "analytic"
    _check(method, layers, norms, batches)
    revert_correction_(model)
    parts = [_Part(name, layer, norms.get(name), model) for name, layer in layers.items()]
    if method == "analytic":
        return tuple(part.scale_by_formula() for part in parts)
    if method == "bias" and batches is None:
        return tuple(part.take_off(None) for part in parts)
    data = cast(Iterable[Any], batches)
    done: dict[str, LayerCorrection] = {}
    if method not in _ESTIMATES:
        errors = output_errors(model, data, forward=forward, progress=progress)
        for part in parts:
            if method == "gain":
                done[part.name] = part.scale_by_gain(errors[part.name])
            elif method == "bias" or part.norm is None:
                done[part.name] = part.take_off(errors[part.name])
    if method in _ESTIMATES or (method == "auto" and norms):
        method = "transfer" if method == "auto" else method
        before = {norm: originals(norm, STATISTICS) for norm in batch_norms(model).values()}
        _ESTIMATES[method](model, data, forward=forward, progress=progress)
        for norm, statistics in before.items():
            note_change_(norm, statistics)
        done |= {layer: LayerCorrection(layer, name, method) for layer, name in norms.items()}
    return tuple(done.get(name, LayerCorrection(name, None, "none")) for name in layers)


def _check(method: str, layers: dict[str, ApproxLayer], norms: dict[str, str], batches: Iterable[Any] | None) -> None:
    """Raise unless the method can do something for the model."""
    if method in ("gain", *_ESTIMATES) and batches is None:
        raise ConversionError(f"method={method!r} measures on data; pass batches of representative inputs")
    if method in ("auto", "transfer") and iter(cast(Iterable[Any], batches)) is batches:
        raise ConversionError(f"method={method!r} iterates the batches more than once; pass a list or a data loader")
    if method in ("analytic", "gain") and not norms:
        raise ConversionError(
            f"no approximate layer is followed by a batch normalisation with running statistics, which "
            f"method={method!r} would scale; if they have been folded, or there are none, correct biases: "
            f"correct_(model, batches, method='bias')"
        )
    if method != "analytic":
        return
    if batches is not None:
        raise ConversionError("method='analytic' needs no data; leave batches out, or take method='gain'")
    uncentred = [
        name
        for name in norms
        if any(bool(q.zero_point.any()) for q in (layers[name].activation_quantiser, layers[name].weight_quantiser))
    ]
    if uncentred:
        raise ConversionError(
            f"{listed(uncentred)} have operands with zero points, so that outputs do not scale with products; pass "
            f"batches, or quantise symmetrically: QuantiserConfig(scheme='symmetric')"
        )


def _has_statistics(model: nn.Module, norm: str) -> bool:
    return getattr(model.get_submodule(norm), "running_mean", None) is not None


@dataclass(frozen=True)
class _Part:
    """An approximate layer and the normalisation of its output."""

    name: str
    layer: ApproxLayer
    norm_name: str | None
    model: nn.Module

    @property
    def norm(self) -> nn.Module | None:
        return None if self.norm_name is None else self.model.get_submodule(self.norm_name)

    @property
    def bias(self) -> Tensor:
        bias = cast(Tensor | None, self.layer.bias)
        return torch.zeros((), dtype=torch.float64) if bias is None else bias.detach().double()

    def scale_by_formula(self) -> LayerCorrection:
        """Scale statistics by ``1 + e``, and ``1 + e`` squared."""
        if self.norm is None:
            return LayerCorrection(self.name, None, "none")
        e = mean_relative_error(self.layer.config)
        mean = cast(Tensor, self.norm.running_mean).double()
        return self._shift(e * (mean - self.bias.to(mean.device)), 1 + e, "analytic")

    def scale_by_gain(self, errors: OutputErrors) -> LayerCorrection:
        """Scale statistics by a gain that was measured, and shift them by the mean error beside it."""
        if self.norm is None:
            return LayerCorrection(self.name, None, "none")
        mean = cast(Tensor, self.norm.running_mean).double()
        return self._shift(errors.error_mean + (errors.gain - 1) * (mean - errors.mean), errors.gain, "gain")

    def _shift(self, error: Tensor, gain: float, method: str) -> LayerCorrection:
        shift_statistics_(cast(nn.Module, self.norm), error, gain)
        return LayerCorrection(self.name, self.norm_name, method, gain, _rms(error))

    def take_off(self, errors: OutputErrors | None) -> LayerCorrection:
        """Take mean errors off the outputs: those that were measured, else those of the separable part."""
        separable = separable_error(self.layer)
        error = separable if errors is None else errors.error_mean
        if self.norm is None:
            change_(self.layer, {"bias": self.bias.to(error.device) - error})
        else:
            shift_statistics_(self.norm, error)
        return LayerCorrection(self.name, self.norm_name, "bias", None, _rms(error), _rms(separable))


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
