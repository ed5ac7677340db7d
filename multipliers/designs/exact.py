"""The accurate multiplier."""

from __future__ import annotations

from dataclasses import dataclass

from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class Exact(Design):
    """The accurate product ``a * b``; the baseline of every comparison.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.
    """

    a: OperandFormat
    b: OperandFormat

    family = "exact"

    def __post_init__(self) -> None:
        self._check_widths()

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return a * b
