"""The two-stage operand trimming logarithmic multiplier (TL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multipliers.bits import antilogarithm, fraction_bits
from multipliers.designs.signs import ComplementDesign, check_room
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class OperandTrimming(ComplementDesign):
    """Two-stage operand trimming logarithmic multiplier (TL): a static segment, then a short mantissa.

    With ``q = threshold_bits``, large operands lose their ``q - 1`` low bits and get their last bit set,

        T(x) = floor(x / 2**(q-1)) or 1      where x >= 2**q
        T(x) = x                             otherwise

    The mantissas of ``T(a)`` and ``T(b)`` are truncated to ``w - 1`` fraction bits, followed by a 1: ``X`` and ``Y``,
    of ``w`` fraction bits. With ``S = X + Y``, the characteristics ``ka, kb`` of ``T(a)`` and ``T(b)``, and the number
    ``h`` of trimmed operands,

        f(a, b) = 2**(h (q-1)) * floor(2**(ka + kb) * (1 + S / 2**w))       where S < 2**w
        f(a, b) = 2**(h (q-1)) * floor(2**(ka + kb + 1) * S / 2**w)         otherwise

    and 0 where an operand is 0. Commutative; small operands are not exact either.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed.
    kept_bits : int
        Leading bits ``w`` of the logarithmic stage, 2 to ``max(n, m)``: the leading one and ``w - 1`` fraction bits.
        Label letter ``w``.
    threshold_bits : int
        ``q``: operands of more than ``q`` bits are trimmed, 1 to ``max(n, m)``. Label letter ``q``.
    complement : int or None
        Sign rule (`ComplementDesign`), 1 (as published) or 2; None where no operand is signed. Label letter ``c``.

    Notes
    -----
    The published TL16-8/4 is ``tl16s_w4q8c1``.

    Error range: two-sided.

    Source: R. Pilipovic, P. Bulic, U. Lotric, "A Two-Stage Operand Trimming Approximate Logarithmic Multiplier", IEEE
    TCAS-I, 2021; the authors' C model.

    Examples
    --------
    >>> m = OperandTrimming(OperandFormat(16, True), OperandFormat(16, True), 4, 8, complement=1)
    >>> m.name, int(m(20000, 100)), int(m(-20000, 100)), int(m(1, 1))
    ('tl16s_w4q8c1', 1835008, -1835009, 1)
    """

    a: OperandFormat
    b: OperandFormat
    kept_bits: int
    threshold_bits: int
    complement: int | None = None

    family = "tl"
    letters: ClassVar[dict[str, str]] = {"w": "kept_bits", "q": "threshold_bits", "c": "complement"}

    def __post_init__(self) -> None:
        check_room(self)
        widest = max(self.a.bits, self.b.bits)
        self._check_parameter("kept_bits", 2, max(widest, 2))
        self._check_parameter("threshold_bits", 1, widest)
        self._check_complement()

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        w, low = self.kept_bits, self.threshold_bits - 1
        trimmed_a, trimmed_b = a >> (low + 1) != 0, b >> (low + 1) != 0
        a, b = np.where(trimmed_a, a >> low | 1, a), np.where(trimmed_b, b >> low | 1, b)
        mantissas = sum((fraction_bits(x, w - 1) << 1 | 1 for x in (a, b)), start=np.zeros_like(a))
        shift = low * (trimmed_a.astype(np.int64) + trimmed_b)
        product: IntArray = antilogarithm(a, b, mantissas, w) << shift
        return product
