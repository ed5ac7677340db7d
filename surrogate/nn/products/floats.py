"""Products of factors in float32 or float64, and in 16-bit floats where their products are float32.

Where a sum could leave the integers that the datatype holds, channels are cut into pieces that cannot, and the pieces
are added in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from surrogate.nn.engines.engine import lookup_rows
from surrogate.nn.geometry import Convolution
from surrogate.nn.operators import opaque, probed
from surrogate.nn.products import cuda as cuda_products
from surrogate.nn.products.bfloat16 import bfloat16_product
from surrogate.nn.products.precision import full_precision

_BLOCK_BYTES = 1 << 24


@probed
def convolutions_are_exact(device_type: str) -> bool:
    """Whether float32 convolutions add integers without rounding: on processors, if a probe confirms it.

    Elsewhere libraries choose transforms (Winograd, FFT) by shape, and none is trusted.
    """
    if device_type != "cpu":
        return False
    generator = torch.Generator().manual_seed(0)
    exact = True
    with full_precision(torch.device("cpu")):
        for channels, size in ((1, 8), (3, 9), (16, 12), (64, 10)):
            largest = int((((1 << 24) - 1) / (9 * channels)) ** 0.5)
            x = torch.randint(-largest, largest + 1, (16, channels, size, size), generator=generator).float()
            w = torch.randint(-largest, largest + 1, (16, channels, 3, 3), generator=generator).float()
            for layout in (torch.contiguous_format, torch.channels_last):
                y = torch.conv2d(x.to(memory_format=layout), w.to(memory_format=layout))
                exact &= torch.equal(y.double(), torch.conv2d(x.double(), w.double()))
    return exact


@dataclass(frozen=True)
class FloatWeights:
    """Transformed weights, one per piece of the channels.

    Attributes
    ----------
    pieces : tuple of Tensor
        For `direct` convolution kernels ``(runs, out_channels, channels, height, width)``, else matrices
        ``(groups, lanes * terms, out_channels / groups)``. One group takes all terms in one run, as more channels;
        several take a run for each term, which keeps depthwise convolutions depthwise.
    channels : int
        Channels of a group in each piece (fewer in the last).
    direct : bool
        Whether to convolve rather than copy patches and multiply matrices.
    """

    pieces: tuple[Tensor, ...]
    channels: int
    direct: bool


def prepare(right: Tensor, w: Tensor, groups: int, dtype: torch.dtype, channels: int) -> FloatWeights:
    """Transform weights; arguments as in `Engine.prepare`, ``channels`` of a group per piece."""
    factors = lookup_rows(right.to(dtype), w)  # (out, height, width, channels, terms)
    direct = dtype == torch.float32 and w[0, :, :, 0].numel() > 1 and convolutions_are_exact(w.device.type)
    pieces = []
    for piece in torch.split(factors, channels, dim=3):
        if direct:
            runs = piece.flatten(3)[None] if groups == 1 else piece.permute(4, 0, 1, 2, 3)
            pieces.append(runs.contiguous().permute(0, 1, 4, 2, 3))
        else:
            pieces.append(piece.reshape(groups, w.shape[0] // groups, -1).transpose(1, 2).contiguous())
    return FloatWeights(tuple(pieces), channels, direct)


def _empty_product(x: Tensor, w: Tensor) -> Tensor:
    return x.new_empty((*x.shape[:2], w.shape[2]), dtype=_summed_in(x.dtype))


@opaque("float_product", _empty_product)
def float_product(x: Tensor, w: Tensor) -> Tensor:
    """Multiply batches of matrices in full precision; 16-bit floats into float32."""
    if x.dtype != _summed_in(x.dtype):
        return bfloat16_product(x, w) if x.device.type == "cpu" else cuda_products.half_product(x, w)
    with full_precision(x.device):
        return torch.bmm(x, w) if len(x) > 1 else torch.mm(x[0], w[0])[None]


def _summed_in(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in cuda_products.HALVES.values() else dtype


def _empty_convolution(x: Tensor, w: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Tensor:
    return torch.conv2d(x, w, None, stride, 0, dilation, groups)


@opaque("float_convolution", _empty_convolution)
def float_convolution(x: Tensor, w: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Tensor:
    """Convolve in full precision."""
    with full_precision(x.device):
        return torch.conv2d(x, w, None, stride, 0, dilation, groups)


def sums(left: Tensor, x: Tensor, weights: FloatWeights, convolution: Convolution) -> Tensor:
    """Sum products; arguments as in `surrogate.nn.engines.engine.Engine.sums`."""
    dtype = weights.pieces[0].dtype
    table = torch.nn.functional.pad(left.to(dtype), (0, 0, 0, 1))  # the last row: skipped lanes
    total = torch.zeros((), device=x.device)
    for channels, piece in zip(_channel_pieces(x, weights, convolution), weights.pieces, strict=True):
        part = (_convolve if weights.direct else _multiply)(table, channels, piece, convolution)
        total = part if len(weights.pieces) == 1 else total.double() + part
    return total


def _channel_pieces(x: Tensor, weights: FloatWeights, convolution: Convolution) -> Iterator[Tensor]:
    """Cut the channels of every group alike; each piece has shape ``(batch, height, width, groups * channels)``."""
    if len(weights.pieces) == 1:
        yield x
    else:
        grouped = x.reshape(*x.shape[:3], convolution.groups, -1)
        for piece in torch.split(grouped, weights.channels, dim=4):
            yield piece.flatten(3)


def _transform(table: Tensor, x: Tensor) -> Tensor:
    """Look factors up, the terms of a channel side by side: ``(batch, height, width, channels * terms)``."""
    if table.shape[1] == 1:
        return lookup_rows(table.flatten(), x)  # much faster than rows of one entry
    return lookup_rows(table, x).flatten(3)


def _convolve(table: Tensor, x: Tensor, kernels: Tensor, convolution: Convolution) -> Tensor:
    total: Tensor | None = None
    tables = (table,) if convolution.groups == 1 else torch.split(table, 1, dim=1)
    for columns, kernel in zip(tables, kernels, strict=True):
        images = _transform(columns, x).permute(0, 3, 1, 2)
        y = float_convolution(images, kernel, convolution.stride, convolution.dilation, convolution.groups)
        total = y if total is None else total.add_(y)
    return cast(Tensor, total).permute(0, 2, 3, 1)


def _multiply(table: Tensor, x: Tensor, matrices: Tensor, convolution: Convolution) -> Tensor:
    n, h, w, _ = x.shape
    out_h, out_w = convolution.output_size(h, w)
    groups, length, out_channels = matrices.shape
    result = torch.empty((n, out_h, out_w, groups, out_channels), dtype=_summed_in(table.dtype), device=x.device)
    for images in convolution.blocks(x, table.element_size() * table.shape[1], _BLOCK_BYTES):
        patches = convolution.patches(_transform(table, x[images]))
        rows = patches.shape[0] * out_h * out_w
        lanes = patches.reshape(rows, convolution.kernel[0] * convolution.kernel[1], groups, -1)
        lanes = lanes.permute(2, 0, 1, 3).reshape(groups, rows, length)
        products = float_product(lanes, matrices)
        result[images] = products.permute(1, 0, 2).reshape(-1, out_h, out_w, groups, out_channels)
    return result.flatten(3)
