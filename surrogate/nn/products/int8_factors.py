"""Integer factors as int8: shifted into its range, several terms of one operand looked up together.

Factors are shifted, ``g = g' + s``, ``h = h' + t``, so that

    sum g h = sum g' h' + sum s h' + sum t g' + sum s t

where the second and last sums are constants of an output channel, and the third is one more column of the product.
Terms of one operand are read as one machine word of 1, 2, 4 or 8 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from multipliers.operands import IntArray
from surrogate.digits import DigitProducts, shift
from surrogate.nn.engines.engine import lookup_rows

_WORDS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


@dataclass(frozen=True)
class Int8Factors:
    """Factors of products that have one weight, shifted into int8, and what follows from them alone.

    Attributes
    ----------
    weight : int or float
        What the sum of the products counts.
    words : tuple of Tensor
        Shifted left factors, ``(activation values + 1, width)`` for each machine word; the last row, for skipped
        lanes, undoes the shift.
    columns : tuple of Tensor
        Shifted right factors, ``(weight values + 1, width)``; the last row is the column whose sum is subtracted.
    constant : Tensor
        ``sum_j s_j h_j`` for each weight value, int64.
    has_constant : bool
        Whether the left factors are shifted, so that the constant is not zero.
    has_column : bool
        Whether the right factors are shifted, so that the column is needed.
    lane_bound : int
        No int32 sum, and no intermediate one, exceeds this per lane.
    """

    weight: int | float
    words: tuple[Tensor, ...]
    columns: tuple[Tensor, ...]
    constant: Tensor
    has_constant: bool
    has_column: bool
    lane_bound: int

    @classmethod
    def of(cls, products: DigitProducts, device: torch.device) -> Int8Factors:
        """Shift the factors of products."""
        left, right = products.left, products.right
        s, t = _shifts(left), _shifts(right)
        constant = right @ s
        a, b = np.abs(left - s).max(axis=0), np.abs(right - t).max(axis=0)
        bound = int((a * b).sum() + (a * np.abs(t)).sum() + np.abs(constant).max())
        return cls(
            products.weight,
            _words(np.vstack([left - s, -s]), device),
            _words(np.vstack([right - t, -t]), device),  # -128 fits int8, where 128 does not
            torch.from_numpy(constant).to(device),
            bool(s.any()),
            bool(t.any()),
            bound,
        )

    @property
    def terms(self) -> int:
        """Number of products."""
        return sum(word.shape[1] for word in self.words)

    def transform(self, x: Tensor) -> Tensor:
        """Look left factors up.

        Parameters
        ----------
        x : Tensor
            Activation indices ``(batch, height, width, groups, channels)``.

        Returns
        -------
        Tensor
            Int8, ``(batch, height, width, groups, channels * terms)``: all channels of one machine word, then of the
            next, the terms of a word side by side.
        """
        index = x.reshape(-1)
        parts = []
        for word in self.words:
            rows = word.view(_WORDS[word.shape[1]]).flatten().index_select(0, index).view(torch.int8)
            parts.append(rows.view(*x.shape[:4], x.shape[4] * word.shape[1]))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=4)

    def transform_weights(self, w: Tensor) -> Tensor:
        """Look right factors up, in the same order: ``(..., channels)`` to ``(..., channels * terms)``, int8."""
        parts = [lookup_rows(columns, w).flatten(w.ndim - 1) for columns in self.columns]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _shifts(factor: IntArray) -> IntArray:
    found = [shift(int(column.min()), int(column.max())) for column in factor.T]
    return np.array(found, dtype=np.int64)


def _words(factors: IntArray, device: torch.device) -> tuple[Tensor, ...]:
    """Split columns into contiguous parts whose widths are machine words, widest first."""
    whole = torch.from_numpy(factors).to(device, torch.int8)
    parts, start = [], 0
    for width in _WORDS:
        while whole.shape[1] - start >= width:
            parts.append(whole[:, start : start + width].contiguous())
            start += width
    return tuple(parts)
