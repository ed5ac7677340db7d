"""Ranges observed by the compiled library: what `Quantiser.observe` does, in one call."""

from __future__ import annotations

import torch
from torch import Tensor

from surrogate.nn.native.library import Observation, require_library
from surrogate.nn.quantisation.observers import AffineGrid

_BYTES = 4  # of a float32


def observe_range(
    x: Tensor,
    grid: AffineGrid,
    state: tuple[Tensor, Tensor, Tensor, Tensor],
    *,
    first: bool,
    momentum: float | None,
) -> bool:
    """Take note of the range of each channel and set scales and zero points, in place.

    Parameters
    ----------
    x : Tensor
        Contiguous float32; of several channels, these along the first axis.
    grid : AffineGrid
        Which integers stand for a range.
    state : tuple of Tensor
        Smallest and largest value so far, scale and zero point, of each channel: three of float32, one of int32.
    first : bool
        Forget the ranges so far.
    momentum : float or None
        Weight of the new range in their moving average; None extends the ranges.

    Returns
    -------
    bool
        Whether all values are finite; if not, nothing is noted.
    """
    channels = len(state[0])
    work = torch.empty(2 * channels)
    low = work.data_ptr()
    observation = Observation(
        0.0 if momentum is None else momentum,
        momentum is None,
        first,
        grid.operand.minimum,
        grid.operand.maximum,
        grid.symmetric,
        *(part.data_ptr() for part in state),
    )
    shape = channels, x.numel() // channels
    return not require_library().axs_observe(x.data_ptr(), *shape, low, low + _BYTES * channels, observation)
