"""The table kernel of GPUs, written in Triton: sums of table entries, GEMM and convolution alike.

A table of 8 x 8 bits has 128 KB as 16-bit entries: more than a block of threads may have of shared memory on most GPUs,
yet no more than the first-level cache of a multiprocessor (128 KB on compute capability 7.0 and 8.6, 192 KB on 8.0,
256 KB on 9.0), where all its blocks share one copy. Entries are therefore gathered through the cache, and the loop is
laid out so that a gather costs few passes of it: the 32 threads of a warp hold neighbouring *positions* of one output
channel, so that all of them read the row of *one* weight, of 4 cache lines, at the same instruction, and differ in the
bank they hit: 3 to 4 passes for 32 activations drawn at random, fewer where activations repeat (zeros after a ReLU).
With the warp along the output channels instead, each thread would read another row, and each gather 32 cache lines.

Activations come as bytes, channel by channel, so that neighbouring positions are neighbouring bytes, and each is read
once for all output channels of a block; patches are never copied. Each thread keeps 32 sums in registers: one load of
an activation serves 8 of its gathers, one of a weight 4.
"""

from __future__ import annotations

from functools import cache
from typing import Any

SUMS = 4096
"""Sums of a program, most of the time: 32 for each of its threads."""

WARPS = 4
"""Warps of a program."""

_CHANNELS = 8  # output channels of a program
_POSITIONS = (128, 1024)  # fewest (a thread each) and most positions


def block_shape(out_channels: int, positions: int) -> tuple[int, int]:
    """Choose output channels and positions of a program, powers of two.

    Few positions (a small batch through a linear layer) leave fewer sums to a program, and more programs.

    Examples
    --------
    >>> block_shape(64, 32768), block_shape(1, 32768), block_shape(1000, 16)
    ((8, 512), (1, 1024), (8, 128))
    """
    channels = min(_CHANNELS, 1 << (out_channels - 1).bit_length())
    fewest, most = _POSITIONS
    return channels, max(fewest, min(most, SUMS // channels, 1 << (positions - 1).bit_length()))


@cache
def table_kernel() -> Any:
    """Import Triton and return the kernel.

    It takes, all of them contiguous:

    ``x``
        Activation indices ``(images, channels, height, width)``.
    ``w``
        Offsets of the weights' rows in ``entries``, int32 ``(groups, kernel_rows, kernel_columns, channels / groups,
        out_channels)``.
    ``entries``
        The table, a row for each weight.
    ``out``
        int32; sums over the channels ``first`` to ``first + count`` of each group go to ``image * out_image + position
        * out_position + channel * out_channel``, plus ``start``.

    Strides count elements: ``row_stride`` and ``column_stride`` lead from one output to the next, ``row_step`` and
    ``column_step`` from one element of the kernel to the next.

    Raises
    ------
    ImportError
        If Triton is not installed.
    """
    import triton
    import triton.language as tl

    # were column_stride a constant 1, Triton could read activations in another layout than that of the sums, and trade
    # them within the block at every step
    no_constants = ["positions", "first", "count", "start", "column_stride"]

    # sums are a tensor of positions for each channel, not one of both: Triton before 3.7 would put channels along warps
    @triton.jit(do_not_specialize=no_constants)  # type: ignore[untyped-decorator]
    def table_sums(  # type: ignore[no-untyped-def]  # Triton reads annotations
        x,
        w,
        entries,
        out,
        positions,
        image_positions,
        out_columns,
        image_size,
        plane,
        row_stride,
        column_stride,
        row_step,
        column_step,
        kernel_rows,
        kernel_columns,
        channels,
        first,
        count,
        out_channels,
        groups,
        blocks,
        out_image,
        out_position,
        out_channel,
        start,
        CHANNELS: tl.constexpr,
        POSITIONS: tl.constexpr,
    ):
        program = tl.program_id(0)
        block = program % (groups * blocks)
        group, channel = block // blocks, block % blocks * CHANNELS
        position = program // (groups * blocks) * POSITIONS + tl.arange(0, POSITIONS)
        is_position = position < positions
        image, place = (position // image_positions).to(tl.int64), position % image_positions
        window = x + image * image_size + (place // out_columns) * row_stride + (place % out_columns) * column_stride
        window += (group * channels + first).to(tl.int64) * plane
        taps = group.to(tl.int64) * kernel_rows * kernel_columns
        sums = ()
        for _channel in tl.static_range(CHANNELS):
            sums += (tl.full((POSITIONS,), start, tl.int32),)  # type: ignore[assignment]
        for row in range(kernel_rows):
            for column in range(kernel_columns):
                at_x = window + (row * row_step + column * column_step)
                at_w = w + ((taps + row * kernel_columns + column) * channels + first) * out_channels + channel
                for _lane in range(count):
                    activation = tl.load(at_x, mask=is_position, other=0).to(tl.int32)
                    added = ()
                    for i in tl.static_range(CHANNELS):
                        weight = tl.load(at_w + tl.minimum(i, out_channels - 1 - channel))
                        found = tl.load(entries + weight + activation).to(tl.int32)
                        added += (sums[i] + found,)  # type: ignore[assignment]
                    sums = added
                    at_x += plane
                    at_w += out_channels
        to = out + image * out_image + place.to(tl.int64) * out_position
        to += (group.to(tl.int64) * out_channels + channel) * out_channel
        for i in tl.static_range(CHANNELS):
            if channel + i < out_channels:
                tl.store(to, sums[i], mask=is_position)
            to += out_channel

    return table_sums
