"""Which machine arithmetic carries a surrogate's integer factors without any rounding, and for how long a sum.

A dot product of length ``K`` is exact if every factor is representable and every partial sum is: the partial sums
are bounded by ``K * max sum_j abs(g_j h_j)``, in whatever order they are added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from multipliers.operands import IntArray
from surrogate.errors import SurrogateError
from surrogate.factors import Factors


@dataclass(frozen=True)
class Arithmetic:
    """A datatype of the factors with the accumulator that hardware pairs it with.

    Attributes
    ----------
    name : str
        Datatype of the factors.
    accumulator : str
        Datatype of the sum.
    minimum, maximum : int
        Range of a factor.
    significant_bits : int
        Factors are exact if, without trailing zeros, they have at most this many bits.
    accumulator_limit : int
        Integers of smaller magnitude are exact in the accumulator.
    """

    name: str
    accumulator: str
    minimum: int
    maximum: int
    significant_bits: int
    accumulator_limit: int

    def holds(self, factor: IntArray) -> bool:
        """Whether every entry is representable."""
        if factor.size == 0:
            return True
        if int(factor.min()) < self.minimum or int(factor.max()) > self.maximum:
            return False
        magnitude = np.abs(factor)
        odd = magnitude // np.maximum(magnitude & -magnitude, 1)
        return int(odd.max()) < 1 << self.significant_bits


ARITHMETICS: dict[str, Arithmetic] = {
    arithmetic.name: arithmetic
    for arithmetic in (
        Arithmetic("int8", "int32", -128, 127, 8, 1 << 31),
        Arithmetic("bfloat16", "float32", -(1 << 62), 1 << 62, 8, 1 << 24),
        Arithmetic("float16", "float32", -65504, 65504, 11, 1 << 24),
        Arithmetic("tfloat32", "float32", -(1 << 62), 1 << 62, 11, 1 << 24),
        Arithmetic("float32", "float32", -(1 << 62), 1 << 62, 24, 1 << 24),
        Arithmetic("int32", "int32", -(1 << 31), (1 << 31) - 1, 31, 1 << 31),
        Arithmetic("float64", "float64", -(1 << 62), 1 << 62, 53, 1 << 53),
        Arithmetic("int64", "int64", -(1 << 63), (1 << 63) - 1, 63, 1 << 63),
    )
}
"""The arithmetics by name."""


@dataclass(frozen=True)
class Width:
    """Bits of the narrowest integers that hold some values: two's complement if one is negative, else unsigned.

    Examples
    --------
    >>> print(Width.of(np.array([-128, 127])), Width.of(np.array([0, 255])), Width.of(np.array([0, 0])))
    8s 8u 0u
    """

    bits: int
    signed: bool

    @classmethod
    def of(cls, values: IntArray) -> Width:
        """Width of an array of integers."""
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        signed = low < 0
        return cls(max(high.bit_length(), (~low).bit_length() if signed else 0) + signed, signed)

    def __str__(self) -> str:
        return f"{self.bits}{'s' if self.signed else 'u'}"


@dataclass(frozen=True)
class FactorReport:
    """How wide the factors of an integer surrogate are, and which arithmetic carries them for how long a sum.

    Attributes
    ----------
    a, b : tuple of Width
        Of the factors of each product, those of the first operand and those of the second.
    additive_a, additive_b : Width or None
        Of what is added for one operand alone; it is summed in the accumulator.
    datatypes : tuple of str
        Names, from `ARITHMETICS`, of the datatypes that hold every factor of a product.
    exact_lengths : dict of str to int
        Longest exact dot product by datatype, see `longest_exact_dot_product`.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> report = FactorReport.of(surrogate.discover(multipliers.get("bam8s_h0v2")).factors())
    >>> [str(width) for width in report.a], report.datatypes[0], report.exact_lengths["int8"]
    (['8s', '2s', '1s'], 'int8', 131071)
    """

    a: tuple[Width, ...]
    b: tuple[Width, ...]
    additive_a: Width | None
    additive_b: Width | None
    datatypes: tuple[str, ...]
    exact_lengths: dict[str, int]

    @classmethod
    def of(cls, factors: Factors) -> FactorReport:
        """Report on factors.

        Raises
        ------
        SurrogateError
            If they are not integers: floats have no width, and no sum of them is exact.
        """
        if not factors.is_integer:
            raise SurrogateError("the factors are floats; take a surrogate of integers (method='exact')")
        additive = (factors.additive_a, factors.additive_b)
        of_a, of_b = (None if part is None else Width.of(part.astype(np.int64)) for part in additive)
        left, right = factors.left.astype(np.int64), factors.right.astype(np.int64)
        return cls(
            tuple(map(Width.of, left.T)),
            tuple(map(Width.of, right.T)),
            of_a,
            of_b,
            tuple(name for name, each in ARITHMETICS.items() if each.holds(left) and each.holds(right)),
            exact_lengths(factors),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; a width is its label, such as ``"8s"``."""
        return {
            "a": [str(width) for width in self.a],
            "b": [str(width) for width in self.b],
            "additive_a": None if self.additive_a is None else str(self.additive_a),
            "additive_b": None if self.additive_b is None else str(self.additive_b),
            "datatypes": list(self.datatypes),
            "exact_lengths": self.exact_lengths,
        }


def narrowest(factors: Factors) -> int:
    """Place in `ARITHMETICS`, which go from narrow to wide, of the first that holds the integer factors of products."""
    holds = [a.holds(factors.left) and a.holds(factors.right) for a in ARITHMETICS.values()]
    return [*holds, True].index(True)


def longest_exact_dot_product(factors: Factors, arithmetic: Arithmetic) -> int:
    """Longest dot product that ``arithmetic`` computes without rounding or overflow, in any order of summation.

    Returns
    -------
    int
        0 where a factor itself is not representable, or the factors are not integers.
    """
    if not (factors.is_integer and arithmetic.holds(factors.left) and arithmetic.holds(factors.right)):
        return 0
    bound = factors.product_bound()
    if bound >= 1 << 52:
        bound *= 1 + 1e-12  # a sum of floats of this size is rounded itself
    return (arithmetic.accumulator_limit - 1) // max(1, math.ceil(bound))


def exact_lengths(factors: Factors) -> dict[str, int]:
    """`longest_exact_dot_product` for every arithmetic, by name."""
    return {name: longest_exact_dot_product(factors, arithmetic) for name, arithmetic in ARITHMETICS.items()}
