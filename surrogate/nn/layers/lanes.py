"""Convolutions of one to three dimensions, plain and transposed, laid out as two-dimensional ones.

The engines sum over two-dimensional windows of channels-last images. One dimension is an image of height 1. Of three,
the depths that a window covers are laid side by side as channels of one image for each depth of the output. A
transposed convolution is a plain one of stride 1, with flipped kernels, over inputs spread ``stride`` apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from surrogate.nn.geometry import Convolution


@dataclass(frozen=True)
class LaneLayout:
    """Where the lanes of a convolution's windows come from.

    Attributes
    ----------
    kernel, stride, dilation : tuple of int
        One for each of one to three dimensions.
    groups : int
        Channels are split into this many independent groups.
    before, after : tuple of int
        Lanes of zeros to add at the two ends of each dimension; negative to take lanes off.
    spread : tuple of int
        Distance of neighbouring inputs: 1, or the stride of a transposed convolution, with zeros in between.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    spread: tuple[int, ...]

    @property
    def adds_zeros(self) -> bool:
        """Whether any lane holds no input."""
        return any(v > 0 for v in (*self.before, *self.after)) or any(v > 1 for v in self.spread)

    @property
    def planar(self) -> Convolution:
        """Geometry of the two-dimensional convolution of `arrange`."""
        kernel, stride, dilation = (_last_two(v) for v in (self.kernel, self.stride, self.dilation))
        return Convolution(kernel, stride, dilation, self.groups)

    def padded_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Size of an input of ``size`` with its added lanes."""
        sides = zip(size, self.spread, self.before, self.after, strict=True)
        return tuple((n - 1) * step + 1 + before + after for n, step, before, after in sides)

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Size of the output for an input of ``size``."""
        sides = zip(self.padded_size(size), self.kernel, self.stride, self.dilation, strict=True)
        return tuple((n - (k - 1) * d - 1) // s + 1 for n, k, s, d in sides)

    def arrange(self, x: Tensor, zero: Tensor) -> Tensor:
        """Lay activations out for an engine.

        Parameters
        ----------
        x : Tensor
            Shape ``(batch, channels, *size)``.
        zero : Tensor
            What added lanes hold, one element.

        Returns
        -------
        Tensor
            Channels-last images ``(images, height, width, lanes)`` of the datatype of ``zero``, padded, contiguous.
            In three dimensions ``images`` is the batch times the output's depth and ``lanes`` the channels times the
            kernel's depth, depths of a group together.
        """
        lanes = self._with_zeros(x.movedim(1, -1), zero)
        if len(self.kernel) == 1:
            return lanes[:, None]
        if len(self.kernel) == 2:
            return lanes
        span = (self.kernel[0] - 1) * self.dilation[0] + 1
        windows = lanes.unfold(1, span, self.stride[0])[..., :: self.dilation[0]]  # (n, d, h, w, channels, depths)
        n_channels, n_depths = windows.shape[4:]
        grouped = windows.reshape(*windows.shape[:4], self.groups, n_channels // self.groups, n_depths).transpose(5, 6)
        return grouped.flatten(4).flatten(0, 1).contiguous()

    def arrange_weights(self, w: Tensor) -> Tensor:
        """Lay ``(out_channels, channels / groups, *kernel)`` out as ``(out_channels, height, width, lanes)``."""
        lanes = w.movedim(1, -1)
        if len(self.kernel) == 1:
            return lanes[:, None].contiguous()
        if len(self.kernel) == 2:
            return lanes.contiguous()
        return lanes.movedim(1, 3).flatten(3).contiguous()

    def from_sums(self, sums: Tensor, batch: int, size: Sequence[int]) -> Tensor:
        """View the engine's sums as ``(batch, out_channels, *output_size)``, for an input of ``size``."""
        return sums.reshape(batch, *self.output_size(size), sums.shape[-1]).movedim(-1, 1)

    def _with_zeros(self, lanes: Tensor, zero: Tensor) -> Tensor:
        """Copy channels-last lanes to their places among the added ones."""
        if torch.compiler.is_exporting() and all(step == 1 for step in self.spread):
            sides = [width for pair in zip(self.after, self.before, strict=True) for width in pair][::-1]
            return functional.pad(lanes.to(zero.dtype) - zero, [0, 0, *sides]) + zero  # one standard operator
        size = lanes.shape[1:-1]
        padded = lanes.new_empty((lanes.shape[0], *self.padded_size(size), lanes.shape[-1]), dtype=zero.dtype)
        if any(step > 1 for step in self.spread):
            padded.copy_(zero.expand_as(padded))
        places, inputs = [slice(None)], [slice(None)]
        for axis, (n, step, before, after) in enumerate(
            zip(size, self.spread, self.before, self.after, strict=True), 1
        ):
            first = max(0, -(before // step))  # inputs before it are taken off
            last = max(first, min(n, (padded.shape[axis] - 1 - before) // step + 1))
            inputs.append(slice(first, last))
            start = before + first * step
            places.append(slice(start, start + (last - first) * step, step))
            if step == 1:  # else all is zero already
                for border in (slice(0, max(0, before)), slice(max(0, padded.shape[axis] - max(0, after)), None)):
                    part = padded[(slice(None),) * axis + (border,)]
                    part.copy_(zero.expand_as(part))
        padded[tuple(places)] = lanes[tuple(inputs)]
        return padded


def _last_two(values: Sequence[int]) -> tuple[int, int]:
    """Return the last two of one to three values; of one, 1 and this value."""
    height, width = (1, *values)[-2:]
    return height, width
