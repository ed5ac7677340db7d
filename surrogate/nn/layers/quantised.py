"""Layers of quantised operands: drop-in subclasses of torch's own, with the same parameters and state-dict keys."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self, cast

import torch
from torch import Tensor

from surrogate.nn.config import ApproxConfig
from surrogate.nn.geometry import Convolution
from surrogate.nn.layers.inputs import check_weight
from surrogate.nn.layers.operation import ApproxOperation
from surrogate.nn.quantisation.quantiser import Quantiser


class QuantisedLayer(ApproxOperation):
    """What approximate layers say of their operands: how these are quantised, and lie as a convolution.

    Attributes
    ----------
    activation_quantiser, weight_quantiser : Quantiser
        Weights follow the current parameter; the range of activations is observed while training or calibrating.
    """

    weight: Tensor
    parts = (*ApproxOperation.parts, "activation_quantiser", "weight_quantiser")
    channel_axis = 1
    """Axis of the input's channels or features."""
    adds_zeros = False
    """Whether some lanes hold no input, but a zero."""
    skips_zeros = False
    """Whether such lanes are skipped; else they hold the quantised zero."""

    def __init__(self, *args: Any, config: ApproxConfig, **options: Any) -> None:
        super().__init__(*args, **options)
        self.attach(config)

    def attach(self, config: ApproxConfig) -> Self:
        """Give a torch layer, whose class has been changed to this one, its approximate parts."""
        check_weight(self.weight)
        super().attach(config)
        device = self.weight.device
        kernel = self.kernel(self.weight)
        channels = kernel.shape[0] if config.weight.granularity == "channel" else 1
        self.activation_quantiser = Quantiser(config.activation, config.activation_format)
        self.weight_quantiser = Quantiser(config.weight, config.weight_format, channels)
        for part in (self.activation_quantiser, self.weight_quantiser, self.engine, self.product_gradient):
            if part is not None:
                part.to(device)
        self.fingerprint = self.fingerprint.to(device)
        self.weight_quantiser.observe(kernel)
        self.train(self.training)
        return self

    @property
    def activations(self) -> dict[str, Quantiser]:
        """The quantiser of the input."""
        return {"activation_quantiser": self.activation_quantiser}

    def reset(self) -> None:
        """Forget the observed range of activations; a learned scale of weights starts anew, from these as they are."""
        super().reset()
        self.weight_quantiser.reset()
        self.weight_quantiser.observe(self.kernel(self.weight))

    @abstractmethod
    def convolution(self) -> Convolution:
        """Geometry of the engine's sums."""

    @abstractmethod
    def arrange(self, x: Tensor, zero: Tensor) -> Tensor:
        """Lay activations out as the engine takes them, with ``zero`` in added lanes and of its datatype."""

    @abstractmethod
    def arrange_weights(self, w: Tensor) -> Tensor:
        """Lay weights, as `kernel` returns them, out as the engine takes them."""

    @abstractmethod
    def from_sums(self, y: Tensor, like: Tensor) -> Tensor:
        """Bring the engine's sums to the layer's output shape, for an input of the shape of ``like``."""

    @abstractmethod
    def differentiable(self, x_hat: Tensor, w_hat: Tensor, y: Tensor) -> Tensor:
        """Return ``y`` with the gradient of the accurate product of the dequantised input and `kernel`."""

    def kernel(self, weight: Tensor) -> Tensor:
        """Bring weights to shape ``(out_channels, in_channels / groups, ...)``."""
        return weight

    def expand(self, x: Tensor) -> Tensor:
        """Pad with values of the input itself (reflect, replicate, circular), where the layer is told to."""
        return x

    def accurate(self, x: Tensor) -> Tensor:
        """Compute the accurate float layer."""
        return cast(Tensor, super().forward(x))

    @abstractmethod
    def check_input(self, x: Tensor) -> None:
        """Raise unless ``x`` has the layer's features or channels."""

    def weight_indices(self, codes: Tensor) -> Tensor:
        """Index quantised weights as the engine takes them."""
        return self.arrange_weights(codes).to(torch.int64) - self.config.weight_format.minimum

    def indices(self, codes: Tensor, skip: bool | None = None) -> tuple[Tensor, Tensor]:
        """Index quantised activations, and what added lanes hold; ``skip`` overrides whether these are skipped."""
        fmt = self.config.activation_format
        shifted = codes - fmt.minimum if fmt.minimum else codes
        zero = self.activation_quantiser.zero_point - fmt.minimum
        skips = self.skips_zeros if skip is None else skip
        return shifted, torch.full_like(zero, fmt.size) if skips else zero
