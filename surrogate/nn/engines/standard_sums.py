"""Sums in standard operators alone, for exported graphs: no custom operators, no views by strides, no int8 products.

Of a surrogate, factors are looked up (an embedding) and the terms laid side by side as channels; one convolution or
matrix product does the rest, in float32 where no sum can leave the integers that it holds, else in float64. Of a
table, every product is looked up, for some lanes at a time: it runs anywhere, but reads memory once per product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from surrogate.arithmetic import ARITHMETICS
from surrogate.model import Surrogate
from surrogate.nn.engines.engine import Engine, lookup_rows, refuse_long_sums
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.errors import ConversionError
from surrogate.nn.geometry import Convolution

_PRODUCTS = 1 << 12  # products of one output position that are looked up at once


def standard_engine(engine: Engine, surrogate: Surrogate | None) -> StandardSurrogate | StandardTable:
    """Return what does the sums of an engine in exported graphs; ``surrogate`` is that of a `SurrogateEngine`.

    Raises
    ------
    ConversionError
        If it is neither by surrogate nor by table.
    """
    if isinstance(engine, TableEngine):
        return StandardTable(engine.table, engine.largest)
    if isinstance(engine, SurrogateEngine) and surrogate is not None:
        return StandardSurrogate.of(engine, surrogate)
    raise ConversionError(f"sums by {type(engine).__name__} cannot be exported")


@dataclass(frozen=True)
class StandardSurrogate:
    """Sums by surrogate.

    Attributes
    ----------
    left, right : Tensor
        Factors of activations and weights, ``(values, terms)``.
    largest : int or None
        Largest magnitude of what one lane adds; None of float factors.
    float32 : bool
        Whether float32 holds the factors.
    """

    left: Tensor
    right: Tensor
    largest: int | None
    float32: bool
    by_place: ClassVar[bool] = False

    @classmethod
    def of(cls, engine: SurrogateEngine, surrogate: Surrogate) -> StandardSurrogate:
        """Write the terms of one operand alone as products, too: in skipped lanes these are 0 like all others."""
        left, right = [engine.left], [engine.right]
        if engine.additive_activation is not None:
            left.append(engine.additive_activation[:, None])
            right.append(torch.ones_like(engine.right[:, :1]))
        if engine.additive_weight is not None:
            left.append(torch.ones_like(engine.left[:, :1]))
            right.append(engine.additive_weight[:, None])
        factors = surrogate.factors().as_products()
        holds = ARITHMETICS["float32"].holds
        return cls(
            torch.cat(left, dim=1),
            torch.cat(right, dim=1),
            int(factors.product_bound()) + 1 if factors.is_integer else None,
            not factors.is_integer or (holds(factors.left) and holds(factors.right)),
        )

    def _datatype(self, lanes: int) -> torch.dtype:
        """Datatype that holds sums of so many products."""
        if self.largest is not None and lanes * self.largest >= 1 << 24:
            refuse_long_sums(lanes, self.largest)
            return torch.float64
        return torch.float32 if self.float32 else torch.float64

    def prepare(self, w: Tensor, groups: int) -> Tensor:
        """Look the factors of weights up: ``(out_channels, height, width, channels * terms)``."""
        return functional.embedding(w, self.right.to(self._datatype(w[0].numel()))).flatten(3)

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum products over the inner dimension of matrices of indices, or batches of them that broadcast."""
        dtype = self._datatype(x.shape[-1])
        left = functional.embedding(x.long(), self.left.to(dtype)).flatten(-2)
        right = functional.embedding(y.mT.long(), self.right.to(dtype)).flatten(-2)
        return left @ right.mT

    def sums(self, x: Tensor, prepared: Tensor, convolution: Convolution) -> Tensor:
        """Sum products; see `Engine.sums`."""
        table = functional.pad(self.left.to(prepared.dtype), (0, 0, 0, 1))  # the last row: skipped lanes
        channels = functional.embedding(x, table).flatten(3)
        sides = convolution.stride, 0, convolution.dilation
        if prepared.dtype == torch.float32 and convolution.kernel != (1, 1):
            kernel = prepared.permute(0, 3, 1, 2)
            y = torch.conv2d(channels.permute(0, 3, 1, 2), kernel, None, *sides, convolution.groups)
            return y.permute(0, 2, 3, 1)
        lanes = _grouped(convolution.patches(channels), convolution.groups)
        matrices = prepared.reshape(convolution.groups, -1, lanes.shape[-1]).mT
        return (lanes[..., None, :] @ matrices).flatten(3)


@dataclass(frozen=True)
class StandardTable:
    """Sums by table; ``largest`` is the largest magnitude in it."""

    table: Tensor
    largest: int
    by_place: ClassVar[bool] = False

    def prepare(self, w: Tensor, groups: int) -> Tensor:
        """Keep weight indices as ``(groups, out_channels / groups, lanes)``."""
        return w.reshape(groups, w.shape[0] // groups, -1)

    def sums(self, x: Tensor, prepared: Tensor, convolution: Convolution) -> Tensor:
        """Sum products in int64; see `Engine.sums`."""
        groups, out_channels, n_lanes = prepared.shape
        flat = functional.pad(self.table, (0, 0, 0, 1)).reshape(-1)  # the last row: skipped lanes
        rows = _grouped(convolution.patches(x), groups) * self.table.shape[1]
        results = []
        step = max(1, _PRODUCTS // out_channels)
        for group in range(groups):
            total = torch.zeros((), dtype=torch.int64, device=x.device)
            for start in range(0, n_lanes, step):
                lanes = slice(start, start + step)
                index = rows[..., group, None, lanes] + prepared[group, :, lanes]
                total = total + lookup_rows(flat, index).sum(dim=-1)
            results.append(total)
        return torch.cat(results, dim=3)

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum products over the inner dimension of matrices of indices, or batches of them that broadcast."""
        index = x.long()[..., :, None, :] * self.table.shape[1] + y.mT.long()[..., None, :, :]
        return lookup_rows(self.table.reshape(-1), index).sum(dim=-1)


def _grouped(patches: Tensor, groups: int) -> Tensor:
    """Bring the lanes of each group together: ``(batch, height, width, groups, lanes)``."""
    n, h, w, kernel_h, kernel_w, channels = patches.shape
    grouped = patches.reshape(n, h, w, kernel_h * kernel_w, groups, channels // groups)
    return grouped.transpose(3, 4).flatten(4)
