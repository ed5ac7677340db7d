"""Sums by table lookup on GPUs: the table as the Triton kernel reads it, packed activations, launches.

Rows of the table belong to weights. Where all entries and 0 span less than 2**16, they are stored less a constant that
brings them into 16 bits, which is added once per lane; one more entry of a row, 0 less the constant, is that of skipped
lanes. Sums are modulo 2**32 on the way, and exact: none that is returned leaves int32. Longer sums are taken in pieces
that do not, which float64 adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.errors import ExactnessError
from surrogate.nn.engines.engine import refuse_long_sums
from surrogate.nn.errors import ConversionError
from surrogate.nn.geometry import Convolution
from surrogate.nn.gpu.triton_kernel import WARPS, block_shape, table_kernel

_LINE = 128  # bytes of a cache line
_CAPABILITY = (7, 0)  # the first that Triton compiles for


@dataclass(frozen=True)
class TritonTable:
    """A table of at most 256 x 256 entries, for the Triton kernel.

    Attributes
    ----------
    entries : Tensor
        int16 or int32, shape ``(weights, pitch)``; each row starts a cache line.
    shift : int
        What is added to each entry.
    n_activations : int
        Number of activation values: the index of skipped lanes.
    largest : int
        Largest magnitude of an entry.
    """

    entries: Tensor
    shift: int
    n_activations: int
    largest: int

    @classmethod
    def of(cls, table: Tensor, smallest: int, largest: int) -> TritonTable:
        """Lay a table out.

        Parameters
        ----------
        table : Tensor
            Entries ``F[x, w]``, int64, shape ``(activations, weights)``.
        smallest, largest : int
            Bounds of the entries and 0, known without reading the device.

        Examples
        --------
        >>> table = torch.tensor([[0, 60000], [1, 60001], [2, 60002]])
        >>> found = TritonTable.of(table, 0, 60002)
        >>> found.entries[:, :4].int() + found.shift
        tensor([[    0,     1,     2,     0],
                [60000, 60001, 60002,     0]], dtype=torch.int32)
        """
        narrow = largest - smallest < 1 << 16
        shift = smallest + (1 << 15) if narrow and (smallest < -(1 << 15) or largest >= 1 << 15) else 0
        dtype = torch.int16 if narrow else torch.int32
        n_activations = table.shape[0]
        unit = _LINE // dtype.itemsize
        pitch = -(-(n_activations + 1) // unit) * unit
        rows = torch.nn.functional.pad(table.T, (0, pitch - n_activations)) - shift
        return cls(rows.to(dtype), shift, n_activations, max(-smallest, largest, 1))

    @staticmethod
    def holds(shape: Sequence[int], smallest: int, largest: int) -> bool:
        """Whether the kernel can run a table: 256 x 256 entries at most, that fit in 32 bits."""
        return max(shape) <= 256 and smallest >= -(1 << 31) and largest < 1 << 31

    def prepare(self, w: Tensor, groups: int) -> TritonWeights:
        """Turn weight indices into places of rows; see `surrogate.nn.engines.engine.Engine.prepare`."""
        _refuse_outside("weight", w, len(self.entries) - 1)
        grouped = (w * self.entries.shape[1]).reshape(groups, w.shape[0] // groups, *w.shape[1:])
        offsets = grouped.permute(0, 2, 3, 4, 1).to(torch.int32, memory_format=torch.contiguous_format)
        return TritonWeights(self, offsets)

    def sums(self, x: Tensor, weights: TritonWeights, convolution: Convolution) -> Tensor:
        """Sum products; see `surrogate.nn.engines.engine.Engine.sums`.

        Returns
        -------
        Tensor
            int32 where every sum fits, else float64. Convolutions have their channels outermost in memory.

        Raises
        ------
        ExactnessError
            If sums could exceed 2**53, or those of one channel 2**31.
        """
        _refuse_outside("activation", x, self.n_activations)
        taps, channels = convolution.kernel[0] * convolution.kernel[1], weights.offsets.shape[3]
        refuse_long_sums(taps * channels, self.largest)
        n, height, width, c = x.shape
        out_h, out_w = convolution.output_size(height, width)
        if convolution.kernel == convolution.stride == (1, 1):
            x = x.reshape(1, 1, n * height * width, c)  # pixels are independent: one long row
        dtype = torch.uint8 if self.n_activations < 256 else torch.int16  # holds the index of skipped lanes, too
        packed = x.permute(0, 3, 1, 2).to(dtype, memory_format=torch.contiguous_format)
        step = ((1 << 31) - 1) // (taps * self.largest)
        if step == 0:
            raise ExactnessError(
                f"sums of {taps} products of magnitude up to {self.largest} could exceed int32; "
                f"use an exact surrogate (backend='surrogate')"
            )
        pieces = [
            table_sums(
                packed,
                weights.offsets,
                self.entries,
                convolution.kernel,
                convolution.stride,
                convolution.dilation,
                self.shift,
                first,
                min(step, channels - first),
            )
            for first in range(0, channels, step)
        ]
        total = pieces[0] if len(pieces) == 1 else torch.stack(pieces).sum(dim=0, dtype=torch.float64)
        return total.reshape(n, out_h, out_w, total.shape[3])


@dataclass(frozen=True)
class TritonWeights:
    """Places of the weights' rows, and the table that they lead into.

    Attributes
    ----------
    table : TritonTable
        The table.
    offsets : Tensor
        int32, shape ``(groups, kernel_height, kernel_width, in_channels / groups, out_channels / groups)``.
    """

    table: TritonTable
    offsets: Tensor


def _refuse_outside(operand: str, index: Tensor, most: int) -> None:
    """Stop, on the device and without waiting for it, if an index would lead outside the table."""
    if index.numel():
        low, high = torch.aminmax(index)
        torch._assert_async((low >= 0) & (high <= most), f"{operand} indices must be in [0, {most}]")


@torch.library.custom_op("axsurrogate::triton_table_sums", mutates_args=())
def table_sums(
    x: Tensor,
    offsets: Tensor,
    entries: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    shift: int,
    first: int,
    count: int,
) -> Tensor:
    """Launch the kernel.

    Parameters
    ----------
    x : Tensor
        Activation indices, uint8 or int16, contiguous ``(batch, channels, height, width)``.
    offsets, entries, shift
        Of `TritonWeights` and `TritonTable`.
    kernel, stride, dilation : sequence of int
        Two numbers each; see `surrogate.nn.geometry.Convolution`.
    first, count : int
        Which channels of each group to sum over.

    Returns
    -------
    Tensor
        int32, shape ``(batch, out_height, out_width, out_channels)``.
    """
    out = _empty_sums(x, offsets, entries, kernel, stride, dilation, shift, first, count)
    _, out_h, out_w, _ = out.shape
    groups, _, _, channels, per_group = offsets.shape
    positions = len(out) * out_h * out_w
    if positions >= (1 << 31) - 1024:  # the kernel numbers positions in int32
        raise ConversionError(f"{positions} outputs of a channel are too many at once; split the batch")
    if out.numel() == 0:
        return out
    block_channels, block_positions = block_shape(per_group, positions)
    blocks = -(-per_group // block_channels)
    _, _, height, width = x.shape
    start = shift * count * kernel[0] * kernel[1]
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]  # Triton launches on the current device
        table_kernel()[(groups * blocks * -(-positions // block_positions),)](
            x,
            offsets,
            entries,
            out,
            positions,
            out_h * out_w,
            out_w,
            x.shape[1] * height * width,
            height * width,
            stride[0] * width,
            stride[1],
            dilation[0] * width,
            dilation[1],
            kernel[0],
            kernel[1],
            channels,
            first,
            count,
            per_group,
            groups,
            blocks,
            out.stride(0),
            out.stride(2),
            out.stride(3),
            (start + (1 << 31)) % (1 << 32) - (1 << 31),  # modulo 2**32
            CHANNELS=block_channels,
            POSITIONS=block_positions,
            num_warps=WARPS,
            enable_fp_fusion=False,  # there are no floats
        )
    return out


def _empty_sums(
    x: Tensor,
    offsets: Tensor,
    entries: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    shift: int,
    first: int,
    count: int,
) -> Tensor:
    """Allocate the sums: positions innermost in memory, or channels if each position is an output row of its own."""
    out_h, out_w = Convolution(_pair(kernel), _pair(stride), _pair(dilation)).output_size(x.shape[2], x.shape[3])
    out_channels = offsets.shape[0] * offsets.shape[4]
    if _pair(kernel) == _pair(stride) == (1, 1):
        return x.new_empty((len(x), out_h, out_w, out_channels), dtype=torch.int32)
    return x.new_empty((len(x), out_channels, out_h, out_w), dtype=torch.int32).permute(0, 2, 3, 1)


table_sums.register_fake(_empty_sums)


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return values[0], values[1]
