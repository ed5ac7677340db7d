"""Products of integer factors in int8 with int32 sums.

Factors are shifted into int8, ``g = g' + s``, ``h = h' + t``, so that

    sum g h = sum g' h' + sum s h' + sum t g' + sum s t

where the second and last sums are constants of an output channel, and the third is one more column of the product.
Several terms of one operand are looked up together, as one machine word of 1, 2, 4 or 8 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.nn import cuda_products
from surrogate.nn.engine import lookup_rows
from surrogate.nn.geometry import Convolution
from surrogate.nn.operators import opaque, probed

_BLOCK_BYTES = 1 << 21  # patches that stay in the second-level cache until they are multiplied

_WORDS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


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
    except (AttributeError, RuntimeError, NotImplementedError):
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


def fits_int8(factor: Tensor) -> bool:
    """Whether every column of an integer factor can be shifted into int8, with a shift whose negative fits too."""
    shift = shifts(factor)
    shifted = factor - shift
    return bool(((shifted >= -128) & (shifted <= 127)).all() and ((shift >= -127) & (shift <= 128)).all())


def shifts(factor: Tensor) -> Tensor:
    """Shift of least magnitude that brings each column into [-128, 127], if any does; int64, shape ``(terms,)``."""
    low, high = factor.amin(dim=0), factor.amax(dim=0)
    return torch.where(high > 127, high - 127, torch.where(low < -128, low + 128, 0))


@dataclass(frozen=True)
class Int8Factors:
    """Factors shifted into int8, and what follows from them alone.

    Attributes
    ----------
    words : tuple of Tensor
        Shifted left factors, ``(activation values + 1, width)`` for each machine word; the last row, for skipped
        lanes, undoes the shift.
    columns : tuple of Tensor
        Shifted right factors, ``(weight values + 1, width)``; the last row is the column whose sum is subtracted.
    constant : Tensor
        ``sum_j s_j h_j`` for each weight value.
    has_column : bool
        Whether the right factors are shifted, so that the column is needed.
    lane_bound : int
        No int32 sum, and no intermediate one, exceeds this per lane.
    """

    words: tuple[Tensor, ...]
    columns: tuple[Tensor, ...]
    constant: Tensor
    has_column: bool
    lane_bound: int

    @classmethod
    def of(cls, left: Tensor, right: Tensor) -> Int8Factors:
        """Shift integer factors for which `fits_int8` holds."""
        s, t = shifts(left), shifts(right)
        constant = right @ s
        a, b = (left - s).abs().amax(dim=0), (right - t).abs().amax(dim=0)
        bound = int((a * b).sum() + (a * t.abs()).sum() + constant.abs().max())
        words = _parts(torch.cat([left - s, -s[None]]).to(torch.int8))
        columns = _parts(torch.cat([right - t, -t[None]]).to(torch.int8))  # -128 fits int8 where 128 does not
        return cls(tuple(words), tuple(columns), constant, bool((t != 0).any()), bound)

    @property
    def terms(self) -> int:
        """Number of products."""
        return sum(word.shape[1] for word in self.words)


@dataclass(frozen=True)
class Int8Weights:
    """Transformed weights.

    Attributes
    ----------
    matrices : tuple of Tensor
        Per group, (lanes * terms, columns) int8; one more column than output channels where ``right`` is shifted.
    constant : Tensor
        Per output channel, int32.
    """

    matrices: tuple[Tensor, ...]
    constant: Tensor


def prepare(factors: Int8Factors, w: Tensor, groups: int) -> Int8Weights:
    """Transform weights; arguments as in `surrogate.nn.engine.Engine.prepare`."""
    lanes, per_group = w[0].numel(), w.shape[0] // groups
    constant = lookup_rows(factors.constant, w).reshape(-1, lanes).sum(dim=1)
    grouped = w.reshape(groups, per_group, *w.shape[1:])
    if factors.has_column:
        grouped = torch.cat([grouped, torch.full_like(grouped[:, :1], len(factors.constant))], dim=1)
    columns = torch.cat([lookup_rows(part, grouped).flatten(4) for part in factors.columns], dim=4)
    matrices = tuple(m.reshape(m.shape[0], -1).T.contiguous() for m in columns)
    return Int8Weights(matrices, constant.to(torch.int32))


def sums(factors: Int8Factors, x: Tensor, weights: Int8Weights, convolution: Convolution) -> Tensor:
    """Sum products in int32; arguments as in `surrogate.nn.engine.Engine.sums`."""
    n, h, w, c = x.shape
    out_h, out_w = convolution.output_size(h, w)
    groups = len(weights.matrices)
    out_channels = weights.constant.numel() // groups
    result = torch.empty((n, out_h, out_w, groups, out_channels), dtype=torch.int32, device=x.device)
    constant = weights.constant.reshape(groups, out_channels)
    for images in convolution.blocks(x, factors.terms, _BLOCK_BYTES):
        index = x[images].reshape(-1)
        parts = [_lookup_words(word, index).reshape(-1, c // groups * word.shape[1]) for word in factors.words]
        transformed = (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).reshape(-1, h, w, c * factors.terms)
        patches = convolution.patches(transformed)
        patches = patches.reshape(*patches.shape[:5], groups, -1)
        for group, matrix in enumerate(weights.matrices):
            lanes = patches[:, :, :, :, :, group].reshape(-1, matrix.shape[0])
            product = multiply(lanes, matrix).reshape(-1, out_h, out_w, matrix.shape[1])
            target = result[images, :, :, group]
            target.copy_(product[..., :out_channels] + constant[group])
            if factors.has_column:
                target -= product[..., out_channels:]
    return result.reshape(n, out_h, out_w, groups * out_channels)


def _lookup_words(table: Tensor, index: Tensor) -> Tensor:
    """Read rows of 1, 2, 4 or 8 bytes, each as one word."""
    return table.view(_WORDS[table.shape[1]]).flatten().index_select(0, index).view(torch.int8)


def _parts(factors: Tensor) -> list[Tensor]:
    """Split columns into contiguous parts whose widths are machine words, widest first."""
    parts, start = [], 0
    for width in _WORDS:
        while factors.shape[1] - start >= width:
            parts.append(factors[:, start : start + width].contiguous())
            start += width
    return parts
