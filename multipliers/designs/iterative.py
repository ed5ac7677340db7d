"""The iterative logarithmic multiplier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import keep_leading_bits, leading_one
from multipliers.designs.signs import MagnitudeDesign
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class IterativeLogarithmic(MagnitudeDesign):
    """Iterative logarithmic multiplier (ILM): a basic block, and corrections by the product of the residues.

    With characteristics ``ka, kb`` and residues ``ra = a - 2**ka``, ``rb = b - 2**kb``, the basic block is

        P0(a, b) = 2**(ka + kb) + ra * 2**kb + rb * 2**ka = a * b - ra * rb

    and 0 where an operand is 0. Corrections add the basic block of the residues, of their residues, and so on:

        f(a, b) = P0(a, b) + P0(ra, rb) + ...      (1 + corrections terms)

    The block has no case of a mantissa carry, so it alone is not Mitchell's multiplier. Commutative.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.
    corrections : int
        Correction terms, 0 to ``max(n, m) - 1``; exact from ``min(n, m) - 1`` on. Label letter ``i``.
    kept_bits : int or None
        Where given, operands are first truncated to their leading ``w`` bits, 1 to ``max(n, m)``. An interpretation of
        the truncated iterative multiplier of Kim et al. (ARITH 2019), of which only the citation is at hand. Label
        letter ``w``.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: without truncation the error is ``-r * s`` with the last residues ``r, s``, and the relative error in
    ``(-4**-(1 + corrections), 0]``: above -25, -6.25, -1.5625 and -0.390625 % for 0 to 3 corrections.

    Source: Z. Babic, A. Avramovic, P. Bulic, "An Iterative Logarithmic Multiplier", Microprocessors and Microsystems
    35(1), 2011.

    Examples
    --------
    >>> m = IterativeLogarithmic(OperandFormat(8), OperandFormat(8), corrections=0)
    >>> m.name, int(m(3, 3)), int(m(15, 15))
    ('ilm8u_i0', 8, 176)
    >>> IterativeLogarithmic(OperandFormat(16), OperandFormat(16), corrections=1, kept_bits=8).name
    'ilm16u_i1w8'
    """

    a: OperandFormat
    b: OperandFormat
    corrections: int
    kept_bits: int | None = None

    family = "ilm"
    letters: ClassVar[dict[str, str]] = {"i": "corrections", "w": "kept_bits"}

    def __post_init__(self) -> None:
        self._check_widths()
        self._check_parameter("corrections", 0, max(self.a.bits, self.b.bits) - 1)
        if self.kept_bits is not None:
            self._check_parameter("kept_bits", 1, max(self.a.bits, self.b.bits))

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        if self.kept_bits is not None:
            a, b = keep_leading_bits(a, self.kept_bits), keep_leading_bits(b, self.kept_bits)
        product = a * b
        for _ in range(1 + self.corrections):
            a, b = _residue(a), _residue(b)
        return product - a * b


def _residue(x: IntArray) -> IntArray:
    """Each ``x > 0`` less its leading one; 0 stays 0, which makes the error term vanish."""
    return np.where(x == 0, 0, x - (np.int64(1) << leading_one(x)))
