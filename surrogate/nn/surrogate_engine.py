"""Sums by surrogate: ``k`` ordinary matrix products of transformed operands, run as one.

Terms with a constant factor are no products: `surrogate.nn.additive` sums them.

The transformed operands are laid side by side along the reduction axis, so that one product of ``k`` times the length
does all terms: in int8 where the factors allow, else in float32 or float64, whichever provably rounds nothing. Sums
that no datatype holds are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.arithmetic import ARITHMETICS
from surrogate.errors import ExactnessError
from surrogate.factors import Factors
from surrogate.model import Surrogate
from surrogate.nn import additive, float_products, int8_products
from surrogate.nn.additive import AdditiveWeights
from surrogate.nn.engine import Engine
from surrogate.nn.errors import ConversionError
from surrogate.nn.float_products import FloatWeights
from surrogate.nn.geometry import Convolution
from surrogate.nn.int8_products import Int8Factors, Int8Weights

ARITHMETIC_CHOICES = ("auto", "int8", "float32", "float64")

_MOST_PIECES = 4  # beyond this a float64 product is faster than so many float32 ones
_MOST_GROUPS = 4  # each group is an int8 product of its own; beyond this one grouped float32 convolution is faster


@dataclass(frozen=True)
class SurrogateWeights:
    """Transformed weights: of the products, and of the terms with a constant factor (None where there are none)."""

    products: Int8Weights | FloatWeights
    additive: AdditiveWeights | None


class SurrogateEngine(Engine):
    """Multiply transformed operands.

    Parameters
    ----------
    surrogate : Surrogate
        Certified.
    activation_operand : {"a", "b"}
        Which operand of the multiplier the activation is.
    arithmetic : {"auto", "int8", "float32", "float64"}
        Datatype of the products. ``"auto"`` takes the fastest that is exact for integer factors, and float32 for
        a surrogate of float factors.

    Raises
    ------
    ConversionError
        If the surrogate is not certified, or ``arithmetic`` is unknown.
    ExactnessError
        If the chosen arithmetic cannot hold the factors.
    """

    left: Tensor
    right: Tensor
    additive_activation: Tensor | None
    additive_weight: Tensor | None

    def __init__(self, surrogate: Surrogate, activation_operand: str = "a", arithmetic: str = "auto") -> None:
        super().__init__()
        if surrogate.certificate is None:
            raise ConversionError("the surrogate is not certified; pass it through surrogate.certify first")
        if arithmetic not in ARITHMETIC_CHOICES:
            raise ConversionError(f"arithmetic must be one of {ARITHMETIC_CHOICES}, got {arithmetic!r}")
        factors = surrogate.factors()
        if factors.n_products == 0:
            factors = factors.as_products()
        left, right = torch.from_numpy(factors.left.copy()), torch.from_numpy(factors.right.copy())
        of_x, of_w = (
            None if part is None else torch.from_numpy(part) for part in (factors.additive_a, factors.additive_b)
        )
        if activation_operand == "b":
            left, right, of_x, of_w = right, left, of_w, of_x
        self.register_buffer("left", left)
        self.register_buffer("right", right)
        self.register_buffer("additive_activation", of_x)
        self.register_buffer("additive_weight", of_w)
        self.arithmetic = arithmetic
        self.integer = factors.is_integer
        self.certified_exact = surrogate.is_exact
        self.sum_bound = int(factors.product_bound()) + 1
        self.product_bound = int(Factors(factors.left, factors.right).product_bound()) + 1
        float32 = ARITHMETICS["float32"]
        self.fits_float32 = self.integer and float32.holds(factors.left) and float32.holds(factors.right)
        self.fits_int8 = self.integer and int8_products.fits_int8(left) and int8_products.fits_int8(right)
        self._int8_factors = Int8Factors.of(left, right) if self.fits_int8 else None
        if arithmetic == "int8" and not self.fits_int8:
            raise ExactnessError("int8 cannot hold the factors, even shifted; use arithmetic='auto'")
        if arithmetic == "float32" and self.integer and not self.fits_float32:
            raise ExactnessError("a factor has more than 24 significant bits; use arithmetic='auto' or 'float64'")

    @property
    def exact(self) -> bool:
        """Whether the surrogate is certified exact."""
        return self.certified_exact

    def choose(self, channels: int, pixels: int, groups: int, device: torch.device) -> tuple[str, int]:
        """Choose the arithmetic for sums over ``channels`` of each group and ``pixels`` of a kernel.

        Returns
        -------
        arithmetic : {"int8", "float32", "float64"}
        channels : int
            How many channels one product may take; the rest follows in further products, added in float64.

        Raises
        ------
        ExactnessError
            If no permitted arithmetic holds the sums.
        """
        if not self.integer:
            return ("float64" if self.arithmetic == "float64" else "float32"), channels
        lanes = channels * pixels
        largest = lanes * self.sum_bound
        if self.arithmetic in ("auto", "int8"):
            holds = self.fits_int8 and self._int8_works(device) and lanes * self._int8().lane_bound < 1 << 31
            if holds and (groups <= _MOST_GROUPS or self.arithmetic == "int8"):
                return "int8", channels
            if self.arithmetic == "int8":
                raise ExactnessError(
                    f"int8 products with int32 sums of {lanes} lanes are not exact on {device}; use arithmetic='auto'"
                )
        if self.arithmetic != "float64" and self.fits_float32:
            piece = ((1 << 24) - 1) // (self.product_bound * pixels)
            if piece * (_MOST_PIECES if self.arithmetic == "auto" else channels) >= channels:
                return "float32", min(piece, channels)
        if self.arithmetic == "float32" or largest >= 1 << 53:
            raise ExactnessError(
                f"sums of {lanes} products of magnitude up to {self.sum_bound} could reach {largest} and be "
                f"rounded; take operands of fewer bits, or split the layer"
            )
        return "float64", channels

    def _int8_works(self, device: torch.device) -> bool:
        return int8_products.int8_products_are_exact(str(device))

    def _int8(self) -> Int8Factors:
        """Shifted factors, made when first needed."""
        if self._int8_factors is None or self._int8_factors.constant.device != self.left.device:
            self._int8_factors = Int8Factors.of(self.left, self.right)  # moved since
        return self._int8_factors

    def prepare(self, w: Tensor, groups: int) -> SurrogateWeights:
        """Transform the weights; see `Engine.prepare`."""
        arithmetic, channels = self.choose(w.shape[3], w.shape[1] * w.shape[2], groups, w.device)
        products: Int8Weights | FloatWeights
        if arithmetic == "int8":
            products = int8_products.prepare(self._int8(), w, groups)
        else:
            products = float_products.prepare(self.right, w, groups, getattr(torch, arithmetic), channels)
        if self.additive_activation is None and self.additive_weight is None:
            return SurrogateWeights(products, None)
        return SurrogateWeights(products, additive.prepare(self.additive_weight, w, groups))

    def sums(self, x: Tensor, prepared: SurrogateWeights, convolution: Convolution) -> Tensor:
        """See `Engine.sums`."""
        if isinstance(prepared.products, Int8Weights):
            total = int8_products.sums(self._int8(), x, prepared.products, convolution)
        else:
            total = float_products.sums(self.left, x, prepared.products, convolution)
        if prepared.additive is None:
            return total
        return total + additive.sums(self.additive_activation, x, prepared.additive, convolution, len(self.left))
