"""The broken array multiplier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class BrokenArray(Design):
    """Array multiplier without the partial-product dots right of and above two break levels (BAM).

    With the bits ``a_i`` and ``b_j`` and their weights ``w_i = 2**i`` (the sign bit of a two's-complement operand of
    ``n`` bits weighs ``-2**(n-1)``),

        f(a, b) = sum of w_i * w_j * a_i * b_j  over  j >= hbl  and  i + j >= vbl

    Nothing compensates for the omitted dots. Zero preserving; not commutative where ``0 < hbl``.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs. The bits of ``b`` are the rows of the array.
    hbl : int
        Horizontal break level: rows of ``b`` omitted, 0 to ``m - 1``. Label letter ``h``.
    vbl : int
        Vertical break level: columns omitted, from 0 to ``n + m - 2`` for unsigned operands; at most ``n - 1`` where
        ``a`` is signed and ``m - 1`` where ``b`` is, so that no omitted column holds a dot of negative weight.
        Label letter ``v``.

    Notes
    -----
    Sign rule: native (Baugh-Wooley array). The vertical break removes positive dots only: the exact signed product
    less ``sum a_i b_j 2**(i+j)`` over ``i + j < vbl``. The horizontal break removes whole rows with their sign dot,
    ``a * b_j * 2**j``, as in `Perforation`.

    Error range: for ``hbl = 0`` the error is in ``[-((vbl - 1) * 2**vbl + 1), 0]`` (the lower bound is reached while
    ``vbl <= min(n, m)``), and in either direction for a signed ``a`` and ``hbl > 0``. The relative error of unsigned
    operands is in ``[-1, 0]``.

    Source: H. R. Mahdiani, A. Ahmadi, S. M. Fakhraie, C. Lucas, "Bio-Inspired Imprecise Computational Blocks for
    Efficient VLSI Implementation of Soft-Computing Applications", IEEE TCAS-I 57(4), 2010.

    Examples
    --------
    >>> m = BrokenArray(OperandFormat(8), OperandFormat(8), hbl=0, vbl=2)
    >>> m.name, int(m(3, 3))
    ('bam8u_h0v2', 4)
    """

    a: OperandFormat
    b: OperandFormat
    hbl: int
    vbl: int

    family = "bam"
    letters: ClassVar[dict[str, str]] = {"h": "hbl", "v": "vbl"}

    def __post_init__(self) -> None:
        self._check_widths()
        self._check_parameter("hbl", 0, self.b.bits - 1)
        columns = [self.a.bits + self.b.bits - 2] + [x.bits - 1 for x in (self.a, self.b) if x.signed]
        self._check_parameter("vbl", 0, min(columns))

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        whole = max(self.hbl, self.vbl)  # rows from here on lose no dot
        product = a * (b & ~((1 << whole) - 1))
        for row in range(self.hbl, min(self.vbl, self.b.bits)):
            kept = a & ~((1 << (self.vbl - row)) - 1)
            product = product + (kept << row) * ((b >> row) & 1)
        return product
