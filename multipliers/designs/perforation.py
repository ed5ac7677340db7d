"""Partial product perforation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class Perforation(Design):
    """Array multiplier that never generates some successive partial products (PPP).

    With ``j = first_row`` and ``k = n_rows``, the rows ``j .. j + k - 1`` (bits of ``b``) are omitted:

        f(a, b) = a * (b & ~((2**k - 1) * 2**j))

    Zero preserving, not commutative, and of rank 1.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs. The bits of ``b`` are the rows.
    first_row : int
        Lowest omitted row, 0 to ``m``. Label letter ``j``.
    n_rows : int
        Number of omitted rows, 0 to ``m - first_row``; a signed ``b`` keeps its sign row, so the bound is one less.
        Label letter ``k``.

    Notes
    -----
    Sign rule: native two's complement. (The perforated Booth multiplier of the paper omits radix-4 rows: not this.)

    Error range: ``error = -a * 2**j * ((b >> j) mod 2**k)``, so for unsigned operands the relative error is in
    ``[-1, 0]``; NMED, over ``(2**n - 1) * (2**m - 1)``, is ``2**j * (2**k - 1) / (4 * (2**m - 1))``.

    Source: G. Zervakis, K. Tsoumanis, S. Xydis, D. Soudris, K. Pekmestzi, "Design-Efficient Approximate
    Multiplication Circuits Through Partial Product Perforation", IEEE TVLSI 24(10), 2016.

    Examples
    --------
    >>> m = Perforation(OperandFormat(8, True), OperandFormat(8, True), first_row=0, n_rows=2)
    >>> m.name, int(m(-10, 7))
    ('ppp8s_j0k2', -40)
    """

    a: OperandFormat
    b: OperandFormat
    first_row: int
    n_rows: int

    family = "ppp"
    letters: ClassVar[dict[str, str]] = {"j": "first_row", "k": "n_rows"}

    def __post_init__(self) -> None:
        self._check_widths()
        rows = self.b.bits - self.b.signed
        self._check_parameter("first_row", 0, rows)
        self._check_parameter("n_rows", 0, rows - self.first_row)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return a * (b & ~(((1 << self.n_rows) - 1) << self.first_row))
