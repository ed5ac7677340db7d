"""Which datatype multiplies a surrogate's factors: the fastest that rounds nothing, by an estimate of its cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from surrogate.arithmetic import ARITHMETICS
from surrogate.digits import DigitProducts
from surrogate.errors import ExactnessError
from surrogate.factors import Factors
from surrogate.nn.products import cuda as cuda_products
from surrogate.nn.products import float_digits
from surrogate.nn.products.bfloat16 import bfloat16_products_are_exact
from surrogate.nn.products.int8 import int8_products_are_exact
from surrogate.nn.products.int8_factors import Int8Factors

COSTS = {"int8": 0.115, "bfloat16": 0.5, "float32": 1.0, "digits": 1.0, "float64": 1.95}
"""Cost of a product on a processor, in multiples of a float32 one: 1024 x 1024 x 1024, one thread, AVX-512 VNNI,
PyTorch 2.13; ``"digits"`` are float32 products of digits. Those of GPUs are in `surrogate.nn.products.cuda`."""

_SUM, _SUM_LANES = 0.08, 1024
"""One sum more (its lookups, its shifts, adding it in float64), in the same run; less beside longer products."""

_MANY_GROUPS = 5  # each group is an int8 product of its own; so many are faster as one grouped float32 convolution
_GROUPED_FLOAT64 = 30.0  # as those of many groups are copied patches and short products
_MOST_PIECES = 4  # of short products, which are slower than these costs say
_SHORT = 1024  # lanes
_UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Datatype:
    """What a datatype needs to multiply given factors.

    Attributes
    ----------
    name : str
        A key of `COSTS`, or ``"float16"``.
    products : int
        Number of products, digits counted.
    sums : int
        Number of sums that are added with a weight each.
    lanes_summed : int
        Longest sum of its accumulator that is exact; longer ones are cut into pieces, added in float64.
    lanes_in_all : int
        Longest sum whose pieces add up to exact float64 numbers.
    """

    name: str
    products: int
    sums: int = 1
    lanes_summed: int = _UNLIMITED
    lanes_in_all: int = _UNLIMITED


@dataclass(frozen=True)
class Sums:
    """Sums of a layer.

    Attributes
    ----------
    channels : int
        Of each group.
    pixels : int
        Of a kernel.
    groups : int
        Of the convolution.
    device : torch.device
        Where they are computed.
    """

    channels: int
    pixels: int
    groups: int
    device: torch.device

    def fit(self, datatype: Datatype, forced: bool) -> bool:
        """Whether they are exact in a datatype; unless it is ``forced``, in few pieces, or long ones."""
        piece = datatype.lanes_summed // self.pixels
        few = piece * _MOST_PIECES >= self.channels or piece * self.pixels >= _SHORT
        return self.channels * self.pixels <= datatype.lanes_in_all and piece > 0 and (forced or few)

    def suit(self, name: str) -> bool:
        """Whether a datatype may be the fastest."""
        if name == "int8":
            return self.groups < _MANY_GROUPS
        if name == "digits":
            return self.groups >= _MANY_GROUPS or not available("int8", self.device)
        if name == "bfloat16" and self.device.type == "cpu":
            return self.pixels == self.groups == 1  # convolutions gain nothing
        return True

    def cost(self, datatype: Datatype) -> float:
        """Cost of a datatype, in multiples of a float32 product."""
        costs = COSTS | cuda_products.COSTS if self.device.type == "cuda" else COSTS
        each = costs[datatype.name]
        if datatype.name == "float64" and self.groups >= _MANY_GROUPS:
            each = max(each, _GROUPED_FLOAT64)
        added = datatype.sums * -(-self.channels // (datatype.lanes_summed // self.pixels))
        share = _SUM * min(1.0, _SUM_LANES / max(1, self.channels * self.pixels))
        return datatype.products * each + (added * share if added > 1 else 0.0)


def available(name: str, device: torch.device) -> bool:
    """Whether products of a datatype are exact on a device; those in question are probed there."""
    if name == "int8":
        return int8_products_are_exact(str(device))
    if name == "bfloat16" and device.type == "cpu":
        return bfloat16_products_are_exact()
    if name in cuda_products.HALVES:
        return device.type == "cuda" and cuda_products.half_products_are_exact(name, device)
    return True


def fastest(datatypes: Sequence[Datatype], sums: Sums, forced: bool) -> tuple[str, int]:
    """Choose the datatype of least cost.

    Parameters
    ----------
    datatypes : sequence of Datatype
        That hold the factors.
    sums : Sums
        To be computed.
    forced : bool
        Whether the one datatype is asked for, at any cost.

    Returns
    -------
    name : str
    channels : int
        How many channels of a group one product takes.

    Raises
    ------
    ExactnessError
        If none is exact.
    """
    usable = [each for each in datatypes if (forced or sums.suit(each.name)) and available(each.name, sums.device)]
    if not usable:
        names = ", ".join(each.name for each in datatypes)
        raise ExactnessError(f"{names} products are not exact on {sums.device}; use arithmetic='auto'")
    exact = [each for each in usable if sums.fit(each, forced)]
    if not exact:
        raise ExactnessError(
            f"sums of {sums.channels * sums.pixels} products could reach 2**53, or leave the datatype that is asked "
            f"for, and be rounded; take arithmetic='auto', operands of fewer bits, or split the layer"
        )
    chosen = exact[0]
    for each in exact[1:]:  # a minimum by key does not compile
        if sums.cost(each) < sums.cost(chosen):
            chosen = each
    return chosen.name, min(chosen.lanes_summed // sums.pixels, sums.channels)


def datatypes_of(
    factors: Factors, digits: Sequence[DigitProducts] | None, int8: Sequence[Int8Factors]
) -> dict[str, Datatype]:
    """Describe the datatypes that hold the factors of a surrogate's products.

    Parameters
    ----------
    factors : Factors
        Of the surrogate; sums of floats are rounded by any datatype, and limited by none.
    digits : sequence of DigitProducts or None
        Their digits; None if they are no scaled integers.
    int8 : sequence of Int8Factors
        The same digits in int8.
    """
    found = {}
    if digits is not None:
        found["int8"] = _of_digits("int8", digits, [each.lane_bound for each in int8], 1 << 31, factors.is_integer)
    columns = factors.n_products
    if factors.is_integer:
        in_all = ((1 << 53) - 1) // (int(factors.product_bound()) + 1)
        summed = int(Factors(factors.left, factors.right).product_bound()) + 1
        for name in ("bfloat16", "float16", "float32"):
            if ARITHMETICS[name].holds(factors.left) and ARITHMETICS[name].holds(factors.right):
                found[name] = Datatype(name, columns, 1, ((1 << 24) - 1) // summed, in_all)
        found["float64"] = Datatype("float64", columns, 1, in_all, in_all)
    else:
        found |= {name: Datatype(name, columns) for name in ("float32", "float64")}
    if digits:
        bounds = [float_digits.lane_bound(each) for each in digits]
        found["digits"] = _of_digits("digits", digits, bounds, 1 << 24, factors.is_integer)
    return found


def _of_digits(
    name: str, digits: Sequence[DigitProducts], bounds: Sequence[int], limit: int, integer: bool
) -> Datatype:
    """Describe products of digits, of which a lane adds no more than ``bounds`` to sums below ``limit``."""
    in_all = math.ceil(sum(abs(each.weight) * bound for each, bound in zip(digits, bounds, strict=True)))
    return Datatype(
        name,
        sum(each.n_products for each in digits),
        len(digits),
        (limit - 1) // max([1, *bounds]),
        ((1 << 53) - 1) // max(1, in_all) if integer else _UNLIMITED,
    )
