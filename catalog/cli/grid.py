"""Tables of text, for the terminal or in Markdown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from catalog.cli.console import WIDE, stdout

if TYPE_CHECKING:
    from rich.table import Table

_LONG_WORD = 32
"""Words of text beyond this length may be folded."""

_ASCII_LINES = "    \n    \n -- \n    \n    \n    \n    \n    \n"
"""Rich's pattern of a box that has a rule below the head only."""


@dataclass
class Grid:
    """A table of text.

    Attributes
    ----------
    title : str
        Heading, ``""`` for none.
    columns : sequence of (str, str)
        Names, each ``(group, name)``; an empty group for none. No head is printed where all names are empty.
    text_columns : set of int
        Columns aligned to the left; the others hold numbers.
    rows : list of sequence of str
        A row with nothing but a first cell is a heading.
    """

    title: str
    columns: Sequence[tuple[str, str]]
    text_columns: frozenset[int] = frozenset({0})
    rows: list[Sequence[str]] = field(default_factory=list)

    def print(self) -> None:
        """Print it on stdout: text is folded to the width of a terminal, labels and numbers stay in one piece."""
        from rich.measure import Measurement
        from rich.text import Text

        console, table = stdout(), self._table()
        needed = Measurement.get(console, console.options.update(width=WIDE), table).minimum
        console.width = max(console.width, needed)
        with console.capture() as captured:
            console.print(table, crop=False)
        if self.title:
            console.print(Text(self.title, style="bold"))
        lines = [line.rstrip() for line in captured.get().splitlines()]  # not padded: easier to paste
        printed = [i for i, line in enumerate(lines) if line]
        if printed:
            typer.echo("\n".join(lines[printed[0] : printed[-1] + 1]))

    def _table(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        lines = box.SIMPLE_HEAD if unicode else box.Box(_ASCII_LINES, ascii=True)
        headed, grouped = any(name for _, name in self.columns), any(group for group, _ in self.columns)
        table = Table(box=lines if headed else None, show_header=headed, pad_edge=False, padding=(0, 1, 0, 0))
        for i, (group, name) in enumerate(self.columns):
            head = f"{group}\n{name}" if grouped else name
            left = i in self.text_columns
            table.add_column(
                Text(head, style="bold"),
                justify="left" if left else "right",
                overflow="fold",
                no_wrap=not left,
                min_width=_least_width([*head.split("\n"), *(row[i] for row in self.rows)], left),
            )
        for i, row in enumerate(self.rows):
            heading = len(row) > 1 and not any(row[1:])
            if heading and i:
                table.add_row()
            table.add_row(*(Text.assemble((cell, "bold" if heading else "")) for cell in row))
        return table

    def markdown(self) -> str:
        """Return it as a Markdown table."""
        names = [f"{group}: {name}" if group else name for group, name in self.columns]
        rules = ["---" if i in self.text_columns else "---:" for i in range(len(names))]
        cells = [
            [cell.strip().replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in [names, *self.rows]
        ]
        cells.insert(1, rules)
        return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _least_width(cells: Sequence[str], text: bool) -> int:
    """Width below which a column is not folded: its longest number, or in text its longest word of usual length."""
    from rich.cells import cell_len

    if text:
        return max((min(cell_len(word), _LONG_WORD) for cell in cells for word in cell.split()), default=0)
    return max(map(cell_len, cells), default=0)
