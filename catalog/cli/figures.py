"""Published figures as a table whose sources are numbered below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from catalog.cli.console import number
from catalog.cli.grid import Grid

if TYPE_CHECKING:
    from catalog import Figure

_STATUSES = {"V": "", "R": " (recalled from the source)", "A": " (analytic)"}


def print_figures(
    figures: Sequence[Figure],
    measured: Sequence[float] | None = None,
    heading: str = "",
    verdicts: Sequence[str] | None = None,
) -> None:
    """Print figures, with what was measured in their units under ``heading`` if given, and verdicts on them."""
    names = ["metric", "published", "unit", "source"]
    if measured is not None:
        names[2:2] = [heading, "agrees" if verdicts is None else "verdict"]
    text = frozenset(i for i, name in enumerate(names) if name not in ("published", heading))
    grid = Grid("Published figures", [("", name) for name in names], text)
    sources: dict[str, int] = {}
    for i, figure in enumerate(figures):
        source = figure.source + (f"; {figure.note}" if figure.note else "") + _STATUSES[figure.status]
        row = [figure.metric, figure.value, figure.unit, f"[{sources.setdefault(source, len(sources) + 1)}]"]
        if measured is not None:
            row[2:2] = [
                number(measured[i]),
                number(agrees(figure, measured[i])) if verdicts is None else verdicts[i],
            ]
        grid.rows.append(row)
    grid.print()
    Grid("", [("", ""), ("", "")], frozenset({0, 1}), [(f"[{n}]", source) for source, n in sources.items()]).print()


def agrees(figure: Figure, value: float) -> bool:
    """Whether a measured value rounds to the printed one; a difference that the catalog explains stays one."""
    return figure.measured is None and figure.agrees(value)
