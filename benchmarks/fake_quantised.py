"""Quantisation-aware training as it is usually done, independent of the package: the yardstick of memory.

Inputs of layers and their weights go through torch's own fake quantisation to 8 bits: inputs per tensor, within a
moving average of their extremes; weights per output channel, symmetric.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_MOMENTUM = 0.1


class InputQuantiser(nn.Module):
    """Fake-quantise to unsigned integers of 8 bits."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Note the range of ``x`` and quantise within the average range so far."""
        low, high = torch.aminmax(x.detach())
        first = _MOMENTUM if self.high > self.low else 1.0
        self.low.lerp_(low.clamp(max=0.0), first)
        self.high.lerp_(high.clamp(min=0.0), first)
        scale = (self.high - self.low).clamp(min=1e-12) / 255
        zero_point = (-self.low / scale).round().to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, 0, 255)


class WeightQuantiser(nn.Module):
    """Fake-quantise to signed integers of 8 bits, one scale for each output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        """Quantise with the largest magnitude of each channel at 127."""
        scale = weight.detach().flatten(1).abs().amax(dim=1).clamp(min=1e-12) / 127
        zero_point = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, -127, 127)


def fake_quantise_(network: nn.Module) -> nn.Module:
    """Quantise the inputs and weights of every linear layer and convolution, in place."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    for layer in layers:
        quantiser = InputQuantiser()
        parametrize.register_parametrization(layer, "weight", WeightQuantiser())
        layer.register_forward_pre_hook(lambda _, inputs, quantiser=quantiser: (quantiser(*inputs),))
    return network
