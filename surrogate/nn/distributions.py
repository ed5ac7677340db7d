"""Which operand values a network multiplies: histograms of its layers' quantised activations and weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multipliers.distributions import OperandDistributions
from surrogate.nn.calibration import calibrate, mode, run_batches
from surrogate.nn.convert import approximate_, approximate_layers
from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.conv import ApproxConvolution
from surrogate.nn.layers.inputs import widened
from surrogate.nn.layers.layer import ApproxLayer
from surrogate.nn.progress import Progress
from surrogate.nn.selection import Configs, listed

BLOCK = 1 << 22
"""Activations counted at a time."""

Counts = NDArray[np.int64]


def from_model(
    model: nn.Module,
    batches: Iterable[Any],
    config: Configs | None = None,
    *,
    padding: bool | None = None,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> dict[str, OperandDistributions]:
    """Count the operand values of every product that a network's layers form on given data.

    An activation counts once for each product that it enters (kernel positions that cover it, times output channels of
    its group), a weight once for each output pixel of each input. So the weights of both operands add up to the number
    of products, and distributions of several layers add up by `OperandDistributions.merged`. Products of two
    activations (`ApproxMatmul`) are not counted.

    Parameters
    ----------
    model : nn.Module
        With calibrated approximate layers; or any model, with ``config``.
    batches : iterable
        Inputs of the model; of a tuple or list (as data loaders yield) the first element. One batch is held at a time.
    config : ApproxConfig or mapping, optional
        Quantise a *copy* of the model so (see `surrogate.nn.approximate_`), calibrate it on the batches and count in
        it; ``batches`` is then iterated twice. Its layers run in float: activations are those of the accurate network.
        Without it, layers run in their own mode, so errors of earlier layers reach later activations.
    padding : bool, optional
        Whether lanes of zero padding, which hold the quantised zero, count as products. By default as each layer's
        configuration says: not where the hardware skips them (``skip_padding``). Padding with values of the input
        (reflect, replicate, circular) always counts.
    forward : callable, optional
        ``forward(model, batch)`` instead, for models of other signatures.
    progress : bool or callable, optional
        True shows a bar on the terminal; a function is called ``progress(batches_done)`` after each batch.

    Returns
    -------
    dict of str to OperandDistributions
        Of each approximate layer by its name: int64 counts, for the operands of the layer's multiplier. Which of them
        is the activation is the layer's configuration (``activation_operand``), and accounted for.

    Raises
    ------
    ConversionError
        If the model has no approximate layer, there is no batch, a layer is never reached, or ``batches`` can be
        iterated only once although ``config`` is given.
    NotCalibratedError
        If a layer has not seen the range of its activations.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))
    >>> found = from_model(model, [torch.rand(4, 1, 8, 8)], ApproxConfig(multiplier="mitchell8u"))
    >>> {name: int(d.weights_a.sum()) for name, d in found.items()}  # 4 images, 8 * 8 * 9 * 2 and 128 * 10 products
    {'0': 4608, '3': 5120}
    """
    if config is not None:
        if iter(batches) is batches:
            raise ConversionError("with config the batches are iterated twice; pass a list or a data loader")
        model = copy.deepcopy(model)
        approximate_(model, config)
        calibrate(model, batches, forward=forward)
        with mode(model, "float"):
            return _count(model, batches, padding, forward, progress)
    return _count(model, batches, padding, forward, progress)


def _count(
    model: nn.Module,
    batches: Iterable[Any],
    padding: bool | None,
    forward: Callable[[nn.Module, Any], object] | None,
    progress: Progress,
) -> dict[str, OperandDistributions]:
    counters = {name: _Counter(layer, padding) for name, layer in approximate_layers(model)}
    if not counters:
        raise ConversionError(
            "the model has no approximate layer; pass config=, or call approximate_(model, config) and calibrate first"
        )
    hooks = [counter.layer.register_forward_pre_hook(counter.observe) for counter in counters.values()]
    try:
        run_batches(model, batches, forward, progress, "counting operands")
    finally:
        for hook in hooks:
            hook.remove()
    missed = [name for name, counter in counters.items() if not counter.weights.any()]
    if missed:
        raise ConversionError(f"the batches never reached {listed(missed)}; pass inputs that do")
    return {name: counter.distributions() for name, counter in counters.items()}


@dataclass
class _Counter:
    """Counts of one layer, batch by batch."""

    layer: ApproxLayer
    padding: bool | None
    activations: Counts = field(init=False)
    weights: Counts = field(init=False)

    def __post_init__(self) -> None:
        config = self.layer.config
        self.padding = not config.skip_padding if self.padding is None else self.padding
        self.activations = np.zeros(config.activation_format.size, np.int64)
        self.weights = np.zeros(config.weight_format.size, np.int64)

    def observe(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Count the products of one call of the layer."""
        x = inputs[0].detach()
        if isinstance(layer, ApproxConvolution) and x.ndim == layer.weight.ndim - 1:
            x = x[None]
        self.layer.check_input(x)
        codes = self.layer.activation_quantiser.integers(self.layer.expand(widened(x)))
        lanes = self.layer.arrange(*self.layer.indices(codes, skip=not self.padding))  # (images, height, width, lanes)
        convolution = self.layer.convolution()
        taps_h, taps_w = (
            _taps(*geometry)
            for geometry in zip(
                lanes.shape[1:3], convolution.kernel, convolution.stride, convolution.dilation, strict=True
            )
        )
        weights = self.layer.weight_indices(
            self.layer._weights().codes
        )  # (out, kernel height, kernel width, lanes / groups)
        groups, size = convolution.groups, self.activations.size
        outputs = weights.shape[0] // groups  # products of one activation at one kernel position
        uses = np.multiply.outer(taps_h.sum(axis=0), taps_w.sum(axis=0)) * outputs  # of each pixel
        # the index one past the values marks lanes that are no products
        self.activations += _weighted_counts(lanes, uses, size + 1)[:size]
        valid = (lanes != size).sum(dim=0).cpu().numpy()
        inside = np.einsum("ih,jw,hwc->ijc", taps_h, taps_w, valid, optimize=True)  # products of a weight, by lane
        by_group = (
            weights.reshape(groups, outputs, *weights.shape[1:]).permute(2, 3, 0, 4, 1).flatten(2, 3)
        )  # (h, w, lanes, out)
        self.weights += _weighted_counts(
            by_group.flatten(0, 1)[None], inside.reshape(-1, lanes.shape[3]), self.weights.size
        )

    def distributions(self) -> OperandDistributions:
        """Return the counts by operand."""
        config = self.layer.config
        if config.activation_operand == "a":
            return OperandDistributions(config.activation_format, config.weight_format, self.activations, self.weights)
        return OperandDistributions(config.weight_format, config.activation_format, self.weights, self.activations)


def _taps(size: int, kernel: int, stride: int, dilation: int) -> Counts:
    """Count, along one axis, how often kernel position ``i`` of an output pixel lies on input pixel ``j``: 0 or 1."""
    n_outputs = (size - (kernel - 1) * dilation - 1) // stride + 1
    taps = np.zeros((kernel, size), np.int64)
    for i in range(kernel):
        taps[i, np.arange(n_outputs) * stride + i * dilation] = 1
    return taps


def _weighted_counts(indices: Tensor, uses: Counts, size: int) -> Counts:
    """Count the indices of a ``(batch, height, width, lanes)`` tensor, each ``uses[height, width]`` times."""
    different, which = np.unique(uses, return_inverse=True)
    offsets = torch.as_tensor(which.reshape(uses.shape) * size, device=indices.device)[:, :, None]
    total: Counts = np.zeros(size, np.int64)
    step = max(1, BLOCK // max(1, indices[0].numel()))
    for part in torch.split(indices, step):
        places = (part.to(torch.int64) + offsets).reshape(-1)
        counts = torch.bincount(places, minlength=different.size * size).cpu().numpy()
        total += different @ counts.reshape(different.size, size)
    return total
