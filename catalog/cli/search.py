"""``axsurrogate catalog search``: circuits by formats, names, metrics and costs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import plain, print_json
from catalog.cli.grid import Grid
from catalog.cli.selection import (
    Bits,
    Csv,
    Least,
    LibraryFile,
    Most,
    Name,
    OnlyA,
    OnlyB,
    OnlyFamily,
    Origin,
    Signed,
    check_one_form,
    choose,
    load_circuits,
    ranges,
)

if TYPE_CHECKING:
    from catalog.circuit import Circuit

USUAL = ("mre", "nmed", "wce", "error_probability", "terms")
"""Metrics and costs that are printed unasked; hardware costs too, where any circuit has them."""


def search(
    bits: Bits = None,
    a: OnlyA = None,
    b: OnlyB = None,
    signed: Signed = None,
    family: OnlyFamily = None,
    origin: Origin = None,
    name: Name = None,
    least: Least = None,
    most: Most = None,
    sort: Annotated[
        str | None, typer.Option(metavar="NAME", help="Metric or cost to sort by, the least first; or name.")
    ] = None,
    descending: Annotated[bool, typer.Option("--descending", help="Sort the largest first.")] = False,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Print the first N circuits only.")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Metrics and costs to print instead of the usual ones.")
    ] = None,
    library: LibraryFile = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Find circuits by formats, family, name, and ranges of metrics and costs.

    Metrics: mre, nmed, mae, wce, mean_error, error_probability, ... Costs: terms (exact products), and of a library's
    circuits power, area, delay, gates, depth. Fractions may be written in per cent.
    """
    from catalog.quantities import quantity
    from catalog.query import Query, ordered

    check_one_form(json, csv)
    query = Query(bits, a, b, signed, family, origin, name, ranges(least, "--min"), ranges(most, "--max"))
    shown = [quantity(column).name for column in columns.split(",")] if columns else None
    found = ordered(choose(query, load_circuits(library)), sort, descending, limit)
    if shown is None:
        asked = [*query.minimum, *query.maximum, *([sort] if sort not in (None, "name") else [])]
        shown = usual_columns(found, asked)
    print_circuits(found, shown, json, csv)


def usual_columns(circuits: Sequence[Circuit], asked: Iterable[str] = ()) -> list[str]:
    """Return the usual columns, those of costs that any circuit has, and those asked for."""
    from catalog.circuit import COSTS
    from catalog.quantities import quantity

    costs = [cost for cost in COSTS if any(cost in circuit.costs for circuit in circuits)]
    return list(dict.fromkeys([*USUAL, *costs, *(quantity(name).name for name in asked)]))


def print_circuits(
    circuits: Sequence[Circuit],
    columns: Sequence[str],
    json: bool = False,
    csv: bool = False,
    title: str = "",
    marked: Iterable[Circuit] | None = None,
) -> None:
    """Print circuits on stdout, as a table, JSON or comma-separated values.

    With ``marked``, a column says which of the circuits these are.
    """
    from catalog.frame import record
    from catalog.quantities import quantity, text_of

    marks = None if marked is None else {id(circuit) for circuit in marked}
    if json or csv:
        rows = [{**record(c), **({} if marks is None else {"on_front": id(c) in marks})} for c in circuits]
        if json:
            print_json(rows)
        else:
            typer.echo(to_csv(rows), nl=False)
        return
    if not circuits:
        return
    several = len({circuit.origin for circuit in circuits}) > 1
    heads = ["name", "operands", *(["origin"] if several else []), "pairs", *(quantity(c).title for c in columns)]
    n_text = len(heads) - len(columns)
    grid = Grid(title, [("", head) for head in ([] if marks is None else ["front"]) + heads])
    first = 0 if marks is None else 1
    grid.text_columns = frozenset(range(n_text + first))
    for circuit in circuits:
        cells = [plain(circuit.name), f"{circuit.a} x {circuit.b}", *([plain(circuit.origin)] if several else [])]
        cells += ["drawn" if circuit.comparison == "sampled" else "all", *(text_of(circuit, c) for c in columns)]
        grid.rows.append(cells if marks is None else ["*" if id(circuit) in marks else "", *cells])
    grid.print()


def to_csv(rows: Sequence[dict[str, object]]) -> str:
    """Write records as comma-separated values; what is not known is empty."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows
        )
    return text.getvalue()
