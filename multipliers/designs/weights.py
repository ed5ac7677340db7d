"""Multipliers that round the operand ``b``, a network's weight: alphabet sets (ASM) and positive/negative (PNAM).

Both are exact products with a rounded weight, ``f(a, b) = a * w(b)``: not commutative, of rank 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.designs.signs import check_room
from multipliers.errors import ParameterError
from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class AlphabetSet(Design):
    """Alphabet set multiplier (ASM): weights whose 4-bit digits are shifted members of a small alphabet.

    The magnitude of ``b``, of ``w`` bits (``m``, or ``m - 1`` where ``b`` is signed), is split into 4-bit digits
    (quartets), the top one of ``1 + (w - 1) mod 4`` bits. A digit is supported if it is 0 or a member of the alphabet
    times a power of two. From the lowest digit up, each is rounded to the nearest supported value or 16, ties upwards;
    16 carries into the next digit before that is rounded. The top digit does not carry: it is at most its largest
    supported value. With ``Q`` the rounded magnitude,

        f(a, b) = a * sign(b) * Q(abs(b))

    Products of supported weights are exact.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed; ``b`` is the weight, of at least 2 bits where it is signed.
    alphabets : int
        Size of the alphabet: 1 for {1}, 2 for {1, 3}, 4 for {1, 3, 5, 7}. Label letter ``n``.

    Notes
    -----
    Sign rule: two's-complement magnitude of ``b``; ``a`` as it is. The magnitude of the most negative weight, one bit
    too long, rounds like the largest one.

    The rounding of unsupported weights is an interpretation.

    Error range: the relative error depends on ``b`` alone. Its mean magnitude over the weights 1 to 127 of 8 bits is
    20.1, 6.06 and 0.73 % for the three alphabets.

    Source: S. S. Sarwar, S. Venkataramani, A. Raghunathan, K. Roy, "Multiplier-less Artificial Neurons Exploiting Error
    Resiliency for Energy-Efficient Neural Computing", DATE 2016.

    Examples
    --------
    >>> m = AlphabetSet(OperandFormat(8, True), OperandFormat(8, True), alphabets=2)
    >>> m.name, int(m(10, 102)), int(m(10, -91))
    ('asm8s_n2', 1020, -1080)
    """

    a: OperandFormat
    b: OperandFormat
    alphabets: int

    family = "asm"
    letters: ClassVar[dict[str, str]] = {"n": "alphabets"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("alphabets", 1, 4)
        if self.alphabets == 3:
            raise ParameterError(f"{type(self).__name__}: alphabets must be 1, 2 or 4, got 3")
        if self.b.bits - self.b.signed < 1:
            raise ParameterError(f"{type(self).__name__} needs a weight b with a magnitude, got {self.b}")

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        weight: IntArray = np.sign(b) * self._rounded(np.abs(b))
        return a * weight

    def _rounded(self, magnitude: IntArray) -> IntArray:
        bits = self.b.bits - self.b.signed
        top = (bits - 1) // 4 * 4
        digits = _nearest_digits(self.alphabets, [16])
        total, carry = np.zeros_like(magnitude), np.zeros_like(magnitude)
        for shift in range(0, top, 4):
            digit = digits[(magnitude >> shift & 15) + carry]
            total, carry = total + ((digit & 15) << shift), digit >> 4
        digits = _nearest_digits(self.alphabets, [], limit=1 << (bits - top))
        rounded: IntArray = total + (digits[np.minimum((magnitude >> top) + carry, 16)] << top)
        return rounded


def _nearest_digits(alphabets: int, others: list[int], limit: int = 16) -> IntArray:
    """Nearest supported value below ``limit``, or of ``others``, of each digit 0 to 16; ties upwards."""
    supported = {0, *(letter << s for letter in (1, 3, 5, 7)[:alphabets] for s in range(4))}
    values = sorted([v for v in supported if v < limit] + others, reverse=True)
    return np.array([min(values, key=lambda v: abs(v - digit)) for digit in range(17)], dtype=np.int64)


@register
@dataclass(frozen=True)
class PositiveNegative(Design):
    """One mode of the positive/negative approximate multiplier (PNAM): low bits of the weight cleared or set.

        f(a, b) = a * (b & ~(2**z - 1))      negative error; the same as `Perforation` of the first z rows
        f(a, b) = a * (b | (2**z - 1))       positive error

    The mode is chosen for each weight, so that errors cancel in a sum; its third mode is the accurate product. An
    interpretation, from the text of the paper.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed; ``b`` is the weight.
    positive : int
        0 for negative, 1 for positive error. Label letter ``p``.
    low_bits : int
        Bits ``z`` of the weight, 1 to ``min(3, m)``. Label letter ``z``.

    Notes
    -----
    Sign rule: native two's complement.

    Error range: ``-a * (b mod 2**z)`` or ``a * (2**z - 1 - b mod 2**z)``, at most ``(2**z - 1) * abs(a)`` in magnitude.
    The positive mode gives non-zero products for ``b = 0``.

    Source: O. Spantidi, G. Zervakis, I. Anagnostopoulos, H. Amrouch, J. Henkel, "Positive/Negative Approximate
    Multipliers for DNN Accelerators", ICCAD 2021.

    Examples
    --------
    >>> m = PositiveNegative(OperandFormat(8), OperandFormat(8), positive=1, low_bits=2)
    >>> m.name, int(m(10, 5)), int(m(10, 0))
    ('pnam8u_p1z2', 70, 30)
    """

    a: OperandFormat
    b: OperandFormat
    positive: int
    low_bits: int

    family = "pnam"
    letters: ClassVar[dict[str, str]] = {"p": "positive", "z": "low_bits"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("positive", 0, 1)
        self._check_parameter("low_bits", 1, min(3, self.b.bits))

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        low = (1 << self.low_bits) - 1
        return a * (b | low if self.positive else b & ~low)
