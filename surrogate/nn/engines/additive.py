"""Sums of the terms with a constant factor: one number for each receptive field, and one for each output channel.

``sum_k r(x_k)`` is shared by all output channels of a group, ``sum_k c(w_k)`` is a constant of an output channel; only
where lanes are skipped does it depend on the place, and the part of those lanes is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.nn.engines.engine import lookup_rows
from surrogate.nn.geometry import Convolution
from surrogate.nn.operators import opaque
from surrogate.nn.products import floats as float_products
from surrogate.nn.products.floats import FloatWeights


@dataclass(frozen=True)
class AdditiveWeights:
    """What the weights add.

    Attributes
    ----------
    constant : Tensor
        Float64, one for each output channel.
    lanes : FloatWeights or None
        The weights' part of each lane, negative, to take skipped lanes off; None where weights add nothing.
    """

    constant: Tensor
    lanes: FloatWeights | None


def prepare(of_w: Tensor | None, w: Tensor, groups: int) -> AdditiveWeights:
    """Sum the weights' part over the lanes of each output channel; ``w`` as in `Engine.prepare`."""
    if of_w is None:
        return AdditiveWeights(torch.zeros(w.shape[0], dtype=torch.float64, device=w.device), None)
    values = of_w.double()
    lanes = float_products.prepare(-values[:, None], w, groups, torch.float64, w.shape[3])
    return AdditiveWeights(lookup_rows(values, w).flatten(1).sum(dim=1), lanes)


def sums(of_x: Tensor | None, x: Tensor, weights: AdditiveWeights, convolution: Convolution, size: int) -> Tensor:
    """Sum additive parts over receptive fields; arguments as in `surrogate.nn.engines.engine.Engine.sums`.

    Parameters
    ----------
    of_x : Tensor or None
        The activations' part, for every value.
    size : int
        Number of activation values: the index that marks a skipped lane.

    Returns
    -------
    Tensor
        Float64, broadcastable to ``(batch, out_height, out_width, out_channels)``.
    """
    total = weights.constant
    if of_x is not None:
        table = torch.nn.functional.pad(of_x.double(), (0, 1))  # the last entry: skipped lanes
        grouped = (*x.shape[:3], convolution.groups, x.shape[3] // convolution.groups)  # no -1: x may be empty
        values = lookup_rows(table, x).reshape(grouped).sum(dim=4)
        fields = convolution.window_sums(values)
        total = total + fields.repeat_interleave(len(total) // convolution.groups, dim=3)
    if weights.lanes is not None:
        skipped = x == size
        if torch.compiler.is_compiling():
            sides = convolution.kernel, convolution.stride, convolution.dilation
            total = total + skipped_lanes(skipped, weights.lanes.pieces[0], *sides)
        elif bool(skipped.any()):
            total = total + _sum_of_skipped(skipped, weights.lanes, convolution)
    return total


def _sum_of_skipped(skipped: Tensor, lanes: FloatWeights, convolution: Convolution) -> Tensor:
    """Sum what the weights add in skipped lanes, negative."""
    one = torch.tensor([[0.0], [1.0]], dtype=torch.float64, device=skipped.device)
    return float_products.sums(one, skipped.to(torch.int32), lanes, convolution)


def _empty_sums(
    skipped: Tensor, matrices: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    groups, _, out_channels = matrices.shape
    size = Convolution.of(kernel, stride, dilation, groups).output_size(*skipped.shape[1:3])
    return matrices.new_empty((len(skipped), *size, groups * out_channels))


@opaque("skipped_lanes", _empty_sums)
def skipped_lanes(
    skipped: Tensor, matrices: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """Sum what the weights add in skipped lanes, float64; for compiled graphs, which cannot branch on there being any.

    Parameters
    ----------
    skipped : Tensor
        Which lanes are skipped, bool, shape ``(batch, height, width, channels)``.
    matrices : Tensor
        Negative parts of the weights, float64, shape ``(groups, lanes, out_channels / groups)``.
    kernel, stride, dilation : (int, int)
        Geometry.
    """
    if not bool(skipped.any()):
        return torch.zeros_like(_empty_sums(skipped, matrices, kernel, stride, dilation))
    convolution = Convolution.of(kernel, stride, dilation, len(matrices))
    channels = skipped.shape[3] // len(matrices)
    return _sum_of_skipped(skipped, FloatWeights((matrices,), channels, direct=False), convolution)
