"""What a multiplier's errors do to the outputs of a layer: their mean, the part in proportion to the output, the rest.

An output ``y = sum_k x_k w_k`` of a layer, in units of the operands, is off by ``d = sum_k e(x_k, w_k)``. The weights
are known; an activation is taken to be drawn from the histogram of the layer, independently of the others. For each
weight value ``w`` this gives

    m(w) = E[e(x, w)],   c(w) = Cov[x, e(x, w)],   v(w) = Var[e(x, w)]

and for each output channel, from its weights ``w_k``,

    shift    = sum_k m(w_k)                                          the mean of d
    gain     = sum_k w_k c(w_k) / (Var[x] sum_k w_k**2)              the slope of d on y
    variance = sum_k v(w_k) - gain**2 Var[x] sum_k w_k**2            of what is left of d

The shift grows with the number of products, the standard deviation with its square root (Kim, Del Barrio, Kim,
Bagherzadeh, "The Effects of Approximate Multiplication on Convolutional Neural Networks", IEEE TETC 10(2), 2022). The
gain is what makes products that are too small in proportion, as Mitchell's, so harmless before a batch norm, and a
network that has none forgiving: without it they would count as noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from multipliers.distributions import FloatArray, OperandDistributions
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from surrogate.nn.layers.layer import ApproxLayer

MAX_PAIRS = 1 << 24
"""Most pairs of an activation and a weight value of which a layer's moments are computed."""


@dataclass(frozen=True, eq=False)
class LayerOperands:
    """What a layer multiplies: how its activations are distributed, and its quantised weights.

    Attributes
    ----------
    formats : tuple of OperandFormat
        Operands of the layer's multiplier.
    activation_operand : {"a", "b"}
        Which of them the activation is.
    values : ndarray of int64, shape (n,)
        Activation values that occur; where there are very many, so many of them at equal steps of the distribution.
    shares : ndarray of float64, shape (n,)
        Their shares, which sum to 1.
    weights : ndarray of int64, shape (out_channels, fan_in)
    weight_zero : ndarray of int64, shape (out_channels,)
        Zero points of the weights.
    scale : ndarray of float64, shape (out_channels,)
        By which integer sums are multiplied: the scale of activations times that of weights.
    n_products : float
        Products that one image takes.
    coverage : float
        Products of an output, over ``fan_in``: 1, or less where lanes of padding are skipped, and in transposed
        convolutions.
    """

    formats: tuple[OperandFormat, OperandFormat]
    activation_operand: str
    values: IntArray
    shares: FloatArray
    weights: IntArray
    weight_zero: IntArray
    scale: FloatArray
    n_products: float
    coverage: float

    @classmethod
    def of(cls, layer: ApproxLayer, counted: OperandDistributions, n_images: int, n_outputs: int) -> Self:
        """Read a layer whose operands were counted on some images, and that has ``n_outputs`` outputs for each."""
        config = layer.config
        codes = layer.weight_quantiser.integers(layer.kernel(layer.weight.detach()).float())
        weights = codes.flatten(1).cpu().numpy().astype(np.int64)
        channels = np.ones(len(weights))
        zero, scale = layer.weight_quantiser.zero_point, layer.activation_quantiser.scale * layer.weight_quantiser.scale
        on_a = config.activation_operand == "a"
        counts = np.asarray(counted.weights_a if on_a else counted.weights_b, dtype=np.float64)
        values, shares = _representatives(config.activation_format.values(), counts, len(np.unique(weights)))
        n_products = float(counts.sum()) / n_images
        return cls(
            formats=(counted.a, counted.b),
            activation_operand=config.activation_operand,
            values=values,
            shares=shares,
            weights=weights,
            weight_zero=(zero.cpu().numpy() * channels).astype(np.int64),
            scale=scale.detach().cpu().numpy() * channels,
            n_products=n_products,
            coverage=n_products / (n_outputs * weights.shape[1]),
        )


def _representatives(values: IntArray, counts: FloatArray, n_weights: int) -> tuple[IntArray, FloatArray]:
    """Return the values that occur with their shares, or where they are too many values at equal steps of them."""
    occurring = np.flatnonzero(counts)
    shares = counts[occurring] / counts.sum()
    most = MAX_PAIRS // n_weights
    if len(occurring) <= most:
        return values[occurring], shares
    places = np.searchsorted(np.cumsum(shares), (np.arange(most) + 0.5) / most)
    return values[occurring[np.minimum(places, len(occurring) - 1)]], np.full(most, 1 / most)


@dataclass(frozen=True, eq=False)
class OutputError:
    """Errors of a layer's outputs, by output channel, in the unit of the outputs; see the module.

    Attributes
    ----------
    shift, gain, variance : ndarray of float64, shape (out_channels,)
    """

    shift: FloatArray
    gain: FloatArray
    variance: FloatArray


def output_error(operands: LayerOperands, multiplier: Multiplier) -> OutputError:
    """Compute the moments of a layer's output errors with a multiplier.

    Parameters
    ----------
    operands : LayerOperands
    multiplier : Multiplier
        Of the formats of the operands.

    Returns
    -------
    OutputError
    """
    x, p = operands.values, operands.shares
    weights, which = np.unique(operands.weights, return_inverse=True)
    which = which.reshape(operands.weights.shape)
    grid = x[:, None], weights[None, :]
    products = multiplier(*(grid if operands.activation_operand == "a" else grid[::-1]))
    error = (products - grid[0] * grid[1]).astype(np.float64)
    centred = x - p @ x
    spread = p @ centred**2
    mean = p @ error
    error -= mean
    slope = (p * centred) @ error
    variance = p @ error**2
    w = operands.weights - operands.weight_zero[:, None]
    power = spread * (w**2).sum(axis=1)
    gain = np.divide((w * slope[which]).sum(axis=1), power, out=np.zeros(len(w)), where=power > 0)
    rest = np.maximum(variance[which].sum(axis=1) - gain**2 * power, 0.0)
    scale, coverage = operands.scale, operands.coverage
    return OutputError(coverage * scale * mean[which].sum(axis=1), gain, coverage * scale**2 * rest)
