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
from surrogate.nn.native.library import Quantisation, require_library
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
    codes[size:] = 0  # what is read there is never used, but defined
    inside = torch.empty(x.numel(), dtype=torch.uint8) if mark_inside else None
    job = _arguments(shape, padding, padded, grid)
    job.x, job.codes, job.channels_last = x.data_ptr(), codes.data_ptr(), channels_last
    job.inside = 0 if inside is None else inside.data_ptr()
    on_threads(require_library().axs_quantise, job, worthwhile_threads(x.numel(), _VALUES_PER_THREAD))
    if job.nan:
        raise OperandError("NaN has no index")
    return Packed(codes, inside, job.smallest, job.largest, padded)


def quantise_weights(
    w: Tensor, scale: Tensor, zero: Tensor, limits: AffineIntegers
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Quantise contiguous float32 weights, output channels first.

    Parameters
    ----------
    w : Tensor
        Shape ``(channels, ...)``.
    scale, zero : Tensor
        Of each channel, float32 and int32, contiguous.
    limits : AffineIntegers
        Limits and smallest integer; its scale and zero point are not used.

    Returns
    -------
    codes, inside : Tensor
        Indices, and 1 where nothing was clamped; uint8, as ``w``.
    values : Tensor
        ``scale * (q - zero)``, float32, as ``w``.
    sums : Tensor
        Sum of each channel's integers, int64.

    Raises
    ------
    OperandError
        If a weight is not a number.
    """
    channels = w.shape[0]
    codes, inside = torch.empty(2, *w.shape, dtype=torch.uint8).unbind()
    values, sums = torch.empty_like(w), torch.empty(channels, dtype=torch.int64)
    arguments = _arguments((1, 1, 1, 0), (0, 0, 0, 0), (1, 0), limits)
    arguments.codes, arguments.inside = codes.data_ptr(), inside.data_ptr()
    lanes = w.numel() // max(1, channels)
    pointers = scale.data_ptr(), zero.data_ptr(), arguments, values.data_ptr(), sums.data_ptr()
    if require_library().axs_quantise_weights(w.data_ptr(), channels, lanes, *pointers):
        raise OperandError("NaN has no index")
    return codes, inside, values, sums


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
    return Quantisation(
        images=shape[0],
        channels=shape[1],
        height=shape[2],
        width=shape[3],
        top=padding[0],
        left=padding[2],
        padded_h=padded[0],
        padded_w=padded[1],
        scale=grid.scale,
        zero=grid.zero,
        low=grid.low,
        high=grid.high,
        minimum=grid.minimum,
        thread_smallest=255,
        smallest=255,
    )
