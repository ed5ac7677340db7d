"""Approximate transposed convolutions of one to three dimensions.

A transposed convolution adds up, at each output, the products of the inputs that reach it. Written as a convolution it
has stride 1 and flipped kernels, and reads the inputs ``stride`` apart with zeros between and around them. Hardware
that scatters each input over its outputs never multiplies such a zero, and neither do these layers: they sum phase by
phase (`surrogate.nn.layers.phases`). If the hardware inserts zeros (``ApproxConfig(skip_inserted=False)``), they are
quantised zeros, ``Zx``, and pass through the multiplier like any activation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from surrogate.nn.engines.engine import Engine
from surrogate.nn.layers.conv import ApproxConvolution
from surrogate.nn.layers.functional import AccurateConvolution, straight_through_product
from surrogate.nn.layers.lanes import LaneLayout
from surrogate.nn.layers.phases import Phase, phases_by_window


class ApproxTransposedConvolution(ApproxConvolution):
    """What approximate transposed convolutions share; torch's classes say the number of dimensions."""

    out_channels: int
    padding: Any
    output_padding: tuple[int, ...]

    def layout(self) -> LaneLayout:
        """Where the lanes of a window come from."""
        before = tuple((k - 1) * d - p for k, d, p in zip(self.kernel_size, self.dilation, self.padding, strict=True))
        after = tuple(b + extra for b, extra in zip(before, self.output_padding, strict=True))
        ones = (1,) * self._dimensions
        return LaneLayout(self.kernel_size, ones, self.dilation, self.groups, before, after, self.stride)

    @property
    def skips_zeros(self) -> bool:  # type: ignore[override]  # depends on the configuration
        """Whether inserted zeros are skipped; else they hold the quantised zero."""
        return self.config.skip_inserted

    def kernel(self, weight: Tensor) -> Tensor:
        """Flip the kernels and exchange the two axes of channels within each group; twice, it changes nothing."""
        grouped = weight.reshape(self.groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
        return grouped.flip(tuple(range(2, weight.ndim)))

    def prepare(self, engine: Engine, codes: Tensor) -> Any:
        """Transform quantised weights, the taps of phases apart; see `ApproxLayer.prepare`."""
        if not self.skips_zeros or engine.by_place:
            return super().prepare(engine, codes)
        minimum = self.config.weight_format.minimum
        by_group = codes.reshape(self.groups, -1, *codes.shape[1:])  # (groups, out / groups, in / groups, *kernel)
        prepared = []
        for layout, together in phases_by_window(self.layout()):
            kernels = torch.stack([by_group[(slice(None),) * 3 + phase.taps] for phase in together], dim=1)
            lanes = layout.arrange_weights(kernels.flatten(0, 2))
            prepared.append(engine.prepare(lanes.to(torch.int64) - minimum, self.groups))
        return prepared

    def sums(self, engine: Engine, codes: Tensor, prepared: Any) -> Tensor:
        """Sum products phase by phase; see `ApproxLayer.sums`."""
        if not self.skips_zeros or engine.by_place:
            return super().sums(engine, codes, prepared)
        shifted, skipped = self.indices(codes)
        size, out_size = codes.shape[2:], self.layout().output_size(codes.shape[2:])
        channels = self.groups, self.out_channels // self.groups
        parts: list[tuple[Phase, Tensor]] = []
        for (layout, together), weights in zip(phases_by_window(self.layout()), prepared, strict=True):
            own_size = layout.output_size(size)
            if min(own_size) > 0:
                found = engine.sums(layout.arrange(shifted, skipped), weights, layout.planar)
                by_phase = found.reshape(codes.shape[0], *own_size, channels[0], len(together), channels[1])
                parts.extend(zip(together, by_phase.unbind(dim=-2), strict=True))
        datatypes = {part.dtype for _, part in parts}
        dtype = datatypes.pop() if len(datatypes) == 1 else torch.float64  # which holds all that engines return
        total = torch.zeros((codes.shape[0], *out_size, *channels), dtype=dtype, device=codes.device)
        for phase, part in parts:
            outputs = total[(slice(None), *phase.outputs)]
            outputs.copy_(part[tuple(slice(0, n) for n in outputs.shape)])
        return total.reshape(-1, *(1, *out_size)[-2:], self.out_channels)

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Compute the layer as its mode says; ``output_size`` as in `torch.nn.ConvTranspose2d`."""
        with self._padded_to(x, output_size):
            return super().forward(x)

    def accumulate(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return the integer sums; see `ApproxLayer.accumulate`."""
        with self._padded_to(x, output_size):
            return super().accumulate(x)

    @contextmanager
    def _padded_to(self, x: Tensor, output_size: Sequence[int] | None) -> Iterator[None]:
        """Set the output padding for one call that asks for a size."""
        if output_size is None:
            yield
            return
        before = self.output_padding
        self.output_padding = tuple(
            self._output_padding(  # type: ignore[operator]  # torch's own resolution and its errors
                x, list(output_size), self.stride, self.padding, self.kernel_size, self._dimensions, self.dilation
            )
        )
        try:
            yield
        finally:
            self.output_padding = before

    def differentiable(self, x_hat: Tensor, w_hat: Tensor, y: Tensor) -> Tensor:
        """Return ``y`` with the gradient of the accurate transposed convolution."""
        accurate = AccurateConvolution(self.stride, self.padding, self.dilation, self.groups, True, self.output_padding)
        return straight_through_product(x_hat, self.kernel(w_hat), y, accurate)


class ApproxConvTranspose1d(ApproxTransposedConvolution, nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d` whose products go through an approximate multiplier; see `ApproxConvTranspose2d`."""


class ApproxConvTranspose2d(ApproxTransposedConvolution, nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` whose products go through an approximate multiplier.

    Stride, padding, output padding, dilation, groups and ``output_size`` are those of `torch.nn.ConvTranspose2d`;
    weights are quantised per *output* channel. Zeros between and around the inputs are skipped unless the configuration
    says ``skip_inserted=False``.

    Parameters
    ----------
    *args, **options
        Those of `torch.nn.ConvTranspose2d`.
    config : ApproxConfig
        What to simulate.

    Examples
    --------
    >>> import torch
    >>> from surrogate.nn import ApproxConfig, calibrate
    >>> layer = ApproxConvTranspose2d(2, 3, 3, stride=2, padding=1, config=ApproxConfig(multiplier="drum8u_k4"))
    >>> calibrate(layer, [torch.rand(5, 2, 4, 4)])
    >>> layer(torch.rand(1, 2, 4, 4)).shape, layer(torch.rand(1, 2, 4, 4), output_size=(8, 8)).shape
    (torch.Size([1, 3, 7, 7]), torch.Size([1, 3, 8, 8]))
    """


class ApproxConvTranspose3d(ApproxTransposedConvolution, nn.ConvTranspose3d):
    """`torch.nn.ConvTranspose3d` whose products go through an approximate multiplier; see `ApproxConvTranspose2d`."""
