"""The baseline of multiplicative error: weights times a matrix of random factors.

Every weight of a layer is multiplied by ``1 + e``, ``e`` normal with the mean and standard deviation of the
multiplier's relative error, drawn once for the layer (Hammad, El-Sankary, Gu, "Deep Learning Training with Simulated
Approximate Multipliers", ROBIO 2019, arXiv 2001.00060). Without a mean, the mean relative error (MRE) of such factors
is ``sqrt(2 / pi)`` times the standard deviation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from multipliers.operands import OperandFormat
from surrogate.nn.engines.engine import Engine
from surrogate.nn.geometry import Convolution
from surrogate.nn.products import floats as float_products
from surrogate.nn.products.floats import FloatWeights


class RelativeErrorEngine(Engine):
    """Multiply weights by random factors; draws come from torch's global generator, as those of dropout do.

    Parameters
    ----------
    activation, weight : OperandFormat
        The multiplier's operands.
    mean, sd : float
        Moments of the relative error of one product.
    """

    integer = False
    values: Tensor

    def __init__(self, activation: OperandFormat, weight: OperandFormat, mean: float, sd: float) -> None:
        super().__init__()
        self.weight_minimum = weight.minimum
        self.mean, self.sd = mean, sd
        self.register_buffer("values", torch.from_numpy(activation.values()).float()[:, None])
        self._factors: Tensor | None = None

    @property
    def exact(self) -> bool:
        """Never."""
        return False

    def factors(self, w: Tensor) -> Tensor:
        """Random factors ``1 + e`` of weights; the same ones on every call for weights of one shape."""
        if self._factors is None or self._factors.shape != w.shape:
            self._factors = 1 + self.mean + self.sd * torch.randn(w.shape, device=w.device)
        self._factors = self._factors.to(w.device)
        return self._factors

    def prepare(self, w: Tensor, groups: int) -> FloatWeights:
        """Multiply weights by their factors; see `Engine.prepare`."""
        perturbed = (w + self.weight_minimum) * self.factors(w)
        each = torch.arange(w.numel(), device=w.device).reshape(w.shape)  # every weight is a value of its own
        return float_products.prepare(perturbed.reshape(-1, 1), each, groups, torch.float32, w.shape[3])

    def sums(self, x: Tensor, prepared: FloatWeights, convolution: Convolution) -> Tensor:
        """See `Engine.sums`."""
        return float_products.sums(self.values, x, prepared, convolution)
