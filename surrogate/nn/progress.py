"""Progress of long work: a bar on the terminal, or a function that is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import length_hint
from typing import Any

Progress = Callable[[int], None] | bool | None
"""``function(batches_done)`` to call, True to show a bar, or neither."""


@contextmanager
def reporting(progress: Progress, description: str, batches: Iterable[Any]) -> Iterator[Callable[[int], None]]:
    """Yield the function to call with the number of batches that are done.

    A bar goes to standard error while the block runs, if that is a terminal or a notebook: never into files and pipes,
    unless the environment says that they are terminals (``FORCE_COLOR``, which rich obeys). It shows how many batches
    there are in all where these know their length.

    Examples
    --------
    >>> with reporting(print, "calibrating", [1, 2]) as report:
    ...     report(1)
    1
    """
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    shown = console.is_terminal or console.is_jupyter
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(description, total=length_hint(batches) or None)
        yield lambda done: bar.update(task, completed=done)
