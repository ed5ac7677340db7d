"""Shapes of convolutions, and the patches that they read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

_GPU_BLOCK_BYTES = 1 << 28


@dataclass(frozen=True)
class Convolution:
    """A two-dimensional convolution of an already padded input.

    Attributes
    ----------
    kernel, stride, dilation : (int, int)
        As in `torch.nn.Conv2d`.
    groups : int
        Channels are split into this many independent groups.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @classmethod
    def of(cls, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], groups: int) -> Convolution:
        """Take lists of two numbers, as operators pass them."""
        return cls((kernel[0], kernel[1]), (stride[0], stride[1]), (dilation[0], dilation[1]), groups)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output."""
        span = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        return (height - span[0]) // self.stride[0] + 1, (width - span[1]) // self.stride[1] + 1

    def patches(self, x: Tensor) -> Tensor:
        """View the patches of a channels-last input, without a copy.

        Parameters
        ----------
        x : Tensor
            Shape ``(batch, height, width, channels)``, any dtype.

        Returns
        -------
        Tensor
            Shape ``(batch, out_height, out_width, kernel_height, kernel_width, channels)``.
        """
        n, h, w, c = x.shape
        out_h, out_w = self.output_size(h, w)
        if torch.compiler.is_exporting():  # standard operators know no strides
            (down, right), (row, column) = self.stride, self.dilation
            parts = [
                x[:, i * row : i * row + (out_h - 1) * down + 1 : down, j * column :][
                    :, :, : (out_w - 1) * right + 1 : right
                ]
                for i in range(self.kernel[0])
                for j in range(self.kernel[1])
            ]
            return torch.stack(parts, dim=3).reshape(n, out_h, out_w, *self.kernel, c)
        sn, sh, sw, sc = x.stride()
        return x.as_strided(
            (n, out_h, out_w, *self.kernel, c),
            (sn, sh * self.stride[0], sw * self.stride[1], sh * self.dilation[0], sw * self.dilation[1], sc),
        )

    def window_sums(self, x: Tensor) -> Tensor:
        """Add the values of each window: ``(batch, out_height, out_width, channels)`` of an input as of `patches`."""
        taps = (tap for row in self.patches(x).unbind(3) for tap in row.unbind(3))
        return reduce(torch.add, taps)  # ten times faster than the sum over two axes of a view

    def blocks(self, x: Tensor, bytes_per_value: int, block_bytes: int) -> Iterator[slice]:
        """Yield ranges of images whose copied patches take at most ``block_bytes``, or of one image.

        On a GPU, where launches cost more than leaving the cache does, blocks are as large as memory easily holds.
        """
        if x.device.type == "cuda":
            block_bytes = max(block_bytes, _GPU_BLOCK_BYTES)
        n, h, w, c = x.shape
        out_h, out_w = self.output_size(h, w)
        image = out_h * out_w * self.kernel[0] * self.kernel[1] * c * bytes_per_value
        step = max(1, block_bytes // max(1, image))
        for start in range(0, n, step):
            yield slice(start, min(start + step, n))


POINTWISE = Convolution((1, 1))
"""A linear layer, seen as a convolution of single pixels."""
