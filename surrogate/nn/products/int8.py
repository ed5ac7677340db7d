"""Products of integer factors in int8 with int32 sums.

Factors beyond int8 are split into digits (`surrogate.digits`); products of digits that have one weight are one int8
product. The weighted sums are added in float64, which holds them exactly up to 2**53. Channels are cut into pieces
where an int32 sum could overflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.nn.engines.engine import lookup_rows
from surrogate.nn.geometry import Convolution
from surrogate.nn.operators import opaque, probed
from surrogate.nn.products import cuda as cuda_products
from surrogate.nn.products.int8_factors import Int8Factors

_BLOCK_BYTES = 1 << 21  # patches, or sums, that stay in the second-level cache until they are used
_SUM_BYTES = 4


@probed
def int8_products_are_exact(device: str) -> bool:
    """Whether ``torch._int_mm`` exists on ``device`` and sums int8 products in int32 without saturation.

    Probed once with extreme values: some processors without int8 dot-product instructions saturate at 16 bits (PyTorch
    issue 136746).
    """
    generator = torch.Generator().manual_seed(0)
    extremes = torch.tensor([-128, -127, 127], dtype=torch.int8)
    x = extremes[torch.randint(3, (32, 256), generator=generator)]
    w = extremes[torch.randint(3, (256, 32), generator=generator)]
    x[0], w[:, 0] = -128, -128
    try:
        actual = multiply(x.to(device), w.to(device)).cpu()
    except (AssertionError, AttributeError, RuntimeError, NotImplementedError):  # also of a device that is not there
        return False
    return bool(torch.equal(actual.long(), x.long() @ w.long()))


def _empty_product(x: Tensor, w: Tensor) -> Tensor:
    return x.new_empty((x.shape[0], w.shape[1]), dtype=torch.int32)


@opaque("int8_product", _empty_product)
def multiply(x: Tensor, w: Tensor) -> Tensor:
    """Multiply int8 matrices into int32.

    A contiguous tensor may have any stride along an axis of length 1, from which ``torch._int_mm`` takes the length of
    a row, and then returns garbage (PyTorch issue 195066): the strides are made canonical first.
    """
    if x.device.type == "cuda":
        return cuda_products.int8_product(x, w)
    return torch._int_mm(_canonical(x), _canonical(w))


def _canonical(x: Tensor) -> Tensor:
    return x.contiguous().as_strided(x.shape, (x.shape[1], 1))


@dataclass(frozen=True)
class Int8Matrices:
    """Weights of one int8 product, transformed.

    Attributes
    ----------
    of_groups : tuple of Tensor
        ``(lanes * terms, columns)`` int8; one more column than output channels where the right factors are shifted.
    constant : Tensor
        ``(groups, out_channels / groups)``, int32.
    """

    of_groups: tuple[Tensor, ...]
    constant: Tensor


@dataclass(frozen=True)
class Int8Weights:
    """Transformed weights.

    Attributes
    ----------
    pieces : tuple of tuple of Int8Matrices
        By piece of the channels, by factors.
    channels : int
        Channels of a group in each piece (fewer in the last).
    """

    pieces: tuple[tuple[Int8Matrices, ...], ...]
    channels: int
    out_channels: int


def prepare(factors: Sequence[Int8Factors], w: Tensor, groups: int, channels: int) -> Int8Weights:
    """Transform weights; arguments as in `Engine.prepare`, ``channels`` of a group per piece."""
    grouped = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    pieces = torch.split(grouped, channels, dim=4)
    return Int8Weights(tuple(tuple(_matrices(each, piece) for each in factors) for piece in pieces), channels, len(w))


def _matrices(factors: Int8Factors, grouped: Tensor) -> Int8Matrices:
    """Transform weights ``(groups, out, height, width, channels)``."""
    constant = lookup_rows(factors.constant, grouped).flatten(2).sum(dim=2)
    if factors.has_column:
        grouped = torch.cat([grouped, torch.full_like(grouped[:, :1], len(factors.constant))], dim=1)
    lanes = factors.transform_weights(grouped).flatten(2)
    return Int8Matrices(tuple(each.T.contiguous() for each in lanes), constant.to(torch.int32))


def sums(factors: Sequence[Int8Factors], x: Tensor, weights: Int8Weights, convolution: Convolution) -> Tensor:
    """Sum weighted products; arguments as in `surrogate.nn.engines.engine.Engine.sums`.

    Returns
    -------
    Tensor
        Int32 where one product of weight 1 is all, else float64.
    """
    n, h, w, channels = x.shape
    groups = convolution.groups
    grouped = x.reshape(n, h, w, groups, channels // groups)
    shape = (n, *convolution.output_size(h, w), groups, weights.out_channels // groups)
    products = [
        (each.weight, each, piece, matrices)
        for piece, of_piece in enumerate(weights.pieces)
        for each, matrices in zip(factors, of_piece, strict=True)
    ]
    single = [weight for weight, *_ in products] == [1]
    result = torch.empty(shape, dtype=torch.int32 if single else torch.float64, device=x.device)
    for images in _blocks(x, factors, convolution, weights.out_channels):
        target = result[images]
        pieces = torch.split(grouped[images], weights.channels, dim=4)
        buffer = target if single else torch.empty_like(target, dtype=torch.int32)
        for i, (weight, each, piece, matrices) in enumerate(products):
            _multiply(each, pieces[piece], matrices, convolution, buffer)
            if i > 0:
                target.add_(buffer, alpha=weight)
            elif not single:
                target.copy_(buffer)
                if weight != 1:
                    target.mul_(weight)
    return (result if products else result.zero_()).flatten(3)


def _blocks(x: Tensor, factors: Sequence[Int8Factors], convolution: Convolution, out_channels: int) -> Iterator[slice]:
    """Yield ranges of images whose patches, and sums, stay in the cache."""
    lanes = convolution.kernel[0] * convolution.kernel[1] * x.shape[3]
    terms = max([1, *(each.terms for each in factors)])
    sums = -(-2 * _SUM_BYTES * out_channels // max(1, lanes))  # as bytes of a value in the patches
    return convolution.blocks(x, max(terms, sums), _BLOCK_BYTES)


def _multiply(factors: Int8Factors, x: Tensor, matrices: Int8Matrices, convolution: Convolution, out: Tensor) -> None:
    """Write int32 sums of one product to ``out``, ``(batch, out_height, out_width, groups, out_channels)``."""
    transformed = factors.transform(x)
    patches = convolution.patches(transformed.flatten(3))
    patches = patches.reshape(*patches.shape[:5], *transformed.shape[3:])
    for group, matrix in enumerate(matrices.of_groups):
        lanes = patches[:, :, :, :, :, group].reshape(-1, matrix.shape[0])
        product = multiply(lanes, matrix).view(*out.shape[:3], matrix.shape[1])
        part = product[..., : out.shape[4]]
        if factors.has_constant:
            part += matrices.constant[group]
        if factors.has_column:
            part -= product[..., out.shape[4] :]
        out[:, :, :, group] = part
