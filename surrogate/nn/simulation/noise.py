"""The baseline of additive noise: accurate sums plus a Gaussian error with the multiplier's moments.

With ``mu`` and ``sigma`` the mean and standard deviation of the multiplier's error over all pairs of operands, a sum of
``N`` products errs by ``N mu + sqrt(N) sigma g``, ``g`` standard normal and drawn anew for every output: the sum of
``N`` independent errors, by the central limit theorem (as Trommer, Waschneck and Kumar
model it, arXiv 2208.07265).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from surrogate.nn.engines import additive
from surrogate.nn.engines.additive import AdditiveWeights
from surrogate.nn.engines.engine import Engine
from surrogate.nn.geometry import Convolution


class NoiseEngine(Engine):
    """Add Gaussian errors to accurate sums; draws come from torch's global generator, as those of dropout do.

    Parameters
    ----------
    accurate : Engine
        Sums of accurate products.
    size : int
        Number of values of the activation.
    mean, sd : float
        Moments of the error of one product (LSB).
    """

    integer = False
    lane: Tensor

    def __init__(self, accurate: Engine, size: int, mean: float, sd: float) -> None:
        super().__init__()
        self.accurate = accurate
        self.mean, self.sd = mean, sd
        self.register_buffer("lane", torch.ones(size, dtype=torch.float64))

    @property
    def exact(self) -> bool:
        """Never."""
        return False

    def prepare(self, w: Tensor, groups: int) -> tuple[Any, AdditiveWeights]:
        """Prepare the accurate sums; see `Engine.prepare`."""
        return self.accurate.prepare(w, groups), additive.prepare(None, w, groups)

    def sums(self, x: Tensor, prepared: tuple[Any, AdditiveWeights], convolution: Convolution) -> Tensor:
        """See `Engine.sums`; skipped lanes do not err."""
        weights, nothing = prepared
        total = self.accurate.sums(x, weights, convolution).double()
        lanes = additive.sums(self.lane, x, nothing, convolution, len(self.lane))
        return total + lanes * self.mean + lanes.sqrt() * self.sd * torch.randn_like(total)
