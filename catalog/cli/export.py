"""``axsurrogate export``: a surrogate as source code, formula or graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from catalog.cli.arguments import SurrogateFile, check_output, load_surrogate
from catalog.cli.console import plain
from catalog.cli.errors import CommandError


def export(
    file: SurrogateFile,
    to: Annotated[
        str, typer.Option("--to", metavar="TARGET", help="python, c, sympy, latex, words, onnx or torchapprox.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Write here instead of stdout; replaces a file."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="onnx, torchapprox: evaluate the file on every operand pair first.")
    ] = False,
) -> None:
    """Write a surrogate as source code, a formula, an ONNX graph or TorchApprox coefficients."""
    from surrogate.export import TARGETS, export_bytes
    from surrogate.export import export as write

    if to not in TARGETS:
        raise CommandError(f"unknown target {to!r}; choose one of {', '.join(TARGETS)}")
    path = None if output is None or str(output) == "-" else check_output(output, ())
    if path is None and not TARGETS[to].is_text and sys.stdout.isatty():
        raise CommandError(f"{to} files are binary, not for a terminal; give -o FILE{TARGETS[to].suffix}")
    surrogate = load_surrogate(file)
    if path is None:
        typer.echo(export_bytes(surrogate, to, verify=verify), nl=False)
    else:
        write(surrogate, to, path, verify=verify)
        typer.echo(f"wrote {plain(output)}", err=True)
