"""How the report is shown: a table for the terminal, and the README's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.report import Result

_PARTS = ("sums", "whole")


def header(threads: Sequence[int]) -> list[str]:
    """Names of the columns."""
    counted = [f"{n} thread{'s' if n > 1 else ''}" for n in threads]
    ratios = [f"{part}, {count}" for count in counted for part in _PARTS]
    return ["operation", "circuit", "published tools", "bar", *ratios, "verdict"]


def cells(result: Result, threads: Sequence[int]) -> list[str]:
    """Text of a result's cells."""
    ratios = [
        f"{result.ratios[n][part].median:.2f}" if part in result.ratios[n] else "" for n in threads for part in _PARTS
    ]
    bar = "" if result.row.bar is None else f"{result.row.bar:g}"
    return [result.row.operation, result.row.circuit, result.row.published, bar, *ratios, verdict(result)]


def verdict(result: Result) -> str:
    """Whether the bar is kept: by the whole operation, by its integer sums alone, or not."""
    if result.row.bar is None:
        return ""
    if result.met():
        return "met"
    single = all("sums" in found for found in result.ratios.values())
    return "sums only" if single and result.met("sums") else "not met"


def as_table(results: Sequence[Result], threads: Sequence[int], title: str) -> Table:
    """Lay results out for the terminal."""
    table = Table(title=f"Time as a multiple of torch's float32 operation ({title})")
    for name in header(threads):
        numeric = name == "bar" or "thread" in name
        table.add_column(name, justify="right" if numeric else "left")
    for result in results:
        table.add_row(*cells(result, threads))
    return table


def as_markdown(results: Sequence[Result], threads: Sequence[int]) -> str:
    """Lay results out for the README."""
    names = header(threads)
    rules = ["---:" if name == "bar" or "thread" in name else "---" for name in names]
    lines = [names, rules, *(cells(result, threads) for result in results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
