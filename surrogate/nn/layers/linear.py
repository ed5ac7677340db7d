"""The approximate linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from surrogate.nn.compiled.layer import Placement
from surrogate.nn.geometry import POINTWISE, Convolution
from surrogate.nn.layers.functional import straight_through_product
from surrogate.nn.layers.inputs import FLOATS, refuse_input
from surrogate.nn.layers.layer import ApproxLayer


class ApproxLinear(ApproxLayer, nn.Linear):
    """`torch.nn.Linear` whose products go through an approximate multiplier; any leading dimensions.

    Parameters
    ----------
    *args, **options
        Those of `torch.nn.Linear`.
    config : ApproxConfig
        What to simulate.
    """

    channel_axis = -1

    def convolution(self) -> Convolution:
        """Geometry: single pixels."""
        return POINTWISE

    def check_input(self, x: Tensor) -> None:
        """Raise unless ``x`` is ``(..., in_features)`` of floats."""
        if x.dtype not in FLOATS or x.ndim == 0 or x.shape[-1] != self.in_features:
            refuse_input(x, f"(..., {self.in_features})")

    def arrange(self, x: Tensor, zero: Tensor) -> Tensor:
        """Bring ``(..., features)`` to ``(rows, 1, 1, features)``."""
        return x.reshape(-1, 1, 1, x.shape[-1]).to(zero.dtype, memory_format=torch.contiguous_format)

    def arrange_weights(self, w: Tensor) -> Tensor:
        """Bring ``(out_features, in_features)`` to ``(out_features, 1, 1, in_features)``."""
        return w[:, None, None]

    def placement(self, x: Tensor) -> Placement:
        """One image, a column for each row of ``x``."""
        shape = (1, self.in_features, 1, x.shape[:-1].numel())
        return Placement(shape, (0, 0, 0, 0), POINTWISE, (*x.shape[:-1], self.out_features), True, None)

    def from_sums(self, y: Tensor, like: Tensor) -> Tensor:
        """Restore the leading dimensions."""
        return y.reshape(*like.shape[:-1], y.shape[-1])

    def differentiable(self, x_hat: Tensor, w_hat: Tensor, y: Tensor) -> Tensor:
        """Return ``y`` with the gradient of the accurate product."""
        return straight_through_product(x_hat, w_hat, y, None)
