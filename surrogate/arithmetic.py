"""Which machine arithmetic carries a surrogate's integer factors without any rounding, and for how long a sum.

A dot product of length ``K`` is exact if every factor is representable and every partial sum is: the partial sums
are bounded by ``K * max sum_j abs(g_j h_j)``, in whatever order they are added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from multipliers.operands import IntArray
from surrogate.model import Factors


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
