"""Products of wide factors in float32, digit by digit: where int8 products do not suit, as in depthwise convolutions.

Digits of 8 bits leave room for sums of 2**8 lanes and more in float32; the sums of each weight are added in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surrogate.digits import DigitProducts
from surrogate.nn.geometry import Convolution
from surrogate.nn.products import floats as float_products
from surrogate.nn.products.floats import FloatWeights


@dataclass(frozen=True)
class DigitWeights:
    """Transformed weights of one product after another.

    Attributes
    ----------
    weights : tuple of int or float
        What each sum counts.
    left : tuple of Tensor
        Digits of the activations' factors.
    products : tuple of FloatWeights
        Of the weights' digits.
    """

    weights: tuple[int | float, ...]
    left: tuple[Tensor, ...]
    products: tuple[FloatWeights, ...]


def lane_bound(products: DigitProducts) -> int:
    """Bound of what one lane adds to a sum, in any order."""
    return int((np.abs(products.left).max(axis=0) * np.abs(products.right).max(axis=0)).sum())


def prepare(digits: Sequence[DigitProducts], w: Tensor, groups: int, channels: int) -> DigitWeights:
    """Transform weights; arguments as in `Engine.prepare`, ``channels`` of a group per piece."""
    return DigitWeights(
        tuple(each.weight for each in digits),
        tuple(torch.from_numpy(each.left).to(w.device) for each in digits),
        tuple(
            float_products.prepare(torch.from_numpy(each.right).to(w.device), w, groups, torch.float32, channels)
            for each in digits
        ),
    )


def sums(x: Tensor, weights: DigitWeights, convolution: Convolution) -> Tensor:
    """Sum weighted products in float64; arguments as in `surrogate.nn.engines.engine.Engine.sums`."""
    parts = zip(weights.weights, weights.left, weights.products, strict=True)
    weighted = (weight * float_products.sums(left, x, product, convolution).double() for weight, left, product in parts)
    total = next(weighted)
    for part in weighted:
        total += part
    return total
