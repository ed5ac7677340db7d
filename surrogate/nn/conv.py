"""The approximate two-dimensional convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import ConversionError
from surrogate.nn.geometry import Convolution
from surrogate.nn.layer import ApproxLayer


class ApproxConv2d(ApproxLayer, nn.Conv2d):
    """`torch.nn.Conv2d` whose products go through an approximate multiplier.

    Stride, padding (numbers, ``"same"``, ``"valid"``), dilation, groups (depthwise included) and padding modes are
    those of `torch.nn.Conv2d`; so are batched and unbatched inputs.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        As in `torch.nn.Conv2d`.
    config : ApproxConfig
        What to simulate.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        config: ApproxConfig,
    ) -> None:
        nn.Conv2d.__init__(
            self,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,  # type: ignore[arg-type]  # torch lists the modes literally
            device,
            dtype,
        )
        self.attach(config)

    def convolution(self) -> Convolution:
        """Geometry of the padded input."""
        return Convolution(_pair(self.kernel_size), _pair(self.stride), _pair(self.dilation), self.groups)

    def accurate(self, x: Tensor) -> Tensor:
        """Compute `torch.nn.Conv2d`."""
        return nn.Conv2d.forward(self, x)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer as its mode says; ``(channels, height, width)`` is a batch of one."""
        if x.ndim == 3:
            return super().forward(x[None])[0]
        return super().forward(x)

    def accumulate(self, x: Tensor) -> Tensor:
        """Return the integer sums; see `ApproxLayer.accumulate`."""
        if x.ndim == 3:
            return super().accumulate(x[None])[0]
        return super().accumulate(x)

    def check_input(self, x: Tensor) -> None:
        """Raise unless ``x`` is ``(batch, in_channels, height, width)`` of floats, and the kernel fits."""
        fits = x.is_floating_point() and x.ndim == 4 and x.shape[1] == self.in_channels
        if not fits:
            raise ConversionError(
                f"expected a float tensor of shape (batch, {self.in_channels}, height, width) or without the batch, "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        left, right, above, below = self._widths()
        if min(self.convolution().output_size(x.shape[2] + above + below, x.shape[3] + left + right)) < 1:
            raise ConversionError(
                f"the kernel {self.kernel_size} with dilation {self.dilation} does not fit the padded input "
                f"({x.shape[2] + above + below}, {x.shape[3] + left + right})"
            )

    def to_lanes(self, x: Tensor) -> Tensor:
        """Bring channels last."""
        return x.permute(0, 2, 3, 1)

    def from_sums(self, y: Tensor, like: Tensor) -> Tensor:
        """Bring channels first, in the memory layout of the input."""
        layout = torch.channels_last if _is_channels_last(like) else torch.contiguous_format
        return y.permute(0, 3, 1, 2).contiguous(memory_format=layout)

    def padding_width(self) -> tuple[int, int, int, int]:
        """Lanes of zeros to add left, right, above and below."""
        return self._widths() if self.padding_mode == "zeros" else (0, 0, 0, 0)

    def expand(self, x: Tensor) -> Tensor:
        """Pad with values of the input itself, where the padding mode says so."""
        if self.padding_mode == "zeros":
            return x
        return nn.functional.pad(x, self._widths(), mode=self.padding_mode)

    def _widths(self) -> tuple[int, int, int, int]:
        # torch keeps them per side, last dimension first, also for "same" and "valid"
        left, right, above, below = self._reversed_padding_repeated_twice
        return left, right, above, below


def _pair(values: Sequence[int]) -> tuple[int, int]:
    height, width = values
    return height, width


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
