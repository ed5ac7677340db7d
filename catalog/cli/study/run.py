"""How every study tells of its progress, and of the files that it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.cli.console import print_line, progress

if TYPE_CHECKING:
    from catalog.studies.study import Told


@contextmanager
def telling(description: str) -> Iterator[Told]:
    """Show a bar while the block runs; yields what studies tell of their stages."""
    with progress(description) as advance:
        yield lambda stage, done, total: advance(done, total, stage)


def print_written(files: Iterable[Path]) -> None:
    """Say which files there are now."""
    for path in files:
        print_line(f"wrote {path}")
