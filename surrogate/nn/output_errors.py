"""What a multiplier does to the outputs of layers: errors beside the accurate products of the same operands.

With ``y`` a layer's output by accurate products of its quantised operands, and ``y'`` by the multiplier's, the error
that accumulates over the products of an output is ``y' - y``. Inputs are those of the network that multiplies
accurately, so the figures of a layer do not depend on the multipliers of others.

In a dot product the mean relative error ``e`` of the products survives, as a gain near ``1 + e``, while their
deviations from it partly cancel. How much is left, as a share of the output's variance, depends on how many products
add up, and on how far they cancel: M. S. Kim, A. A. Del Barrio, H. Kim, N. Bagherzadeh, "The Effects of Approximate
Multiplication on Convolutional Neural Networks", IEEE Trans. Emerging Topics in Computing 10(2), 2022, find more in
grouped convolutions than in conventional ones, and most in depthwise ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from surrogate.nn.calibration import mode, run_batches
from surrogate.nn.convert import approximate_layers
from surrogate.nn.errors import ConversionError, NotCalibratedError
from surrogate.nn.layers.conv import ApproxConvolution
from surrogate.nn.layers.layer import ApproxLayer
from surrogate.nn.progress import Progress
from surrogate.nn.selection import listed

ACCURATE_MODES = ("float", "calibrate", "quantised")
"""Modes of layers in which nothing is approximate."""


@dataclass(frozen=True)
class OutputErrors:
    """Moments of a layer's accurate outputs ``y`` and errors ``y' - y``, over images and positions.

    Attributes
    ----------
    n : int
        Outputs of a channel.
    mean, error_mean : Tensor
        Per output channel, float64.
    variance, error_variance, covariance : Tensor
        Of ``y``, of ``y' - y``, and of both; per output channel, float64.
    """

    n: int
    mean: Tensor
    error_mean: Tensor
    variance: Tensor
    error_variance: Tensor
    covariance: Tensor

    @property
    def gain(self) -> float:
        """Slope ``g`` of the regression of ``y'`` on ``y`` within channels; 1 where ``y`` does not vary."""
        variance = float(self.variance.sum())
        return 1 + float(self.covariance.sum()) / variance if variance > 0 else 1.0

    @property
    def share(self) -> float:
        """Variance of ``y' - g y`` over that of ``y'``, both summed over channels; 0 where nothing varies.

        What a correction of scale and mean leaves of the error.
        """
        slope = self.gain - 1
        left = self.error_variance - 2 * slope * self.covariance + slope**2 * self.variance
        return self._of_output(float(left.sum()))

    @property
    def total_share(self) -> float:
        """The same of ``y' - y``, the whole error."""
        return self._of_output(float(self.error_variance.sum()))

    def _of_output(self, variance: float) -> float:
        total = float((self.variance + 2 * self.covariance + self.error_variance).sum())
        return variance / total if total > 0 else 0.0


@dataclass(frozen=True)
class ErrorVariance:
    """Errors of a layer's outputs, as shares of their variance.

    Attributes
    ----------
    layer : str
        Name.
    kind : {"linear", "pointwise", "conventional", "grouped", "depthwise"}
        Of convolutions, whether an output sees all channels of the input, a group of several, or one; of those that
        see all, a kernel of one element is pointwise.
    n_products : int
        That add up to an output.
    gain : float
        See `OutputErrors.gain`.
    share : float
        Error variance over output variance; see `OutputErrors.share`.
    total_share : float
        The same with what the gain explains.
    """

    layer: str
    kind: str
    n_products: int
    gain: float
    share: float
    total_share: float

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)


