"""``axsurrogate catalog pareto``: the best trade-offs between a metric and a cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.arguments import PICTURES, Json, check_output
from catalog.cli.console import plain, to_json
from catalog.cli.errors import CommandError
from catalog.cli.search import print_circuits, usual_columns
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
    from catalog.quantities import Quantity

SUFFIXES = (*PICTURES, ".json", ".csv")


def pareto(
    metric: Annotated[
        str, typer.Argument(metavar="METRIC", help="Such as mre, nmed or mean_error.", show_default=False)
    ],
    cost: Annotated[
        str,
        typer.Argument(
            metavar="COST",
            help="terms (exact products), power, area, delay, gates or depth; or another metric.",
            show_default=False,
        ),
    ],
    bits: Bits = None,
    a: OnlyA = None,
    b: OnlyB = None,
    signed: Signed = None,
    family: OnlyFamily = None,
    origin: Origin = None,
    name: Name = None,
    least: Least = None,
    most: Most = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print the other circuits too; those of the front are marked.")
    ] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write a file as well, by suffix: .png .svg .pdf a picture, .json or .csv all circuits with the front "
            "marked. Repeatable; replaces a file.",
        ),
    ] = None,
    library: LibraryFile = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Find the circuits that no other beats in both a metric and a cost; both are the less the better."""
    from catalog.pareto import pareto_front
    from catalog.quantities import quantity, size_of
    from catalog.query import Query, ordered

    check_one_form(json, csv)
    second, first = quantity(metric), quantity(cost)
    if first == second:
        raise CommandError(f"{metric} and {cost} are the same quantity; give two")
    targets = [check_output(path, SUFFIXES) for path in output or ()]
    query = Query(bits, a, b, signed, family, origin, name, ranges(least, "--min"), ranges(most, "--max"))
    chosen = choose(query, load_circuits(library))
    known = [c for c in chosen if not math.isnan(size_of(c, first.name) + size_of(c, second.name))]
    if chosen and not known:
        typer.echo(f"no circuit is left: of the {len(chosen)} none has both {first.name} and {second.name}", err=True)
    _warn(known, first, second)
    front = pareto_front(known, first.name, second.name)
    columns = list(dict.fromkeys([first.name, second.name, *usual_columns(known)]))
    if everything:
        shown, marked = ordered(known, first.name), front
    else:
        shown, marked = front, None
    title = f"Pareto front of {second.name} and {first.name}: {len(front)} of {len(known)} circuits"
    print_circuits(shown, columns, json, csv, title, marked)
    for target in targets:
        _write(target, known, front, (first, second))
    for path in output or ():
        typer.echo(f"wrote {plain(path)}", err=True)


def _warn(circuits: Sequence[Circuit], first: Quantity, second: Quantity) -> None:
    """Say on stderr what makes circuits hard to compare."""
    formats = {(circuit.a, circuit.b) for circuit in circuits}
    if len(formats) > 1:
        typer.echo(f"note: circuits of {len(formats)} operand formats are compared; --a 8u --b 8u keeps one", err=True)
    hardware = [q.name for q in (first, second) if q.is_cost and q.name != "terms"]
    origins = {circuit.origin for circuit in circuits}
    if hardware and len(origins) > 1:
        typer.echo(
            f"note: {' and '.join(hardware)} of {len(origins)} libraries are compared, which rest on different "
            f"technologies and tools; --origin keeps one",
            err=True,
        )


def _write(target: Path, known: Sequence[Circuit], front: Sequence[Circuit], axes: tuple[Quantity, Quantity]) -> None:
    from catalog.cli.search import to_csv
    from catalog.frame import record
    from multipliers.files import write_atomically

    first, second = axes
    suffix = target.suffix.lower()
    if suffix in PICTURES:
        from catalog.plot import pareto_figure
        from multipliers.plot import save_figure

        save_figure(pareto_figure(known, second.name, first.name), target)
        return
    on_front = {id(circuit) for circuit in front}
    rows = [{**record(circuit), "on_front": id(circuit) in on_front} for circuit in known]
    text = to_csv(rows) if suffix == ".csv" else to_json({"metric": second.name, "cost": first.name, "circuits": rows})
    write_atomically(target, text.encode())
