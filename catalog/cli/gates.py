"""What a circuit is made of, in the summary of ``axsurrogate characterise``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catalog.cli.console import number, plain

if TYPE_CHECKING:
    from multipliers.multiplier import Multiplier
    from multipliers.netlist.library import Cost


def gates_of(multiplier: Multiplier, liberty: Path | None) -> Cost | None:
    """Return gates, depth and, with a Liberty file, the area of a multiplier that is a circuit; None for any other."""
    from multipliers.netlist import NetlistMultiplier
    from multipliers.netlist.library import cost
    from multipliers.readers.liberty import read_liberty

    if not isinstance(multiplier, NetlistMultiplier):
        return None
    return cost(multiplier.circuit, None if liberty is None else read_liberty(liberty))


def gate_rows(cost: Cost | None) -> list[tuple[str, str, str]]:
    """Rows of name, value and unit; none for a multiplier that is no circuit."""
    if cost is None:
        return []
    kinds = cost.cells if cost.area is not None else cost.gates
    listed = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
    rows = [
        ("  gates", number(cost.n_gates), plain(listed)),
        ("  logic depth", number(cost.depth), "gates"),
    ]
    if cost.area is not None:
        rows.append(("  area", number(cost.area), "in the library's unit"))
    return rows
