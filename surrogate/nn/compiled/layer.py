"""A layer's forward and backward pass in compiled code: quantise, pack, sum, rescale, in one reading of each tensor.

What `surrogate.nn.layers.stepwise` does step by step, bit for bit: the same integers, rounded once. For the
backward pass one byte per activation is kept (and one that marks what was clamped), not the float tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from surrogate.nn.geometry import Convolution
from surrogate.nn.layers.functional import AccurateConvolution, layer_gradients
from surrogate.nn.native import NativeProducts, NativeTable
from surrogate.nn.native.quantised import (
    AffineIntegers,
    Packed,
    dequantised,
    mask_,
    quantise_activations,
    quantise_weights,
)
from surrogate.nn.native.sums import run
from surrogate.nn.quantisation.quantiser import Quantiser

_LARGEST_CORRECTION = 3 * 255 * 255  # per lane, of operands of at most 8 bits


@dataclass(frozen=True)
class Placement:
    """How the library sees a layer's tensors.

    Attributes
    ----------
    shape : (int, int, int, int)
        Images, channels, height and width of the input.
    padding : (int, int, int, int)
        Rows above and below, columns left and right.
    convolution : Convolution
        Of the padded input.
    out_shape : tuple of int
        Of the output, as torch sees it.
    channels_last : bool
        Memory order of input and output.
    accurate : AccurateConvolution or None
        The accurate operation; None for a linear layer.
    """

    shape: tuple[int, int, int, int]
    padding: tuple[int, int, int, int]
    convolution: Convolution
    out_shape: tuple[int, ...]
    channels_last: bool
    accurate: AccurateConvolution | None

    @property
    def memory_format(self) -> torch.memory_format:
        """Memory format of input and output, as torch names it."""
        linear = self.accurate is None
        return torch.channels_last if self.channels_last and not linear else torch.contiguous_format

    @property
    def sides(self) -> tuple[list[int], list[int], list[int]]:
        """Padding, alike at both ends, stride and dilation of two dimensions, as torch takes them."""
        (top, _, left, _), convolution = self.padding, self.convolution
        return [top, left], [*convolution.stride], [*convolution.dilation]


@dataclass(frozen=True)
class CompiledWeights:
    """Quantised weights and what follows from them alone.

    Attributes
    ----------
    codes : Tensor
        Indices, uint8, ``(groups, out_channels, lanes)``.
    inside : Tensor
        uint8, as the weight: 1 where nothing was clamped.
    values : Tensor
        What they stand for, ``scale * (q - zero)``, as the weight.
    sums : Tensor
        Sum of the integers of each output channel, int64.
    scale, zero : Tensor
        Of each output channel, float32 and int32.
    centred : bool
        Whether all zero points are 0.
    """

    codes: Tensor
    inside: Tensor
    values: Tensor
    sums: Tensor
    scale: Tensor
    zero: Tensor
    centred: bool

    @classmethod
    def of(cls, weight: Tensor, quantiser: Quantiser, minimum: int, groups: int) -> CompiledWeights:
        """Quantise float32 weights, output channels first, as the quantiser says."""
        limits = quantiser.low, quantiser.high, minimum
        return cls.quantised(weight, quantiser.scale, quantiser.zero_point, limits, quantiser.centred, groups)

    @classmethod
    def quantised(
        cls, weight: Tensor, scale: Tensor, zero: Tensor, limits: tuple[int, int, int], centred: bool, groups: int
    ) -> CompiledWeights:
        """Quantise float32 weights, by one scale and zero point or by one for each output channel."""
        return cls(*quantise_weights(weight, scale, zero, limits, groups), centred)


def activation_grid(quantiser: Quantiser, minimum: int) -> AffineIntegers:
    """Return how a calibrated quantiser makes indices; ``minimum`` is the smallest integer of the operand."""
    scale, zero = float(quantiser.scale), int(quantiser.zero_point)
    return AffineIntegers(scale, zero, quantiser.low, quantiser.high, minimum)


@dataclass(frozen=True)
class CompiledLayer:
    """One forward pass of a layer."""

    native: NativeTable | NativeProducts
    placement: Placement
    activations: AffineIntegers
    weights: CompiledWeights

    @staticmethod
    def holds(native: NativeTable | NativeProducts, lanes: int) -> bool:
        """Whether every integer on the way fits in int32."""
        return lanes * (native.largest + _LARGEST_CORRECTION) < 1 << 31

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the layer's output; gradients are straight through."""
        y: Tensor = _StraightThrough.apply(x, weight, bias, self)  # type: ignore[no-untyped-call]  # torch's is
        return y

    def pack(self, x: Tensor, mark_inside: bool) -> Packed:
        """Quantise activations."""
        place = self.placement
        return quantise_activations(
            x,
            place.shape,
            self.activations,
            padding=place.padding,
            channels_last=place.channels_last,
            mark_inside=mark_inside,
        )

    def output(self, packed: Packed, bias: Tensor | None) -> Tensor:
        """Sum products and rescale."""
        place, weights = self.placement, self.weights
        problem = self.native.problem(
            packed.codes,
            weights.codes,
            place.convolution,
            (*place.shape[:2], *packed.padded),
            packed.smallest,
            packed.largest,
        )
        scale = weights.scale * self.activations.scale
        bias = None if bias is None else bias.contiguous()
        problem.scale, problem.w_sums = scale.data_ptr(), weights.sums.data_ptr()
        problem.bias = 0 if bias is None else bias.data_ptr()
        problem.w_zero = 0 if weights.centred else weights.zero.data_ptr()
        problem.x_zero, problem.x_minimum = self.activations.zero, self.activations.minimum
        problem.channels_last = place.channels_last
        return run(problem, torch.empty(place.out_shape, memory_format=place.memory_format))


class _StraightThrough(torch.autograd.Function):
    """Straight-through gradients: of the accurate operation at the dequantised operands, 0 where these were clamped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: CompiledLayer) -> Tensor:
        need_x, need_w = ctx.needs_input_grad[:2]
        packed = layer.pack(x, mark_inside=need_x)
        ctx.save_for_backward(packed.codes if need_w else None, packed.inside)
        ctx.in_shape, ctx.layer = x.shape, layer
        return layer.output(packed, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[:3]
        place, weights = ctx.layer.placement, ctx.layer.weights
        codes, inside = ctx.saved_tensors
        if codes is None:  # no gradient of the weights: only the shape of the input matters
            x_hat = gradient.new_empty(1).expand(place.shape)
        else:
            x_hat = dequantised(codes, place.shape, place.padding, ctx.layer.activations)
        x_hat = x_hat.reshape((place.shape[1], -1) if place.accurate is None else ctx.in_shape)
        grad_x, grad_w, grad_bias = layer_gradients(gradient, x_hat, weights.values, place.accurate, wanted)
        if grad_x is not None:
            grad_x = mask_(grad_x.contiguous(memory_format=place.memory_format), inside).reshape(ctx.in_shape)
        if grad_w is not None:
            grad_w = mask_(grad_w.contiguous(), weights.inside)
        return grad_x, grad_w, grad_bias, None