def error_variance(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> tuple[ErrorVariance, ...]:
    """Measure how much of the variance of each layer's outputs is the multiplier's error.

    Parameters
    ----------
    model : nn.Module
        With calibrated approximate layers.
    batches, forward, progress
        As in `surrogate.nn.calibrate`.

    Returns
    -------
    tuple of ErrorVariance
        One for each approximate layer.

    Raises
    ------
    ConversionError, NotCalibratedError
        As `output_errors`.

    Notes
    -----
    Variances are taken of each output channel by itself, over images and positions, and summed over the channels of a
    layer. `surrogate.nn.output_errors` says what the error is.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig, approximate_, calibrate
    >>> model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4))
    >>> approximate_(model, ApproxConfig(multiplier="mitchell8s"))
    ('0',)
    >>> images = [torch.rand(16, 4, 8, 8)]
    >>> calibrate(model, images)
    >>> found, = error_variance(model, images)
    >>> found.kind, found.n_products, 0.85 < found.gain < 1
    ('depthwise', 9, True)
    """
    found = output_errors(model, batches, forward=forward, progress=progress)
    layers = dict(approximate_layers(model))
    return tuple(
        ErrorVariance(
            name,
            _kind(layers[name]),
            layers[name].kernel(layers[name].weight)[0].numel(),
            errors.gain,
            errors.share,
            errors.total_share,
        )
        for name, errors in found.items()
    )


def output_errors(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> dict[str, OutputErrors]:
    """Compare the outputs of approximate layers with those of accurate products.

    Parameters
    ----------
    model : nn.Module
        With calibrated approximate layers, in modes that multiply approximately. It runs in evaluation mode.
    batches, forward, progress
        As in `surrogate.nn.calibrate`.

    Returns
    -------
    dict of str to OutputErrors
        By the name of the layer.

    Raises
    ------
    ConversionError
        If there is no such layer or no batch, or a layer is never reached or multiplies accurately.
    NotCalibratedError
        If a layer has not seen the range of its activations.
    """
    layers = dict(approximate_layers(model))
    check_approximate(layers)
    sums = {name: _Sums(layer, layer.mode) for name, layer in layers.items()}
    with mode(model, "quantised"):
        hooks = [layer.register_forward_hook(sums[name].observe) for name, layer in layers.items()]
        try:
            count = run_batches(model, batches, forward, progress, "measuring errors")
        finally:
            for hook in hooks:
                hook.remove()
    if count == 0:
        raise ConversionError("errors are measured on data; pass at least one batch")
    missed = [name for name, found in sums.items() if found.n == 0]
    if missed:
        raise ConversionError(f"the batches never reached {listed(missed)}; pass inputs that do")
    return {name: found.moments() for name, found in sums.items()}


def check_approximate(layers: dict[str, ApproxLayer]) -> None:
    """Raise unless there are approximate layers, all of which are calibrated and multiply approximately."""
    if not layers:
        raise ConversionError(
            "the model has no approximate layer; call approximate_(model, config) and calibrate first"
        )
    for name, layer in layers.items():
        if not layer.calibrated:
            raise NotCalibratedError(
                f"{name!r} has not seen the range of its activations; pass representative batches to "
                f"surrogate.nn.calibrate(model, batches) first"
            )
        if layer.mode in ACCURATE_MODES:
            raise ConversionError(f"{name!r} multiplies accurately, in mode {layer.mode!r}; set 'approximate' first")


def _kind(layer: ApproxLayer) -> str:
    if not isinstance(layer, ApproxConvolution):
        return "linear"
    if layer.groups == 1:
        return "pointwise" if math.prod(layer.kernel_size) == 1 else "conventional"
    return "depthwise" if layer.groups == layer.in_channels else "grouped"


class _Sums:
    """Sums over a layer's outputs, batch by batch, of values less those of the first batch's mean."""

    def __init__(self, layer: ApproxLayer, wanted: str) -> None:
        self.layer, self.wanted, self.n = layer, wanted, 0
        self._origin = self._sums = torch.empty(0)

    def observe(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Add the outputs of a call."""
        now = self.layer.mode
        self.layer.mode = self.wanted
        try:
            approximate = self.layer.forward(inputs[0])
        finally:
            self.layer.mode = now
        y, error = self._by_channel(output), self._by_channel(approximate - output)
        if y.shape[1] == 0:
            return
        if self.n == 0:
            self._origin, self._sums = y.mean(dim=1, keepdim=True), y.new_zeros((5, len(y)))
        y = y - self._origin
        self._sums += torch.stack([part.sum(dim=1) for part in (y, error, y * y, error * error, y * error)])
        self.n += y.shape[1]

    def moments(self) -> OutputErrors:
        """Return moments per channel."""
        y, error, yy, ee, ye = self._sums / self.n
        covariance = ye - y * error
        variances = (yy - y**2).clamp(min=0), (ee - error**2).clamp(min=0)
        return OutputErrors(self.n, y + self._origin[:, 0], error, *variances, covariance)

    def _by_channel(self, y: Tensor) -> Tensor:
        axis = -1 if self.layer.channel_axis == -1 else y.ndim - self.layer.weight.ndim + 1
        return y.detach().double().movedim(axis, 0).flatten(1)
