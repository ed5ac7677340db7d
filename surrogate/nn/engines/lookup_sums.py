"""Sums of table entries by PyTorch's own operations: on any device, for a table of any size.

For a block of lanes the table is specialised to the weights, ``t[x, k, n] = F[x, w[n, k]]``; the sum over lanes of the
rows ``t[x[k], k]`` is then torch's embedding bag, which adds whole rows of output channels: no product is looked up by
itself. About 9 times a float32 product of 1024 x 1024 x 1024; the specialised tables, 256 entries a weight, take half
of that, and less where more rows share them.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK_ENTRIES = 1 << 18  # entries of a specialised table: fits the second-level cache
_BLOCK_CHANNELS = 64  # output channels of a specialised table
_BLOCK_PRODUCTS = 1 << 18  # products looked up at once where rows are too short or too few for specialised tables
_ENOUGH_CHANNELS = 4  # of a row of a specialised table


def lookup_sums(values: Tensor, index: Tensor, w: Tensor, exact_lanes: int, out: Tensor) -> None:
    """Write ``sum_k values[index[m, g, k], w[g, n, k]]`` to ``out[m, g, n]``.

    Parameters
    ----------
    values : Tensor
        Table of whole numbers, float32 or float64; fewer than 2**31 entries.
    index : Tensor
        Rows of the table, shape ``(rows, groups, lanes)``, int32.
    w : Tensor
        Columns of the table, shape ``(groups, out_channels, lanes)``.
    exact_lanes : int
        So many entries, at least one, can be added in the table's dtype; sums of more are added in that of ``out``.
    out : Tensor
        Shape ``(rows, groups, out_channels)``; of a dtype that holds every sum.

    Examples
    --------
    >>> out = torch.empty(1, 1, 2)
    >>> values = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    >>> index, w = torch.tensor([[[0, 1, 1]]], dtype=torch.int32), torch.tensor([[[0, 0, 0], [1, 0, 1]]])
    >>> lookup_sums(values, index, w, 3, out)
    >>> out  # 1 + 10 + 10, 2 + 10 + 20
    tensor([[[21., 32.]]])
    """
    w = w.to(torch.int32)  # selects faster than int64
    if len(index) < len(values) or w.shape[1] < _ENOUGH_CHANNELS:
        _by_gather(values, index, w, out)
    else:
        for group in range(len(w)):
            _by_specialised_tables(values, index[:, group], w[group], exact_lanes, out[:, group])


def _by_specialised_tables(values: Tensor, index: Tensor, w: Tensor, exact_lanes: int, out: Tensor) -> None:
    """Like `lookup_sums`, for one group."""
    size, channels = len(values), min(_BLOCK_CHANNELS, len(w))
    step = max(1, min(_BLOCK_ENTRIES // (size * channels), exact_lanes))
    starts = range(0, index.shape[1], step)
    bags = [_rows_of_specialised_table(index[:, start : start + step]) for start in starts]
    for first in range(0, len(w), channels):
        columns = slice(first, first + channels)
        total = out.new_zeros((len(index), len(w[columns])))
        for start, bag in zip(starts, bags, strict=True):
            lanes = w[columns, start : start + step].T.reshape(-1)
            table = values.index_select(1, lanes).reshape(size * bag.shape[1], -1)
            total += torch.nn.functional.embedding_bag(bag, table, mode="sum")
        out[:, columns] = total


def _rows_of_specialised_table(index: Tensor) -> Tensor:
    """Numbers of the rows ``t[x, k]``, which are laid out as ``[x][k]``."""
    lanes = index.shape[1]
    return index * lanes + torch.arange(lanes, device=index.device, dtype=index.dtype)


def _by_gather(values: Tensor, index: Tensor, w: Tensor, out: Tensor) -> None:
    """Like `lookup_sums`, one lookup per product."""
    flat, step = values.reshape(-1), max(1, _BLOCK_PRODUCTS // max(1, w.numel()))
    for start in range(0, len(index), step):
        entries = index[start : start + step, :, None, :] * values.shape[1] + w
        products = flat.index_select(0, entries.reshape(-1)).reshape(entries.shape)
        out[start : start + step] = products.sum(dim=3, dtype=out.dtype)
