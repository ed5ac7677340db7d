"""Sums of the terms with a constant factor: one number for each receptive field, and one for each output channel.

``sum_k r(x_k)`` is shared by all output channels of a group, ``sum_k c(w_k)`` is a constant of an output channel; only
where lanes are skipped does it depend on the place, and the part of those lanes is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.nn import float_products
from surrogate.nn.engine import lookup_rows
from surrogate.nn.float_products import FloatWeights
from surrogate.nn.geometry import Convolution


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
    """Sum the weights' part over the lanes of each output channel; ``w`` as in `surrogate.nn.engine.Engine.prepare`."""
    if of_w is None:
        return AdditiveWeights(torch.zeros(w.shape[0], dtype=torch.float64, device=w.device), None)
    values = of_w.double()
    lanes = float_products.prepare(-values[:, None], w, groups, torch.float64, w.shape[3])
    return AdditiveWeights(lookup_rows(values, w).flatten(1).sum(dim=1), lanes)


def sums(of_x: Tensor | None, x: Tensor, weights: AdditiveWeights, convolution: Convolution, size: int) -> Tensor:
    """Sum additive parts over receptive fields; arguments as in `surrogate.nn.engine.Engine.sums`.

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
        fields = convolution.patches(values).sum(dim=(3, 4))
        total = total + fields.repeat_interleave(len(total) // convolution.groups, dim=3)
    if weights.lanes is not None:
        skipped = (x == size).to(torch.int32)
        if bool(skipped.any()):
            one = torch.tensor([[0.0], [1.0]], dtype=torch.float64, device=x.device)
            total = total + float_products.sums(one, skipped, weights.lanes, convolution)
    return total
