"""The mean error of a layer's outputs that follows from its weights alone.

The error of a multiplier at an activation ``a`` and a weight ``w`` is written as

    E(a, w) = c(w) + s(w) (a - Z) + rest(a, w)

by least squares, weight by weight, over the activations that the layer's operand can hold after calibration, all
alike; ``Z`` is the integer of the activation 0. Every product with the weight ``w`` errs by ``c(w)``, so the output
channel with weights ``w_k`` errs by ``sum_k c(w_k)``, whatever the data: a number that folds into the bias, exactly. An
error ``r(a) + c(w)`` that is wholly separable is so corrected up to what varies in ``r``; the slope, and with it the
gain of a multiplier of relative error, and the rest depend on data.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multipliers.multiplier import Multiplier
from surrogate.model import Surrogate
from surrogate.nn.layers.layer import ApproxLayer

MAX_ACTIVATIONS = 1 << 10
"""Values of an activation to average over; of more, as many in equal distances."""

_BLOCK = 1 << 22

DoubleArray = NDArray[np.float64]


def separable_error(layer: ApproxLayer) -> Tensor:
    """Mean error of a calibrated layer's outputs by the separable part ``c``, per output channel.

    Parameters
    ----------
    layer : ApproxLayer
        Whose weights and multiplier count; where padded lanes are skipped, outputs at the border err by less.

    Returns
    -------
    Tensor
        Float64, in the scale of the outputs, shape ``(out_channels,)``.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig, ApproxLinear, calibrate
    >>> from multipliers import OperandFormat
    >>> from multipliers.function import CallableMultiplier
    >>> biased = CallableMultiplier(lambda a, b: a * b + 3 * b, *[OperandFormat(8, signed=True)] * 2, name="biased")
    >>> layer = ApproxLinear(5, 1, config=ApproxConfig(multiplier=biased))
    >>> calibrate(layer, [torch.rand(9, 5)])
    >>> scale = layer.activation_quantiser.scale.double()
    >>> bool(torch.allclose(separable_error(layer), 3 * scale * layer.weight.double().sum(), rtol=0.01, atol=1e-3))
    True
    """
    codes = layer._weights().codes.flatten(1).cpu().numpy().astype(np.int64)
    values, places = np.unique(codes, return_inverse=True)
    by_weight = _separable_part(layer, values)
    sums = by_weight[places.reshape(codes.shape)].sum(axis=1)
    scale = layer.activation_quantiser.scale.double() * layer.weight_quantiser.scale.double()
    return torch.from_numpy(sums).to(scale.device) * scale.detach()


def _separable_part(layer: ApproxLayer, w: NDArray[np.int64]) -> DoubleArray:
    """``c`` of each of the weights ``w``."""
    config = layer.config
    multiply = cast(Multiplier | Surrogate, config.surrogate if config.multiplier is None else config.multiplier)
    a = _activations(layer)
    mean = a.mean()
    centred = a - mean
    zero = int(layer.activation_quantiser.zero_point)
    found = np.empty(w.size)
    for part in np.array_split(np.arange(w.size), max(1, a.size * w.size // _BLOCK)):
        pairs = np.broadcast_arrays(a[:, None], w[None, part])
        products = multiply(*(pairs if config.activation_operand == "a" else pairs[::-1]))
        errors = products - pairs[0] * pairs[1]
        slope = centred @ errors / max(1.0, centred @ centred)  # 0 of a single activation
        found[part] = errors.mean(axis=0) - slope * (mean - zero)
    return found


def _activations(layer: ApproxLayer) -> NDArray[np.int64]:
    """Integers to which the quantiser maps the range that it has observed."""
    quantiser = layer.activation_quantiser
    ends = torch.cat([quantiser.minimum.clamp(max=0), quantiser.maximum.clamp(min=0)])  # a range contains 0
    low, high = (int(v) for v in quantiser.integers(ends).tolist())
    return np.unique(np.linspace(low, high, min(high - low + 1, MAX_ACTIVATIONS)).round().astype(np.int64))
