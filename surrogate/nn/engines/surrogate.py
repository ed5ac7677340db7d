"""Sums by surrogate: ``k`` ordinary matrix products of transformed operands, run as one.

Terms with a constant factor are no products: `surrogate.nn.engines.additive` sums them.

The transformed operands are laid side by side along the reduction axis, so that one product of ``k`` times the length
does all terms: in int8 where the factors allow, else in float32 or float64, whichever provably rounds nothing. Sums
that no datatype holds are refused.

On a processor, compiled code (`surrogate.nn.native`) can do whole layers whose operands have at most 8 bits: it looks
the surrogate's products up in a table of them, or multiplies its factors. All give the same sums;
`surrogate.nn.compiled.choice` measures what is the fastest.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from surrogate.digits import DigitProducts, digit_products
from surrogate.errors import ExactnessError
from surrogate.factors import Factors
from surrogate.model import Surrogate
from surrogate.nn.engines import additive
from surrogate.nn.engines.additive import AdditiveWeights
from surrogate.nn.engines.engine import Engine
from surrogate.nn.errors import ConversionError
from surrogate.nn.geometry import Convolution
from surrogate.nn.native import ActiveTable, NativeProducts, NativeTable
from surrogate.nn.products import float_digits
from surrogate.nn.products import floats as float_products
from surrogate.nn.products import int8 as int8_products
from surrogate.nn.products.datatypes import Sums, datatypes_of, fastest
from surrogate.nn.products.float_digits import DigitWeights
from surrogate.nn.products.floats import FloatWeights
from surrogate.nn.products.int8 import Int8Weights
from surrogate.nn.products.int8_factors import Int8Factors
from surrogate.scaled_factors import ScaledFactors

ARITHMETIC_CHOICES = ("auto", "int8", "bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class SurrogateWeights:
    """Transformed weights: of the products, and of the terms with a constant factor (None where there are none)."""

    products: Int8Weights | DigitWeights | FloatWeights
    additive: AdditiveWeights | None


class SurrogateEngine(Engine):
    """Multiply transformed operands.

    Parameters
    ----------
    surrogate : Surrogate
        Certified.
    activation_operand : {"a", "b"}
        Which operand of the multiplier the activation is.
    arithmetic : {"auto", "int8", "bfloat16", "float16", "float32", "float64"}
        Datatype of the products. ``"auto"`` takes the fastest that is exact. ``"int8"`` splits factors beyond int8
        into digits. Of a surrogate with float coefficients and integer functions, int8 products are exact integers,
        and only their weighted sum is rounded, in float64; float32 rounds factors, products and sums. Only float32 and
        float64 take functions that are not integer. ``"bfloat16"`` and ``"float16"`` need integer factors of at most 8
        and 11 significant bits, and sum in float32; float16 is for GPUs.
    by_table : bool
        Whether compiled code may look the surrogate's products up in a table of them, which gives the same sums; it
        may multiply factors in any case.

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

    def __init__(
        self, surrogate: Surrogate, activation_operand: str = "a", arithmetic: str = "auto", *, by_table: bool = True
    ) -> None:
        super().__init__()
        if surrogate.certificate is None:
            raise ConversionError("the surrogate is not certified; pass it through surrogate.certify first")
        if arithmetic not in ARITHMETIC_CHOICES:
            raise ConversionError(f"arithmetic must be one of {ARITHMETIC_CHOICES}, got {arithmetic!r}")
        factors = surrogate.factors()
        if factors.n_products == 0:
            factors = factors.as_products()
        if factors.n_products == 0:  # a multiplier that is always zero
            factors = Factors(*(np.zeros((f.size, 1), dtype=np.int64) for f in (surrogate.a, surrogate.b)))
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
        self.by_table = by_table
        self.integer = factors.is_integer
        self.certified_exact = surrogate.is_exact
        scaled = ScaledFactors.of_integers(factors) if self.integer else ScaledFactors.of(surrogate)
        self._digits = (
            None if scaled is None else digit_products(scaled.swapped() if activation_operand == "b" else scaled)
        )
        self._int8_factors: tuple[Int8Factors, ...] | None = None
        self._native_table = ActiveTable()
        self._native_products: tuple[NativeTable, NativeProducts | None] | None = None
        int8 = () if self._digits is None else self._int8(torch.device("cpu"))
        self._datatypes = datatypes_of(factors, self._digits, int8)
        if arithmetic != "auto" and arithmetic not in self._datatypes:
            raise ExactnessError(f"{arithmetic} cannot hold the factors; use arithmetic='auto'")

    def native(self) -> NativeTable | None:
        """Return the table of the surrogate's own products for compiled code: the same sums, by lookup.

        None for float factors, a chosen datatype, operands of more than 8 bits, where there is no compiled code, or
        if it may not.
        """
        return self._table() if self.by_table else None

    def native_products(self) -> NativeProducts | None:
        """Return the factors as bytes for compiled code.

        None where there is no table of them, where they take too many bytes, or without instructions that multiply
        bytes.
        """
        table = self._table()
        if table is None:
            return None
        if self._native_products is None or self._native_products[0] is not table:
            parts = self.left, self.right, self.additive_activation, self.additive_weight
            self._native_products = table, NativeProducts.of(*parts, table)
        return self._native_products[1]

    def _table(self) -> NativeTable | None:
        """Tabulate the surrogate's own products, once for each kernel; None where compiled code cannot hold them."""
        sizes = len(self.left), len(self.right)
        if not self.integer or self.arithmetic != "auto" or max(sizes) > 256 or self.left.device.type != "cpu":
            return None
        return self._native_table.read(self._products)

    def _products(self) -> Tensor:
        table = self.left @ self.right.T
        if self.additive_activation is not None:
            table += self.additive_activation[:, None]
        if self.additive_weight is not None:
            table += self.additive_weight
        return table

    def __getstate__(self) -> dict[str, Any]:
        """Leave what the kernels read out of copies and pickles: another machine may run another kernel."""
        return {**self.__dict__, "_native_table": ActiveTable(), "_native_products": None}

    @property
    def ways(self) -> Hashable:
        """What the time of its sums depends on beside their shape."""
        return self.left.shape[1], self.additive_activation is None, tuple(self._datatypes)

    @property
    def exact(self) -> bool:
        """Whether the surrogate is certified exact."""
        return self.certified_exact

    def choose(self, channels: int, pixels: int, groups: int, device: torch.device) -> tuple[str, int]:
        """Choose the arithmetic for sums over ``channels`` of each group and ``pixels`` of a kernel.

        Returns
        -------
        arithmetic : {"int8", "bfloat16", "float16", "float32", "digits", "float64"}
            ``"digits"``: digits, multiplied in float32.
        channels : int
            How many channels one product may take; the rest follows in further products, added in float64.

        Raises
        ------
        ExactnessError
            If no permitted arithmetic holds the sums.
        """
        forced = self.arithmetic != "auto"
        datatypes = [self._datatypes[self.arithmetic]] if forced else list(self._datatypes.values())
        return fastest(datatypes, Sums(channels, pixels, groups, device), forced)

    def _int8(self, device: torch.device) -> tuple[Int8Factors, ...]:
        """Factors shifted into int8, made again where the device changed."""
        if self._int8_factors is None or any(each.constant.device != device for each in self._int8_factors):
            self._int8_factors = tuple(
                Int8Factors.of(each, device) for each in cast(tuple[DigitProducts, ...], self._digits)
            )
        return self._int8_factors

    def prepare(self, w: Tensor, groups: int) -> SurrogateWeights:
        """Transform the weights; see `Engine.prepare`."""
        arithmetic, channels = self.choose(w.shape[3], w.shape[1] * w.shape[2], groups, w.device)
        products: Int8Weights | DigitWeights | FloatWeights
        if arithmetic == "int8":
            products = int8_products.prepare(self._int8(w.device), w, groups, channels)
        elif arithmetic == "digits":
            products = float_digits.prepare(cast(tuple[DigitProducts, ...], self._digits), w, groups, channels)
        else:
            products = float_products.prepare(self.right, w, groups, getattr(torch, arithmetic), channels)
        if self.additive_activation is None and self.additive_weight is None:
            return SurrogateWeights(products, None)
        return SurrogateWeights(products, additive.prepare(self.additive_weight, w, groups))

    def sums(self, x: Tensor, prepared: SurrogateWeights, convolution: Convolution) -> Tensor:
        """See `Engine.sums`."""
        if isinstance(prepared.products, Int8Weights):
            total = int8_products.sums(self._int8(x.device), x, prepared.products, convolution)
        elif isinstance(prepared.products, DigitWeights):
            total = float_digits.sums(x, prepared.products, convolution)
        else:
            total = float_products.sums(self.left, x, prepared.products, convolution)
        if prepared.additive is None:
            return total
        return total + additive.sums(self.additive_activation, x, prepared.additive, convolution, len(self.left))
