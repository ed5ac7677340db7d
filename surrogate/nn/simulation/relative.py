"""The baseline of multiplicative error: weights times a matrix of random factors.

Every weight of a layer is multiplied by ``1 + e``, ``e`` normal with the mean and standard deviation of the
multiplier's relative error, or those of ``ApproxConfig(relative_error=...)``, drawn once for the layer (Hammad,
El-Sankary, Gu, "Deep Learning Training with Simulated Approximate Multipliers", ROBIO 2019, arXiv 2001.00060). The
backward pass, too, uses the perturbed weights. `surrogate.nn.simulation.perturbed_weights` does the same in float.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import torch
from torch import Tensor

from multipliers.operands import OperandFormat
from surrogate.nn.engines.engine import Engine
from surrogate.nn.geometry import Convolution
from surrogate.nn.products import floats as float_products
from surrogate.nn.products.floats import FloatWeights
from surrogate.nn.simulation.relative_error import RelativeError


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # drawn when a graph is compiled, once
def error_factors(error: RelativeError, layer: str, shape: torch.Size) -> Tensor:
    """Draw ``1 + e`` for the weights of a layer, float64; the seed of the error and the layer's name decide them."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{error.seed}:{layer}".encode()))  # CPU: alike on all devices
    return 1 + error.mean + error.sd * torch.randn(shape, generator=generator, dtype=torch.float64)


class RelativeErrorEngine(Engine):
    """Multiply weights by random factors; those of one layer, seed and shape are the same ones always.

    Parameters
    ----------
    activation, weight : OperandFormat
        The multiplier's operands.
    error : RelativeError
        Distribution of the relative error of one product.
    layer : str
        Name of the layer.
    """

    integer = False
    by_place = True
    values: Tensor

    def __init__(self, activation: OperandFormat, weight: OperandFormat, error: RelativeError, layer: str = "") -> None:
        super().__init__()
        self.weight_minimum = weight.minimum
        self.error, self.layer = error, layer
        self.register_buffer("values", torch.from_numpy(activation.values()).float()[:, None])
        self._factors: Tensor | None = None

    @property
    def exact(self) -> bool:
        """Never."""
        return False

    def factors(self, w: Tensor) -> Tensor:
        """Random factors ``1 + e`` of weights; the same ones on every call for weights of one shape."""
        if self._factors is None or self._factors.shape != w.shape:
            self._factors = error_factors(self.error, self.layer, w.shape).float()
        self._factors = self._factors.to(w.device)
        return self._factors

    def perturbed(self, w: Tensor, arrange: Callable[[Tensor], Tensor]) -> Tensor:
        """Multiply weights by the factors of their places; see `Engine.perturbed`."""
        places = arrange(torch.arange(w.numel(), device=w.device).reshape(w.shape))
        return w * torch.empty_like(w).put_(places, self.factors(places).to(w.dtype))

    def prepare(self, w: Tensor, groups: int) -> FloatWeights:
        """Multiply weights by their factors; see `Engine.prepare`."""
        perturbed = (w + self.weight_minimum) * self.factors(w)
        each = torch.arange(w.numel(), device=w.device).reshape(w.shape)  # every weight is a value of its own
        return float_products.prepare(perturbed.reshape(-1, 1), each, groups, torch.float32, w.shape[3])

    def sums(self, x: Tensor, prepared: FloatWeights, convolution: Convolution) -> Tensor:
        """See `Engine.sums`."""
        return float_products.sums(self.values, x, prepared, convolution)
