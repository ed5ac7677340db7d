"""Tensors quantised by the compiled library, straight to the packed indices that its kernels read.

The integers are those of `surrogate.nn.quantisation.quantiser`; an index is an integer minus its operand's smallest
value.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.nn.errors import OperandError
from surrogate.nn.native.library import Quantisation, Weights, require_library
from surrogate.nn.native.threads import on_threads, worthwhile_threads

SLACK = 512
"""Bytes that the library reads behind packed activations; as in convolution.h."""

_MOST_SCRATCH = 1 << 23  # float32 that a thread keeps
_VALUES_PER_THREAD = 1 << 15  # as many as PyTorch gives a thread; a team starts in 2 us, in which 10,000 are quantised


@dataclass(frozen=True)
class AffineIntegers:
    """How values become indices: ``clamp(round(x / scale) + zero, low, high) - minimum``."""

    scale: float
    zero: int
    low: int
    high: int
    minimum: int


@dataclass(frozen=True)
class Packed:
    """Quantised activations.

    Attributes
    ----------
    codes : Tensor
        Indices, uint8, ``images * channels * padded_h * padded_w`` and some slack, channels first.
    inside : Tensor or None
        One byte per value, in the memory order of the input: 1 where nothing was clamped.
    smallest, largest : int
        Range of the indices, of padding too.
    padded : (int, int)
        Height and width with padding.
    """

    codes: Tensor
    inside: Tensor | None
    smallest: int
    largest: int
    padded: tuple[int, int]


def dequantised(
    codes: Tensor, shape: tuple[int, int, int, int], padding: tuple[int, int, int, int], grid: AffineIntegers
) -> Tensor:
    """Return the values ``scale * (q - zero)`` of packed codes, float32, ``shape``, contiguous; see `Packed`.

    Small results share memory with those of earlier calls on the same thread: use them at once, or copy them.
    """
    y = _scratch(math.prod(shape)).reshape(shape)
    arguments = _arguments(shape, padding, _padded(shape, padding), grid)
    arguments.codes = codes.data_ptr()
    require_library().axs_dequantise(arguments, y.data_ptr())
    return y


def quantise_activations(
    x: Tensor,
    shape: tuple[int, int, int, int],
    grid: AffineIntegers,
    *,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    channels_last: bool = False,
    mark_inside: bool = False,
) -> Packed:
    """Quantise and pack a float32 tensor, dense in memory as ``shape`` (or with the channels last).

    Raises
    ------
    OperandError
        If a value is not a number.
    """
    n, c = shape[:2]
    padded = _padded(shape, padding)
    size = n * c * padded[0] * padded[1]
    codes = torch.empty(size + SLACK, dtype=torch.uint8)
    inside = torch.empty(x.numel(), dtype=torch.uint8) if mark_inside else None
    job = _arguments(shape, padding, padded, grid)
    job.x, job.codes, job.channels_last = x.data_ptr(), codes.data_ptr(), channels_last
    job.inside = 0 if inside is None else inside.data_ptr()
    on_threads(require_library().axs_quantise, job, worthwhile_threads(x.numel(), _VALUES_PER_THREAD))
    if job.nan:
        raise OperandError("NaN has no index")
    return Packed(codes, inside, job.smallest, job.largest, padded)


def quantise_weights(
    w: Tensor, scale: Tensor, zero: Tensor, limits: tuple[int, int, int], groups: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Quantise float32 weights, output channels first.

    Parameters
    ----------
    w : Tensor
        Shape ``(channels, ...)``.
    scale, zero : Tensor
        One for all channels or one for each, float32 and int32.
    limits : (int, int, int)
        Smallest and largest integer to quantise to, and the operand's smallest.
    groups : int
        Groups of channels.

    Returns
    -------
    codes : Tensor
        Indices, uint8, ``(groups, channels / groups, lanes)``.
    inside : Tensor
        1 where nothing was clamped, uint8, as ``w``.
    values : Tensor
        ``scale * (q - zero)``, float32, as ``w``.
    sums : Tensor
        Sum of each channel's integers, int64.
    scales, zeros : Tensor
        Of each channel, float32 and int32.

    Raises
    ------
    OperandError
        If a weight is not a number.
    """
    w, scale, zero, channels = w.contiguous(), scale.contiguous(), zero.contiguous(), w.shape[0]
    lanes = w.numel() // max(1, channels)
    codes = torch.empty((groups, channels // groups, lanes), dtype=torch.uint8)
    inside, values = torch.empty(w.shape, dtype=torch.uint8), torch.empty(w.shape)
    sums, scales, zeros = (torch.empty(channels, dtype=kind) for kind in (torch.int64, torch.float32, torch.int32))
    results = codes, inside, values, sums, scales, zeros
    job = Weights(
        *(w.data_ptr(), scale.data_ptr(), zero.data_ptr(), channels, lanes, scale.numel() > 1),
        *(*limits, 0),
        *(part.data_ptr() for part in results),
    )
    if require_library().axs_quantise_weights(job):
        raise OperandError("NaN has no index")
    return results


def mask_(values: Tensor, inside: Tensor) -> Tensor:
    """Set float32 ``values`` to 0 where ``inside``, of the same memory order, is 0; in place."""
    require_library().axs_mask(values.data_ptr(), inside.data_ptr(), values.numel())
    return values


_local = threading.local()


def _scratch(count: int) -> Tensor:
    """Memory for ``count`` float32: new pages for each call would cost as much as the work done on them."""
    if count > _MOST_SCRATCH:
        return torch.empty(count)
    held: Tensor | None = getattr(_local, "held", None)
    if held is None or held.shape[0] < count:
        held = _local.held = torch.empty(count)
    return held[:count]


def _padded(shape: tuple[int, ...], padding: tuple[int, ...]) -> tuple[int, int]:
    """Height and width with padding: rows above and below, columns left and right."""
    return shape[2] + padding[0] + padding[1], shape[3] + padding[2] + padding[3]


def _arguments(
    shape: tuple[int, ...], padding: tuple[int, ...], padded: tuple[int, int], grid: AffineIntegers
) -> Quantisation:
    job = Quantisation(
        *(None, None, None, *shape, padding[0], padding[2], *padded, False),
        *(grid.scale, grid.zero, grid.low, grid.high, grid.minimum),
    )
    job.thread_smallest = job.smallest = 255
    return job
