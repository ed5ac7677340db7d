"""The report: every bar, measured and checked for exactness: ``python -m benchmarks.report``.

Every ratio is to torch's float32 operation of the same shape, in one process, run just before; medians over the rounds.
"""

from __future__ import annotations

import fnmatch
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.breakdown import breakdown
from benchmarks.experiments import kernel
from benchmarks.layout import as_markdown, as_table
from benchmarks.machine import cores, machine
from benchmarks.oracle import InexactError
from benchmarks.rows import ROWS, Row
from benchmarks.timing import Effort, Ratio, interleaved
from benchmarks.workloads import FULL, TINY, Size
from surrogate.nn.native import available_kernels


@dataclass(frozen=True)
class Result:
    """A row, measured.

    Attributes
    ----------
    row : Row
    ratios : dict
        By number of threads, then by part: ``"whole"`` and, of single operations, ``"sums"``.
    checked : int
        Outputs that were compared with the oracle, and equal it.
    """

    row: Row
    ratios: dict[int, dict[str, Ratio]]
    checked: int

    def met(self, part: str = "whole") -> bool:
        """Whether a part keeps the bar with every number of threads."""
        return self.row.bar is not None and all(found[part].median <= self.row.bar for found in self.ratios.values())

    def to_dict(self) -> dict[str, object]:
        """Describe by plain values."""
        ratios = {str(n): {part: asdict(ratio) for part, ratio in found.items()} for n, found in self.ratios.items()}
        row = {field.name: getattr(self.row, field.name) for field in fields(self.row) if field.name != "build"}
        return {**row, "ratios": ratios, "checked": self.checked}


def measure(row: Row, size: Size, threads: Sequence[int], effort: Effort) -> Result:
    """Check a row's exactness, and time it, with each number of threads.

    Raises
    ------
    InexactError
        If an output differs from the oracle.
    """
    before = torch.get_num_threads()
    rng = np.random.default_rng(0)
    ratios: dict[int, dict[str, Ratio]] = {}
    checked = 0
    try:
        with kernel(row.kernel):
            experiment = row.build(size)
            for n in threads:
                torch.set_num_threads(n)
                checked += sum(subject.check(rng) for subject in experiment.subjects.values())
                runs = {part: subject.run for part, subject in experiment.subjects.items()}
                ratios[n] = interleaved(experiment.baseline, runs, effort)
    except InexactError as error:
        raise InexactError(f"{row.key}: {error}") from error
    finally:
        torch.set_num_threads(before)
    return Result(row, ratios, checked)


def selected(patterns: str) -> list[Row]:
    """Rows whose names match any of some shell patterns, separated by commas.

    Raises
    ------
    typer.BadParameter
        If none does.
    """
    found = [row for row in ROWS if any(fnmatch.fnmatchcase(row.key, p.strip()) for p in patterns.split(","))]
    if not found:
        raise typer.BadParameter(f"{patterns!r} matches no row; rows: {', '.join(row.key for row in ROWS)}")
    return found


def main(
    only: Annotated[str, typer.Option(help="Rows to measure: shell patterns, separated by commas.")] = "*",
    threads: Annotated[str, typer.Option(help="Numbers of threads, separated by commas.")] = "",
    seconds: Annotated[float, typer.Option(help="Time of a measurement, at least 7 rounds.")] = Effort.seconds,
    quick: Annotated[bool, typer.Option(help="Tiny shapes and two rounds: does everything run, and exactly?")] = False,
    processor_time: Annotated[
        bool, typer.Option(help="Time one thread by the processor's time: for a busy machine.")
    ] = False,
    profile: Annotated[bool, typer.Option(help="Show where the time of each row goes, on one thread.")] = False,
    markdown: Annotated[bool, typer.Option(help="Print the table of the README.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to a file.")] = None,
) -> None:
    """Measure approximate layers beside torch's float32 operations, checking every one for exactness."""
    console, progress_console = Console(width=None if Console().is_terminal else 160), Console(stderr=True)
    size, effort = (TINY, Effort(2, 0.0)) if quick else (FULL, Effort(seconds=seconds))
    counts = [int(n) for n in threads.split(",")] if threads else [n for n in (1, 2) if n <= cores()]
    rows = selected(only)
    if processor_time:
        counts, effort = [1], replace(effort, clock=time.process_time)
    if quick:
        rows = [replace(row, bar=None) for row in rows]  # bars are for the shapes that the rows name
    if profile:
        for row in rows:
            with kernel(row.kernel):
                console.print(breakdown(row.key, row.build(size)))
        return
    missing = {row.kernel for row in rows} - {"", *available_kernels()}
    for name in missing:
        progress_console.print(f"the kernel {name} cannot run here and is left out; `axsurrogate doctor` says why")
    results = []
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress_console) as progress:
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=row.key)
            if row.kernel not in missing:
                results.append(measure(row, size, counts, effort))
            progress.advance(task)
    if json_file is not None:
        document = {"machine": machine(), "tiny": quick, "results": [result.to_dict() for result in results]}
        json_file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if markdown:
        typer.echo(as_markdown(results, counts))
    else:
        console.print(as_table(results, counts, "tiny shapes, not those named" if quick else machine()))


if __name__ == "__main__":
    typer.run(main)
