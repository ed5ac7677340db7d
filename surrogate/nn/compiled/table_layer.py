"""A whole table layer as one operator, ``torch.ops.axsurrogate.table_layer``, with its gradient and for tracing.

It does what `surrogate.nn.compiled.layer` does for a layer, bit for bit, from tensors and numbers alone:
`torch.compile` calls it as it is, and everything around it (ranges, activation functions, the backward pass) is fused
as usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from surrogate.nn.compiled.layer import CompiledLayer, CompiledWeights, Placement
from surrogate.nn.errors import ConversionError
from surrogate.nn.geometry import POINTWISE, Convolution
from surrogate.nn.layers.functional import AccurateConvolution, layer_gradients
from surrogate.nn.native import ActiveTable, NativeTable
from surrogate.nn.native.quantised import SLACK, AffineIntegers
from surrogate.nn.operators import NAMESPACE


@torch.library.custom_op(f"{NAMESPACE}::table_layer", mutates_args=())
def table_layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    x_scale: Tensor,
    x_zero: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    table: Tensor,
    x_limits: Sequence[int],
    w_limits: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Quantise, look products up, sum, rescale; the gradient is straight through.

    Parameters
    ----------
    x : Tensor
        Float32, ``(..., in_features)`` of a linear layer or ``(batch, channels, height, width)``.
    weight : Tensor
        Float32, ``(out_features, in_features)``, or as `torch.nn.Conv2d` has it.
    bias : Tensor or None
        Float32, one for each output channel.
    x_scale, x_zero, w_scale, w_zero : Tensor
        Float32 scales and int32 zero points, of one element; of weights also one for each output channel.
    table : Tensor
        Entries ``F[x, w]``, int64, of at most 256 x 256.
    x_limits, w_limits : (int, int, int)
        Smallest and largest integer to quantise to, and the smallest integer of the multiplier's operand.
    padding, stride, dilation : (int, int)
        As in `torch.nn.Conv2d`; padded lanes hold the zero point. Of a linear layer they are not used.
    groups : int
        Channels are split into this many independent groups.

    Returns
    -------
    y : Tensor
        Float32: the layer's output.
    codes, inside : Tensor
        For the backward pass: packed activations, and what was not clamped; uint8.

    Raises
    ------
    ConversionError
        If there is no compiled kernel here, or sums could exceed int32.
    """
    native = _native(table)
    if not CompiledLayer.holds(native, weight[0].numel()):
        raise ConversionError(f"sums of {weight[0].numel()} products could exceed int32; split the layer")
    low, high, minimum = w_limits
    weights = CompiledWeights.quantised(weight, w_scale, w_zero, (low, high, minimum), not bool(w_zero.any()), groups)
    grid = AffineIntegers(float(x_scale), int(x_zero), *x_limits)
    layer = CompiledLayer(native, _placement(x, weight, padding, stride, dilation, groups), grid, weights)
    packed = layer.pack(x.contiguous(), mark_inside=True)
    marks = x.new_empty(0, dtype=torch.uint8) if packed.inside is None else packed.inside.reshape(x.shape)
    return layer.output(packed, bias), packed.codes, marks


@table_layer.register_fake
def _empty_layer(x: Tensor, weight: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    place = _placement(x, weight, *others[-4:])
    n, c, h, w = place.shape
    top, bottom, left, right = place.padding
    codes = x.new_empty(n * c * (h + top + bottom) * (w + left + right) + SLACK, dtype=torch.uint8)
    return x.new_empty(place.out_shape), codes, torch.empty_like(x, dtype=torch.uint8).contiguous()


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight, _, x_scale, x_zero, w_scale, w_zero, _, *ctx.settings = inputs
    ctx.shape = x.shape
    ctx.save_for_backward(*output[1:], weight, x_scale, x_zero, w_scale, w_zero)


def _straight_through(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    codes, inside, weight, x_scale, x_zero, w_scale, w_zero = ctx.saved_tensors
    (_, _, x_minimum), (low, high, _), padding, stride, dilation, groups = ctx.settings
    by_channel = (-1, *(1,) * (weight.ndim - 1))
    scale, zero = w_scale.reshape(by_channel), w_zero.reshape(by_channel)
    rounded = torch.round(weight / scale) + zero
    clamped = rounded.clamp(low, high)
    w_hat = (clamped - zero) * scale
    accurate = None
    if weight.ndim == 2:
        packed = codes[:-SLACK].reshape(ctx.shape[-1], gradient.shape[:-1].numel())
    else:
        (n, c, h, w), (top, left) = ctx.shape, padding
        planes = codes[:-SLACK].reshape(n, c, h + 2 * top, w + 2 * left)
        packed = planes[:, :, top : top + h, left : left + w]
        accurate = AccurateConvolution(tuple(stride), tuple(padding), tuple(dilation), groups)
    x_hat = ((packed.int() + x_minimum).float() - x_zero) * x_scale
    grad_x, grad_w, grad_bias = layer_gradients(gradient, x_hat, w_hat, accurate, ctx.needs_input_grad[:3])
    return (
        None if grad_x is None else grad_x * inside,
        None if grad_w is None else grad_w * (rounded == clamped),
        grad_bias,
        *(None,) * 11,
    )


table_layer.register_autograd(_straight_through, setup_context=_remember)


def _placement(
    x: Tensor, weight: Tensor, padding: Sequence[int], stride: Sequence[int], dilation: Sequence[int], groups: int
) -> Placement:
    if weight.ndim == 2:
        shape = (1, x.shape[-1], 1, x.shape[:-1].numel())
        return Placement(shape, (0, 0, 0, 0), POINTWISE, (*x.shape[:-1], weight.shape[0]), True, None)
    (top, left), (n, c, h, w) = padding, x.shape
    convolution = Convolution(
        (weight.shape[2], weight.shape[3]), (stride[0], stride[1]), (dilation[0], dilation[1]), groups
    )
    size = convolution.output_size(h + 2 * top, w + 2 * left)
    accurate = AccurateConvolution(tuple(stride), tuple(padding), tuple(dilation), groups)
    return Placement((n, c, h, w), (top, top, left, left), convolution, (n, weight.shape[0], *size), False, accurate)


def _native(table: Tensor) -> NativeTable:
    held: ActiveTable | None = _tables.get(table)  # type: ignore[no-untyped-call]  # torch's own class
    if held is None:
        held = _tables[table] = ActiveTable()
    found = held.read(lambda: table)
    if found is None:
        raise ConversionError(
            "no compiled table kernel is active here, or none holds a table of this size (256 x 256 entries at most); "
            "`axsurrogate doctor` says which is"
        )
    return found


_tables = WeakTensorKeyDictionary()  # of the tables of compiled models
