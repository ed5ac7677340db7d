"""``axsurrogate costs``: what simulation costs on the machine at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.arguments import Json, check_output
from catalog.cli.console import number, plain, print_json, print_line, progress
from catalog.cli.errors import CommandError
from catalog.cli.grid import Grid

_KINDS = ("int8", "float32", "float64")


def costs(
    features: Annotated[int, typer.Option(metavar="N", help="Inputs and outputs of the linear layer.")] = 512,
    rows: Annotated[int, typer.Option(metavar="N", help="Rows of its input.")] = 512,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Where to measure: cpu, cuda, ...")] = "cpu",
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of PyTorch on a processor.")] = 1,
    repetitions: Annotated[int, typer.Option(metavar="N", help="Runs, of which the median counts.")] = 7,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.json", help="Write the costs, for discover --costs FILE.json."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure what a layer costs by each way of simulating it, in multiples of the accurate float32 layer."""
    from surrogate.nn import measure_costs

    target = None if output is None else check_output(output, (".json",))
    try:
        with progress("measuring"):
            found = measure_costs(features=features, rows=rows, device=device, threads=threads, repetitions=repetitions)
    except (ValueError, RuntimeError, AssertionError) as error:  # torch's, of a device that is not there
        raise CommandError(str(error).splitlines()[0]) from None
    if target is not None:
        found.save(target)
    if json:
        print_json(asdict(found))
    else:
        lines: list[Sequence[str]] = [
            ("base: quantising, rescaling, lookups", number(round(found.base, 4))),
            *((f"each product in {kind}", number(round(getattr(found, kind), 4))) for kind in _KINDS),
            ("table, any rank", number(round(found.table, 4))),
        ]
        Grid("Cost of a layer, in multiples of the accurate float32 layer", [("", ""), ("", "")], rows=lines).print()
        print_line(f"({found.shape})")
    if output is not None:
        typer.echo(f"wrote {plain(output)}", err=True)
