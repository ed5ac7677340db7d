"""Functions of the bits of the two's-complement operand: modulus, single bits, several at once, truncation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from surrogate.basis.base import BasisFunction, check_int, register


@register
@dataclass(frozen=True)
class Mod(BasisFunction):
    """``x mod 2**bits``, the floor modulus: the low ``bits`` bits, in ``[0, 2**bits)``.

    Examples
    --------
    >>> Mod(2)(np.array([-1, 5]))
    array([3, 1])
    """

    bits: int
    kind = "mod"

    def __post_init__(self) -> None:
        check_int(self.kind, "bits", self.bits, 0, MAX_BITS)

    def __call__(self, x: IntArray) -> IntArray:
        return x & ((1 << self.bits) - 1)

    def largest(self, operand: OperandFormat) -> int:
        modulus_less_one = (1 << self.bits) - 1
        return modulus_less_one if operand.signed else min(modulus_less_one, operand.maximum)

    def formula(self, variable: str) -> str:
        return f"({variable} mod {1 << self.bits})"


@register
@dataclass(frozen=True)
class Bit(BasisFunction):
    """Bit ``position`` of the two's-complement operand, 0 or 1."""

    position: int
    kind = "bit"

    def __post_init__(self) -> None:
        check_int(self.kind, "position", self.position, 0, MAX_BITS - 1)

    def __call__(self, x: IntArray) -> IntArray:
        return (x >> self.position) & 1

    def largest(self, operand: OperandFormat) -> int:
        return 1

    def formula(self, variable: str) -> str:
        return f"bit_{self.position}({variable})"


@register
@dataclass(frozen=True)
class Truncate(BasisFunction):
    """``x - x mod 2**bits``: the low ``bits`` bits cleared."""

    bits: int
    kind = "truncate"

    def __post_init__(self) -> None:
        check_int(self.kind, "bits", self.bits, 0, MAX_BITS)

    def __call__(self, x: IntArray) -> IntArray:
        return (x >> self.bits) << self.bits

    def formula(self, variable: str) -> str:
        return f"trunc_{self.bits}({variable})"


@register
@dataclass(frozen=True)
class AllBits(BasisFunction):
    """1 where every bit of ``mask`` is set in the two's-complement operand, else 0: a product of bits.

    Examples
    --------
    >>> AllBits(0b101)(np.array([5, 7, 4, -1]))
    array([1, 1, 0, 1])
    """

    mask: int
    kind = "all_bits"
    since = 2

    def __post_init__(self) -> None:
        check_int(self.kind, "mask", self.mask, 1, (1 << MAX_BITS) - 1)

    def __call__(self, x: IntArray) -> IntArray:
        whole: IntArray = ((x & self.mask) == self.mask).astype(np.int64)
        return whole

    def largest(self, operand: OperandFormat) -> int:
        return 1

    def formula(self, variable: str) -> str:
        positions = [i for i in range(MAX_BITS) if self.mask >> i & 1]
        return " ".join(f"bit_{i}({variable})" for i in positions)
