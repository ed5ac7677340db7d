"""Multipliers of dynamic segments: an exact product of operands shortened from their leading one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import leading_one
from multipliers.designs.signs import MagnitudeDesign
from multipliers.errors import ParameterError
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class Drum(MagnitudeDesign):
    """Dynamic range unbiased multiplier (DRUM): exact product of two unbiased ``k``-bit segments.

    With ``k = kept_bits`` and ``s = floor(log2 x) - k + 1``,

        D(x) = x                                 where x < 2**k
        D(x) = (floor(x / 2**s) | 1) * 2**s      otherwise
        f(a, b) = D(a) * D(b)

    The last kept bit is forced to 1, which stands for the mean of the bits below it. Commutative, zero preserving,
    of rank 1.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.
    kept_bits : int
        Segment length ``k``, 1 to ``max(n, m)``; an operand of at most ``k`` bits is exact. Label letter ``k``.
        Other tools count differently: the "DRUM k" of TorchApprox's HTP models is this design with ``k + 1``.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: for ``k >= 2`` the relative error is at most ``(1 + 2**-(k-1))**2 - 1`` (56.25, 26.56, 12.89, 6.35,
    3.15, 1.57 % for k = 3 .. 8), reached where both operands are powers of two of more than ``k`` bits, and more than
    ``((q + 1) / (q + 2))**2 - 1`` with ``q = 2**(k-1)``. Nearly unbiased where operands are much wider than ``k``.

    Source: S. Hashemi, R. I. Bahar, S. Reda, "DRUM: A Dynamic Range Unbiased Multiplier for Approximate
    Applications", ICCAD 2015.

    Examples
    --------
    >>> m = Drum(OperandFormat(8), OperandFormat(8), kept_bits=4)
    >>> m.name, int(m(200, 100))
    ('drum8u_k4', 21632)
    """

    a: OperandFormat
    b: OperandFormat
    kept_bits: int

    family = "drum"
    letters: ClassVar[dict[str, str]] = {"k": "kept_bits"}

    def __post_init__(self) -> None:
        self._check_widths()
        self._check_parameter("kept_bits", 1, max(self.a.bits, self.b.bits))
        largest = 1
        for x in (self.a, self.b):  # rounding up the magnitude of the most negative value is the largest segment
            largest *= max(int(unbiased_segment(np.array(v), self.kept_bits)) for v in (-x.minimum, x.maximum))
        if largest >= 1 << 63:
            raise ParameterError(
                f"products of drum with kept_bits={self.kept_bits} and {self.a} x {self.b} operands do not fit int64; "
                f"use narrower operands or more kept bits"
            )

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        return unbiased_segment(a, self.kept_bits) * unbiased_segment(b, self.kept_bits)


def unbiased_segment(x: IntArray, k: int) -> IntArray:
    """Keep the ``k`` leading bits of each ``x >= 0``, the last of them set; ``x < 2**k`` is unchanged.

    Examples
    --------
    >>> unbiased_segment(np.array([7, 8, 100]), 3)
    array([  7,  10, 112])
    """
    shift = np.maximum(leading_one(x) - (k - 1), 0)
    return np.where(shift > 0, (x >> shift | 1) << shift, x)
