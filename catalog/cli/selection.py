"""Options that choose circuits of the catalog and of the user's library, shared by the commands of ``catalog``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.errors import CommandError

if TYPE_CHECKING:
    from catalog.circuit import Circuit
    from catalog.query import Query

Bits = Annotated[int | None, typer.Option("--bits", metavar="N", help="Both operands N bits wide.")]
OnlyA = Annotated[str | None, typer.Option("--a", metavar="FORMAT", help="Format of operand a, such as 8u or 12s.")]
OnlyB = Annotated[str | None, typer.Option("--b", metavar="FORMAT", help="Format of operand b.")]
Signed = Annotated[bool | None, typer.Option("--signed/--unsigned", help="Both operands signed, or both unsigned.")]
OnlyFamily = Annotated[str | None, typer.Option("--family", metavar="FAMILY", help="Only this family, such as drum.")]
Origin = Annotated[
    str | None, typer.Option("--origin", metavar="TEXT", help="Where it is from: catalog, or a release; as for --name.")
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="TEXT", help="Part of the name, or a pattern of it with * and ?.")
]
Least = Annotated[
    list[str] | None,
    typer.Option("--min", metavar="NAME=VALUE", help="Least value of a metric or cost, such as terms=2. Repeatable."),
]
Most = Annotated[
    list[str] | None,
    typer.Option(
        "--max",
        metavar="NAME=VALUE",
        help="Largest value of a metric or cost, such as mre=2%, wce=64 or power=300uW. Repeatable.",
    ),
]
LibraryFile = Annotated[
    Path | None,
    typer.Option(
        "--library", metavar="PATH", help="The user's library; by default that in the data directory, if there is one."
    ),
]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values, and nothing else, on stdout.")]


def check_one_form(json: bool, csv: bool) -> None:
    """Raise `CommandError` if two forms of output are asked for."""
    if json and csv:
        raise CommandError("--json and --csv exclude each other; leave one of them out")


def ranges(options: Sequence[str] | None, option: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` options.

    Raises
    ------
    CommandError
        If one is written otherwise, or two are of the same name.
    """
    found: dict[str, str] = {}
    for text in options or ():
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise CommandError(f"{option} {text}: write NAME=VALUE, such as {option} mre=2%")
        if name in found:
            raise CommandError(f"{option} gives {name} twice")
        found[name] = value
    return found


def load_circuits(library: Path | None) -> list[Circuit]:
    """Return the circuits of the catalog and of the user's library, of the default one only if it exists."""
    from catalog.measured import circuits

    return [*circuits(), *library_circuits(library)]


def library_circuits(path: Path | None) -> list[Circuit]:
    """Return the circuits of a library, of the default one only if it exists."""
    from catalog.library import Library, default_path

    if path is None:
        path = default_path()
        if not path.exists():
            return []
    with Library(path) as library:
        return library.circuits()


def choose(query: Query, circuits: Sequence[Circuit]) -> list[Circuit]:
    """Apply a query; where nothing is left, say on stderr which filter removed the last circuits."""
    found = query.select(circuits)
    if not found.circuits:
        typer.echo(f"no circuit is left: {found.emptied_by}", err=True)
    return found.circuits
