"""Approximate convolutions of one to three dimensions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from surrogate.nn.compiled.layer import Placement
from surrogate.nn.errors import ConversionError
from surrogate.nn.geometry import Convolution
from surrogate.nn.layers.functional import AccurateConvolution, straight_through_product
from surrogate.nn.layers.inputs import FLOATS, refuse_input
from surrogate.nn.layers.lanes import LaneLayout
from surrogate.nn.layers.layer import ApproxLayer

_DIMENSIONS = {1: "length", 2: "height, width", 3: "depth, height, width"}
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


class ApproxConvolution(ApproxLayer):
    """What approximate convolutions share; torch's classes say the number of dimensions."""

    in_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool
    out_channels: int
    padding_mode: Any  # torch lists the modes literally
    _reversed_padding_repeated_twice: list[int]

    def layout(self) -> LaneLayout:
        """Where the lanes of a window come from."""
        # torch keeps widths per side, last dimension first, also for "same" and "valid"
        widths = self._reversed_padding_repeated_twice if self.padding_mode == "zeros" else [0] * 2 * self._dimensions
        before, after = tuple(widths[-2::-2]), tuple(widths[::-2])
        ones = (1,) * self._dimensions
        return LaneLayout(self.kernel_size, self.stride, self.dilation, self.groups, before, after, ones)

    @property
    def _dimensions(self) -> int:
        return len(self.kernel_size)

    @property
    def adds_zeros(self) -> bool:  # type: ignore[override]  # depends on the layer's padding
        """Whether some lanes hold no input, but a zero."""
        return self.layout().adds_zeros

    @property
    def skips_zeros(self) -> bool:  # type: ignore[override]  # depends on the configuration
        """Whether such lanes are skipped; else they hold the quantised zero."""
        return self.config.skip_padding

    def convolution(self) -> Convolution:
        """Geometry of the arranged input."""
        return self.layout().planar

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer as its mode says; an input without batch is a batch of one."""
        if x.ndim == self._dimensions + 1:
            return super().forward(x[None])[0]
        return super().forward(x)

    def accumulate(self, x: Tensor) -> Tensor:
        """Return the integer sums; see `ApproxLayer.accumulate`."""
        if x.ndim == self._dimensions + 1:
            return super().accumulate(x[None])[0]
        return super().accumulate(x)

    def check_input(self, x: Tensor) -> None:
        """Raise unless ``x`` is ``(batch, in_channels, *size)`` of floats, and the kernel fits."""
        if not (x.dtype in FLOATS and x.ndim == self._dimensions + 2 and x.shape[1] == self.in_channels):
            refuse_input(x, f"(batch, {self.in_channels}, {_DIMENSIONS[self._dimensions]}) or without the batch")
        layout, widths = self.layout(), self._expansion()
        size = tuple(n + widths[-2 * i - 2] + widths[-2 * i - 1] for i, n in enumerate(x.shape[2:]))
        if min(layout.output_size(size)) < 1:
            raise ConversionError(
                f"the kernel {self.kernel_size} with dilation {self.dilation} does not fit the padded input "
                f"{layout.padded_size(size)}"
            )

    def expand(self, x: Tensor) -> Tensor:
        """Pad with values of the input itself, where the padding mode says so."""
        if self.padding_mode == "zeros":
            return x
        return nn.functional.pad(x, self._expansion(), mode=self.padding_mode)

    def _expansion(self) -> list[int]:
        """Widths of padding with values of the input itself, as `torch.nn.functional.pad` takes them."""
        return [0] * 2 * self._dimensions if self.padding_mode == "zeros" else self._reversed_padding_repeated_twice

    def arrange(self, x: Tensor, zero: Tensor) -> Tensor:
        """Lay activations out for the engine."""
        return self.layout().arrange(x, zero)

    def arrange_weights(self, w: Tensor) -> Tensor:
        """Lay weights out for the engine."""
        return self.layout().arrange_weights(w)

    def placement(self, x: Tensor) -> Placement | None:
        """One dimension is an image of height 1; three are none."""
        layout = self.layout()
        if self._dimensions == 3 or self.transposed or layout.before != layout.after:
            return None
        (height, width), (top, left), (bottom, right) = (
            (0,) * (2 - self._dimensions) + sides for sides in (tuple(x.shape[2:]), layout.before, layout.after)
        )
        shape = (len(x), self.in_channels, max(1, height), width)
        out_shape = (len(x), self.out_channels, *layout.output_size(x.shape[2:]))
        channels_last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        accurate = AccurateConvolution(self.stride, layout.before, self.dilation, self.groups)
        return Placement(shape, (top, bottom, left, right), layout.planar, out_shape, channels_last, accurate)

    def from_sums(self, y: Tensor, like: Tensor) -> Tensor:
        """Bring channels first, in the memory layout of the input."""
        layout = _CHANNELS_LAST.get(like.ndim, torch.contiguous_format)
        if not like.is_contiguous(memory_format=layout) or like.is_contiguous():
            layout = torch.contiguous_format
        return self.layout().from_sums(y, like.shape[0], like.shape[2:]).contiguous(memory_format=layout)

    def differentiable(self, x_hat: Tensor, w_hat: Tensor, y: Tensor) -> Tensor:
        """Return ``y`` with the gradient of the accurate convolution."""
        layout = self.layout()
        padding = layout.before
        if layout.before != layout.after:  # "same" with even kernels: torch's backward pads both ends alike
            x_hat = nn.functional.pad(x_hat, self._reversed_padding_repeated_twice)
            padding = (0,) * self._dimensions
        zeros = (0,) * self._dimensions
        accurate = AccurateConvolution(self.stride, padding, self.dilation, self.groups, False, zeros)
        return straight_through_product(x_hat, w_hat, y, accurate)


class ApproxConv1d(ApproxConvolution, nn.Conv1d):
    """`torch.nn.Conv1d` whose products go through an approximate multiplier; see `ApproxConv2d`."""


class ApproxConv2d(ApproxConvolution, nn.Conv2d):
    """`torch.nn.Conv2d` whose products go through an approximate multiplier.

    Stride, padding (numbers, ``"same"``, ``"valid"``), dilation, groups (depthwise included) and padding modes are
    those of `torch.nn.Conv2d`; so are batched and unbatched inputs.

    Parameters
    ----------
    *args, **options
        Those of `torch.nn.Conv2d`.
    config : ApproxConfig
        What to simulate.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig, calibrate
    >>> layer = ApproxConv2d(2, 4, 3, padding=1, groups=2, config=ApproxConfig(multiplier="drum8u_k4"))
    >>> calibrate(layer, [torch.rand(5, 2, 8, 8)])
    >>> layer(torch.rand(2, 8, 8)).shape
    torch.Size([4, 8, 8])
    """


class ApproxConv3d(ApproxConvolution, nn.Conv3d):
    """`torch.nn.Conv3d` whose products go through an approximate multiplier; see `ApproxConv2d`."""
