"""Gradients by factors: the derivative of a separable product is separable.

With ``f(x, w) = sum_j g_j(x) h_j(w) + r(x) + c(w)``, the form in which a surrogate runs,

    f_x(x, w) = sum_j g_j'(x) h_j(w) + r'(x)        f_w(x, w) = sum_j g_j(x) h_j'(w) + c'(w)

where a prime is the difference of `surrogate.nn.gradients.smoothed_difference`, of one operand's values. It is linear,
so these are the derivatives of the whole table; they need only vectors. The factor of the differentiated operand can be
taken out of the sums over the other, so the backward pass is that of ``k`` accurate products, laid side by side as more
channels, and a lookup for each value of the operands, of any width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from surrogate.basis import FactorArray
from surrogate.factors import Factors
from surrogate.nn.engines.engine import lookup_rows
from surrogate.nn.geometry import Convolution
from surrogate.nn.gradients.product import ProductGradient, QuantisedOperand
from surrogate.nn.gradients.smoothed_difference import smoothed_difference

_BLOCK_VALUES = 1 << 22  # transformed activations held at once


class FactoredGradient(ProductGradient):
    """Accurate products of factors and of derivatives of factors.

    Parameters
    ----------
    left, right : ndarray, shapes (values of the activation, k) and (values of the weight, k)
        Factors ``g`` and ``h``.
    left_slopes, right_slopes : ndarray
        Their derivatives ``g'`` and ``h'``, and ``r'`` and ``c'`` as a last column. The attributes of these names are
        float32 tensors.
    """

    left: Tensor
    right: Tensor
    left_slopes: Tensor
    right_slopes: Tensor

    def __init__(
        self, left: NDArray[Any], right: NDArray[Any], left_slopes: NDArray[Any], right_slopes: NDArray[Any]
    ) -> None:
        super().__init__()
        self.additive_left = bool(left_slopes[:, -1].any())
        tables = {"left": left, "right": right, "left_slopes": left_slopes, "right_slopes": right_slopes}
        for name, values in tables.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)

    @classmethod
    def of(cls, factors: Factors, half_windows: tuple[int, int]) -> Self:
        """Differentiate factors, of which ``left`` is the activation's, by smoothed differences."""
        if factors.n_products == 0:
            factors = factors.as_products()
        left = smoothed_difference(_with_additive(factors.left, factors.additive_a), half_windows[0])
        right = smoothed_difference(_with_additive(factors.right, factors.additive_b), half_windows[1])
        return cls(factors.left, factors.right, left, right)

    def sums(
        self,
        gradient: Tensor,
        x: QuantisedOperand,
        w: QuantisedOperand,
        convolution: Convolution,
        needs: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """See `ProductGradient.sums`."""
        dtype = gradient.dtype
        left, left_slopes = (_padded(table.to(dtype)) for table in (self.left, self.left_slopes))
        kernels = lookup_rows(self.right.to(dtype), w.index.int())
        right_slopes = lookup_rows(self.right_slopes.to(dtype), w.index.int())
        zero_points = w.zero_point.expand(gradient.shape[3])
        runs = _runs(left.shape[1], convolution)
        of_x = torch.zeros(x.index.shape, dtype=dtype, device=gradient.device)
        of_w = torch.zeros(w.index.shape, dtype=dtype, device=gradient.device)
        for images in self._image_blocks(x.index):
            index, g = x.index[images].int(), gradient[images]
            if needs[0]:
                slopes = lookup_rows(left_slopes, index)
                for run in runs:
                    of_products = _of_input(g, kernels[..., run], index.shape, convolution)
                    of_x[images] += of_products.mul_(slopes[..., :-1][..., run]).sum(dim=4)
                if self.additive_left:
                    of_x[images] += slopes[..., -1] * _spread(g, index.shape, convolution)
                if not w.kind.centred:
                    of_x[images] -= _spread(g * zero_points, index.shape, convolution)
            if needs[1]:
                for run in runs:
                    of_products = _of_kernel(g, lookup_rows(left[:, run], index), convolution)
                    of_w += of_products.mul_(right_slopes[..., :-1][..., run]).sum(dim=4)
                if x.kind.skips:
                    taken = (index != x.kind.operand.size).to(dtype)[..., None]
                    total = _of_kernel(g, taken, convolution)[..., 0]
                else:
                    total = g.sum(dim=(0, 1, 2))[:, None, None, None]
                of_w += (right_slopes[..., -1] - x.zero_point) * total
        return of_x if needs[0] else None, of_w if needs[1] else None

    def _image_blocks(self, index: Tensor) -> Iterator[slice]:
        """Yield ranges of images whose transformed activations are held at once."""
        n, height, width, channels = index.shape
        step = max(1, _BLOCK_VALUES // max(1, height * width * channels * self.left_slopes.shape[1]))
        for start in range(0, n, step):
            yield slice(start, min(start + step, n))


def _with_additive(factors: FactorArray, additive: FactorArray | None) -> FactorArray:
    """Append the additive part as a column; zeros if there is none."""
    return np.column_stack([factors, np.zeros(len(factors), factors.dtype) if additive is None else additive])


def _padded(table: Tensor) -> Tensor:
    """Append a row of zeros, for skipped lanes."""
    return torch.nn.functional.pad(table, (0, 0, 0, 1))


def _pointwise(convolution: Convolution) -> bool:
    return convolution.kernel == convolution.stride == (1, 1)


def _runs(terms: int, convolution: Convolution) -> list[slice]:
    """Split terms into what one product takes.

    One group takes all, as more channels; several take them one by one, which keeps depthwise convolutions depthwise.
    """
    if convolution.groups == 1 or _pointwise(convolution):
        return [slice(None)]
    return [slice(term, term + 1) for term in range(terms)]


def _channels_first(x: Tensor) -> Tensor:
    """View channels-last values as torch names axes, in a memory layout that keeps convolutions in the fast one."""
    return x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _of_input(g: Tensor, kernels: Tensor, shape: Sequence[int], convolution: Convolution) -> Tensor:
    """Gradient of accurate products with respect to their input, of each term.

    Parameters
    ----------
    g : Tensor
        Gradient of the sums, shape ``(batch, out_height, out_width, out_channels)``.
    kernels : Tensor
        Shape ``(out_channels, kernel_height, kernel_width, channels / groups, terms)``.
    shape : sequence of int
        Of the input: ``(batch, height, width, channels)``.
    convolution : Convolution
        Geometry.

    Returns
    -------
    Tensor
        Shape ``(batch, height, width, channels, terms)``.
    """
    groups, terms = convolution.groups, kernels.shape[-1]
    if _pointwise(convolution):
        rows = g.reshape(-1, groups, g.shape[3] // groups).transpose(0, 1)
        found: Tensor = rows @ kernels.reshape(groups, rows.shape[2], -1)
        return found.transpose(0, 1).reshape(*shape, terms)
    size = torch.Size([shape[0], shape[3] * terms, shape[1], shape[2]])
    weight, of_output = _channels_first(kernels.flatten(3)), _channels_first(g)
    found = conv2d_input(size, weight, of_output, convolution.stride, 0, convolution.dilation, groups)  # type: ignore[no-untyped-call]
    return found.permute(0, 2, 3, 1).reshape(*shape, terms)


def _of_kernel(g: Tensor, factors: Tensor, convolution: Convolution) -> Tensor:
    """Gradient of accurate products with respect to their kernel, of each term.

    Parameters
    ----------
    g : Tensor
        As of `_of_input`.
    factors : Tensor
        Transformed input, shape ``(batch, height, width, channels, terms)``.
    convolution : Convolution
        Geometry.

    Returns
    -------
    Tensor
        Shape ``(out_channels, kernel_height, kernel_width, channels / groups, terms)``.
    """
    groups, terms, out_channels = convolution.groups, factors.shape[-1], g.shape[3]
    shape = (out_channels, *convolution.kernel, factors.shape[3] // groups)
    if _pointwise(convolution):
        rows = g.reshape(-1, groups, out_channels // groups).permute(1, 2, 0)
        lanes = factors.reshape(-1, groups, shape[3] * terms).transpose(0, 1)
        return (rows @ lanes).reshape(*shape, terms)
    images, of_output = _channels_first(factors.flatten(3)), _channels_first(g)
    size = torch.Size([out_channels, shape[3] * terms, *convolution.kernel])
    found: Tensor = conv2d_weight(images, size, of_output, convolution.stride, 0, convolution.dilation, groups)  # type: ignore[no-untyped-call]
    return found.permute(0, 2, 3, 1).reshape(*shape, terms)


def _spread(g: Tensor, shape: Sequence[int], convolution: Convolution) -> Tensor:
    """Sum the gradients of all windows and channels that an input takes part in; the result is of the input's shape."""
    groups = convolution.groups
    grouped = g.reshape(*g.shape[:3], groups, g.shape[3] // groups).sum(dim=4)
    ones = g.new_ones((groups, *convolution.kernel, 1, 1))
    spread = _of_input(grouped, ones, (*shape[:3], groups), convolution)
    return spread[..., 0].repeat_interleave(shape[3] // groups, dim=3)
