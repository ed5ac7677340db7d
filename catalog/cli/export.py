"""``axsurrogate export``: a surrogate as source code or formula."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.arguments import check_output
from catalog.cli.console import plain
from catalog.cli.errors import CommandError


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A surrogate, from discover -o.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="python, c, sympy, latex or words.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Write here instead of stdout; replaces a file."),
    ] = None,
) -> None:
    """Write a surrogate as NumPy source, a C header, SymPy source or a LaTeX formula."""
    from surrogate.export import TARGETS
    from surrogate.export import export as write
    from surrogate.io import load

    if to not in TARGETS:
        raise CommandError(f"unknown target {to!r}; choose one of {', '.join(TARGETS)}")
    target = None if output is None or str(output) == "-" else check_output(output, ())
    surrogate = load(file)
    if target is None:
        typer.echo(TARGETS[to].write(surrogate), nl=False)
    else:
        write(surrogate, to, target)
        typer.echo(f"wrote {plain(output)}", err=True)
