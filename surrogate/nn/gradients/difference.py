"""Gradients by table: two lookup tables hold the derivative of every product with respect to either operand.

This is the gradient of Meng, Burleson, Qian and De Micheli (DATE 2025; their "LUT-2D", arXiv 2509.10519), from the
tables of `surrogate.nn.gradients.smoothed_difference`. The backward pass is as behavioural as the forward pass:

    grad_x[r, k] = sum_n g[r, n] f_x[x[r, k], w[n, k]]        grad_w[n, k] = sum_r g[r, n] f_w[x[r, k], w[n, k]]

for rows ``r`` of lanes ``k``. A convolution is done one kernel position after the other, so that patches are never
copied. Per lane, the tables are specialised to the weights, ``t[x, n] = f_x[x, w[n, k]]``: then ``grad_x`` is a dot
product of ``g``'s row with the table's row that ``x`` selects; for ``grad_w``, the rows of ``g`` are added up by the
value of ``x``, and these sums multiplied with the specialised table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from surrogate.nn.geometry import Convolution
from surrogate.nn.gradients.product import ProductGradient, QuantisedOperand
from surrogate.nn.gradients.smoothed_difference import smoothed_difference
from surrogate.nn.operators import opaque

_BLOCK_ENTRIES = 1 << 18  # entries of a specialised table: fits the second-level cache
_BLOCK_LANES = 1 << 21  # lanes copied at once
_BLOCK_PRODUCTS = 1 << 20  # derivatives gathered at once where there are too few rows for specialised tables
_SPECIALISE = 8  # an entry of a specialised table is made in this fraction of the time that a product is gathered in
_SUM = 0  # torch's number of an embedding bag's mode "sum"


class DifferenceGradient(ProductGradient):
    """Sums of tabulated derivatives.

    Parameters
    ----------
    table : ndarray, shape (values of the activation, values of the weight)
        Products.
    half_windows : (int, int)
        Of the moving averages along either operand; see `smoothed_difference`.

    Attributes
    ----------
    by_activation, by_weight : Tensor
        Derivatives with respect to the activation and to the weight, of the table's shape, float32.
    """

    by_activation: Tensor
    by_weight: Tensor

    def __init__(self, table: NDArray[Any], half_windows: tuple[int, int]) -> None:
        super().__init__()
        derivatives = smoothed_difference(table, half_windows[0]), smoothed_difference(table.T, half_windows[1]).T
        for name, values in zip(("by_activation", "by_weight"), derivatives, strict=True):
            self.register_buffer(name, torch.from_numpy(values).float().contiguous(), persistent=False)

    def sums(
        self,
        gradient: Tensor,
        x: QuantisedOperand,
        w: QuantisedOperand,
        convolution: Convolution,
        needs: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """See `ProductGradient.sums`."""
        geometry = (convolution.kernel, convolution.stride, convolution.dilation)
        of_x, of_w = tabulated_sums(
            gradient,
            x.index,
            w.index,
            self.by_activation.to(gradient.dtype),
            self.by_weight.to(gradient.dtype) - x.zero_point,
            w.zero_point.expand(gradient.shape[3]).contiguous(),
            [size for pair in geometry for size in pair],
            convolution.groups,
            list(needs),
        )
        return of_x if needs[0] else None, of_w if needs[1] else None


def _like_operands(gradient: Tensor, x: Tensor, w: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return gradient.new_empty(x.shape), gradient.new_empty(w.shape)


@opaque("tabulated_sums", _like_operands)
def tabulated_sums(
    gradient: Tensor,
    x: Tensor,
    w: Tensor,
    by_activation: Tensor,
    by_weight: Tensor,
    zero_points: Tensor,
    geometry: Sequence[int],
    groups: int,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    """Sum tabulated derivatives.

    Parameters
    ----------
    gradient : Tensor
        Gradient of the sums, shape ``(batch, out_height, out_width, out_channels)``.
    x, w : Tensor
        Indices, as of `ProductGradient.sums`.
    by_activation, by_weight : Tensor
        Derivatives of the product, and those of ``f(x, w) - Zx w`` with respect to ``w``.
    zero_points : Tensor
        ``Zw`` of each output channel.
    geometry : sequence of int
        Kernel, stride and dilation, two numbers each.
    groups : int
        Groups of the convolution.
    needs : sequence of bool
        Which of the two results are wanted; the other is zeros.

    Returns
    -------
    Tensor, Tensor
        For activations and weights, of the shapes of ``x`` and ``w``.
    """
    k_h, k_w, s_h, s_w, d_h, d_w = geometry
    convolution = Convolution((k_h, k_w), (s_h, s_w), (d_h, d_w), groups)
    tables = [torch.nn.functional.pad(table, (0, 0, 0, 1)) for table in (by_activation, by_weight)]  # skipped lanes: 0
    channels, per_group, size = gradient.shape[3] // groups, w.shape[3], (len(tables[0]), tables[0].shape[1])
    weights = w.long().reshape(groups, channels, k_h, k_w, per_group)
    wanted_x, wanted_w = (table if wanted else None for table, wanted in zip(tables, needs, strict=True))
    of_x, of_w = gradient.new_zeros(x.shape), gradient.new_zeros(weights.shape)
    for images in _image_blocks(gradient, x.shape[3]):
        g = gradient[images].reshape(-1, groups, channels)
        specialise = _SPECIALISE * len(g) >= len(by_weight) and channels >= 4
        for i, j, rows, columns in _positions(convolution, *gradient.shape[1:3]):
            window = x[images, rows, columns]
            lanes = window.reshape(len(g), groups, per_group).long()  # narrower ones are added up much more slowly
            place = g.new_zeros(lanes.shape)
            own = g, lanes, weights[:, :, i, j], zero_points.reshape(groups, -1), place, of_w[:, :, i, j]
            sums = _Sums(wanted_x, wanted_w, size, *own)
            (sums.add_by_specialised_tables if specialise else sums.add_by_gather)()
            of_x[images, rows, columns] += place.reshape(window.shape)
    return of_x, of_w.reshape(w.shape)


def _image_blocks(gradient: Tensor, channels: int) -> Iterator[slice]:
    """Yield ranges of images, each of at most `_BLOCK_LANES` lanes of one kernel position, or of one image."""
    n, height, width, _ = gradient.shape
    step = max(1, _BLOCK_LANES // max(1, height * width * channels))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _positions(convolution: Convolution, height: int, width: int) -> Iterator[tuple[int, int, slice, slice]]:
    """Yield each kernel position with the rows and columns of the input that it reads for an output of this size."""
    (s_h, s_w), (d_h, d_w) = convolution.stride, convolution.dilation
    for i, j in product(*map(range, convolution.kernel)):
        rows = slice(i * d_h, i * d_h + (height - 1) * s_h + 1, s_h)
        yield i, j, rows, slice(j * d_w, j * d_w + (width - 1) * s_w + 1, s_w)


@dataclass(frozen=True)
class _Sums:
    """Sums over one kernel position, to which either way adds the derivatives that are wanted.

    Attributes
    ----------
    by_activation, by_weight : Tensor or None
        Tables of derivatives, with a last row of zeros; None where they are not wanted.
    size : (int, int)
        Shape of the tables.
    g : Tensor
        Gradient of the layer's sums, shape (rows, groups, channels).
    lanes, w : Tensor
        Indices, shapes (rows, groups, lanes) and (groups, channels, lanes).
    zero_points : Tensor
        ``Zw``, shape (groups, channels).
    of_x, of_w : Tensor
        What is added to, of the shapes of ``lanes`` and ``w``.
    """

    by_activation: Tensor | None
    by_weight: Tensor | None
    size: tuple[int, int]
    g: Tensor
    lanes: Tensor
    w: Tensor
    zero_points: Tensor
    of_x: Tensor
    of_w: Tensor

    def add_by_specialised_tables(self) -> None:
        """Specialise the tables to the weights of some lanes at a time."""
        groups, channels, lanes = self.w.shape
        step = max(1, _BLOCK_ENTRIES // (self.size[0] * channels))
        for group, start in product(range(groups), range(0, lanes, step)):
            part = slice(start, start + step)
            index, chosen, rows = self.lanes[:, group, part], self.w[group, :, part].T, self.g[:, group]
            count = index.shape[1]
            if self.by_activation is not None:
                values = _specialised(self.by_activation, chosen) - self.zero_points[group]
                offsets = torch.arange(count, device=index.device, dtype=index.dtype) * self.size[0]
                self.of_x[:, group, part] += _dot_products(rows, values.flatten(0, 1), index + offsets)
            if self.by_weight is not None:
                by_value = self.g.new_zeros((count, self.size[0], channels))
                for lane in range(count):
                    by_value[lane].index_add_(0, index[:, lane], rows)
                self.of_w[group, :, part] += by_value.mul_(_specialised(self.by_weight, chosen)).sum(dim=1).T

    def add_by_gather(self) -> None:
        """Look one derivative up for every product, some rows and channels at a time."""
        groups, channels, lanes = self.w.shape
        n_channels = max(1, _BLOCK_PRODUCTS // max(1, groups * lanes))
        n_rows = max(1, _BLOCK_PRODUCTS // max(1, groups * min(n_channels, channels) * lanes))
        for start, first in product(range(0, len(self.g), n_rows), range(0, channels, n_channels)):
            rows, columns = slice(start, start + n_rows), slice(first, first + n_channels)
            index = self.lanes[rows, :, None] * self.size[1] + self.w[:, columns]  # (rows, groups, channels, lanes)
            values = self.g[rows, :, columns, None]
            if self.by_activation is not None:
                slopes = self.by_activation.take(index) - self.zero_points[:, columns, None]
                self.of_x[rows] += (slopes * values).sum(dim=2)
            if self.by_weight is not None:
                self.of_w[:, columns] += (self.by_weight.take(index) * values).sum(dim=0)


def _specialised(table: Tensor, w: Tensor) -> Tensor:
    """Return ``table[x, w[k, n]]`` in the order ``(k, x, n)``."""
    return table.index_select(1, w.flatten()).reshape(len(table), *w.shape).transpose(0, 1)


def _dot_products(rows: Tensor, table: Tensor, index: Tensor) -> Tensor:
    """Return ``sum_n rows[r, n] table[index[r, k], n]``, the gradient of the weights in a weighted embedding bag.

    Only its own operator in torch does that without a copy of the selected rows.
    """
    bag = torch.arange(len(index), dtype=index.dtype, device=index.device)
    offsets, of_entry = bag * index.shape[1], bag.repeat_interleave(index.shape[1])
    found: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        rows, table, index.flatten(), offsets, of_entry, _SUM
    )
    return found.reshape(index.shape)
