"""What commands print: numbers, JSON, progress. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from catalog.text import number as number
from catalog.text import percent as percent
from catalog.text import plain as plain

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 10_000
"""Columns of an output that is no terminal: a record is one line there."""


def stdout() -> Console:
    """Console for results."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Console for progress."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    width = None if stream.isatty() or os.environ.get("COLUMNS") else WIDE
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def print_json(data: Any) -> None:
    """Print data as JSON on stdout."""
    typer.echo(to_json(data), nl=False)


def to_json(data: Any) -> str:
    """Return data as indented JSON text that ends in a line break; NaN is null."""
    from multipliers.records import json_safe

    def safe(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [safe(v) for v in value]
        return {k: safe(v) for k, v in value.items()} if isinstance(value, dict) else json_safe(value)

    return json.dumps(safe(data), indent=2, allow_nan=False) + "\n"


def print_line(text: str) -> None:
    """Print a line as it is, however long."""
    typer.echo(plain(text))


@contextmanager
def progress(description: str) -> Iterator[Callable[..., None]]:
    """Show a bar on stderr while the block runs, on a terminal only.

    Yields ``progress(done, in_all, description)``; the description may be left out and then stays.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = stderr()
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(plain(description), total=None)

        def advance(done: int, in_all: int, now: str = description) -> None:
            bar.update(task, completed=done, total=in_all, description=plain(now))

        yield advance
