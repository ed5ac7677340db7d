"""What every writer of foreign tables needs: refusals that say what the format holds."""

from __future__ import annotations

from multipliers.errors import TableError
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray
from multipliers.readers.layout import refuse_outside

INT16 = (-(1 << 15), (1 << 15) - 1)
INT32 = (-(1 << 31), (1 << 31) - 1)


def require(multiplier: Multiplier, allowed: bool, holds: str) -> None:
    """Raise TableError unless a format can hold the operands."""
    if not allowed:
        raise TableError(
            f"{multiplier.name} has {multiplier.a} x {multiplier.b} operands, but {holds}; "
            f"choose another format, such as csv"
        )


def in_range(table: IntArray, limits: tuple[int, int], holder: str) -> IntArray:
    """Return the table after checking that each number fits the field that holds it."""
    refuse_outside(table, *limits, holder)
    return table


def is_8x8(multiplier: Multiplier) -> bool:
    """Whether both operands have eight bits and the same sign."""
    return multiplier.a == multiplier.b and multiplier.a.bits == 8


def numbers(table: IntArray, separator: str) -> str:
    """Lines of numbers, a row each."""
    return "".join(separator.join(map(str, row)) + "\n" for row in table.tolist())
