"""The approximate linear layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import ConversionError
from surrogate.nn.geometry import POINTWISE, Convolution
from surrogate.nn.layer import ApproxLayer


class ApproxLinear(ApproxLayer, nn.Linear):
    """`torch.nn.Linear` whose products go through an approximate multiplier; any leading dimensions.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As in `torch.nn.Linear`.
    config : ApproxConfig
        What to simulate.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        config: ApproxConfig,
    ) -> None:
        nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        self.attach(config)

    def convolution(self) -> Convolution:
        """Geometry: single pixels."""
        return POINTWISE

    def accurate(self, x: Tensor) -> Tensor:
        """Compute `torch.nn.Linear`."""
        return nn.Linear.forward(self, x)

    def check_input(self, x: Tensor) -> None:
        """Raise unless ``x`` is ``(..., in_features)`` of floats."""
        if not x.is_floating_point() or x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ConversionError(
                f"expected a float tensor of shape (..., {self.in_features}), got {x.dtype} {tuple(x.shape)}"
            )

    def to_lanes(self, x: Tensor) -> Tensor:
        """Bring ``(..., features)`` to ``(rows, 1, 1, features)``."""
        return x.reshape(-1, 1, 1, x.shape[-1])

    def from_sums(self, y: Tensor, like: Tensor) -> Tensor:
        """Restore the leading dimensions."""
        return y.reshape(*like.shape[:-1], y.shape[-1])
