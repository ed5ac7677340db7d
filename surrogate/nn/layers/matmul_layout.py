"""Products of matrices as grouped products of single pixels, the form that engines take: each matrix is a group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.nn.geometry import Convolution


@dataclass(frozen=True)
class MatmulLayout:
    """Shape of a product of matrices, or of batches of them that broadcast, and how an engine sees its operands.

    Attributes
    ----------
    batch : torch.Size
        Of the matrices; empty for a single second matrix, which serves all rows of all first ones.
    m, inner, n : int
        Each product is ``(m, inner)`` by ``(inner, n)``.
    shape : tuple of int
        Of the result.

    Examples
    --------
    >>> MatmulLayout.of(torch.zeros(2, 1, 3, 4), torch.zeros(5, 4, 6))
    MatmulLayout(batch=torch.Size([2, 5]), m=3, inner=4, n=6, shape=(2, 5, 3, 6))
    """

    batch: torch.Size
    m: int
    inner: int
    n: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> MatmulLayout:
        """Describe ``x @ y``, two tensors of at least two axes."""
        inner, n = y.shape[-2:]
        if y.ndim == 2:
            return cls(torch.Size(), x.shape[:-1].numel(), inner, n, (*x.shape[:-1], n))
        batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])  # type: ignore[no-untyped-call]
        return cls(batch, x.shape[-2], inner, n, (*batch, x.shape[-2], n))

    @property
    def groups(self) -> int:
        """Number of products."""
        return self.batch.numel()

    @property
    def convolution(self) -> Convolution:
        """Geometry: single pixels."""
        return Convolution((1, 1), groups=self.groups)

    def first(self, x: Tensor) -> Tensor:
        """First operand ``(groups, m, inner)``."""
        expanded = x if self.batch == () else x.expand(*self.batch, self.m, self.inner)
        return expanded.reshape(self.groups, self.m, self.inner)

    def second(self, y: Tensor) -> Tensor:
        """Second operand ``(groups, inner, n)``."""
        return y.expand(*self.batch, self.inner, self.n).reshape(self.groups, self.inner, self.n)

    def lanes(self, x: Tensor) -> Tensor:
        """First operand as images of one pixel, ``(m, 1, 1, groups * inner)``."""
        return self.first(x).transpose(0, 1).reshape(self.m, 1, 1, -1)

    def weights(self, y: Tensor) -> Tensor:
        """Second operand as kernels of one pixel, ``(groups * n, 1, 1, inner)``."""
        return self.second(y).transpose(1, 2).reshape(self.groups * self.n, 1, 1, self.inner)

    def from_sums(self, sums: Tensor) -> Tensor:
        """Engine's sums, ``(m, 1, 1, groups * n)``, in the shape of the product."""
        return sums.reshape(self.m, self.groups, self.n).transpose(0, 1).reshape(self.shape)

    def to_sums(self, z: Tensor) -> Tensor:
        """Undo `from_sums`."""
        return z.reshape(self.groups, self.m, self.n).transpose(0, 1).reshape(self.m, 1, 1, -1)
