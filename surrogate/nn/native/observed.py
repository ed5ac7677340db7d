"""Ranges observed by the compiled library: what `Quantiser.observe` does, in one call."""

from __future__ import annotations

import torch
from torch import Tensor

from surrogate.nn.native.library import Observation, require_library
from surrogate.nn.quantisation.observers import AffineGrid


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
        Contiguous float32, ``(channels, n)``.
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
    minimum, maximum, scale, zero = (part.data_ptr() for part in state)
    work = torch.empty(2, x.shape[0])
    observation = Observation(
        momentum=0.0 if momentum is None else momentum,
        extend=momentum is None,
        first=first,
        low=grid.operand.minimum,
        high=grid.operand.maximum,
        symmetric=grid.symmetric,
        minimum=minimum,
        maximum=maximum,
        scale=scale,
        zero=zero,
    )
    low, high = work.data_ptr(), work.data_ptr() + work.element_size() * x.shape[0]
    return not require_library().axs_observe(x.data_ptr(), *x.shape, low, high, observation)
