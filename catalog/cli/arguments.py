"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.cli.errors import CommandError

SPEC_HELP = (
    "A label (drum8u_k4), a table (.npz, .csv, .txt, ...), a circuit (.v, .blif, .aig, ...), "
    "C source or module:function (these run their code)."
)

Spec = Annotated[str, typer.Argument(metavar="SPEC", help=SPEC_HELP, show_default=False)]
Specs = Annotated[list[str], typer.Argument(metavar="SPEC...", help=SPEC_HELP, show_default=False)]
FormatA = Annotated[
    str | None,
    typer.Option("--a", metavar="FORMAT", help="Format of operand a, such as 8s or 12u; needed for a function."),
]
FormatB = Annotated[
    str | None, typer.Option("--b", metavar="FORMAT", help="Format of operand b; that of a if left out.")
]
WeightsA = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Distribution of operand a: .npy with a weight per value, from the smallest value up, or .npz of a layer.",
    ),
]
WeightsB = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Distribution of operand b."),
]
Sample = Annotated[int | None, typer.Option(metavar="N", help="Compare N random operand pairs instead of all.")]
EveryPair = Annotated[
    bool, typer.Option("--every-pair", help="Compare every pair of wide operands too (2^32 pairs take minutes).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


def load_weights(path: Path | None, operand: str) -> Any:
    """Read a distribution; its values are checked where it is used."""
    from multipliers.readers.weights import read_weights

    return None if path is None else read_weights(path, operand)


def check_output(path: Path, suffixes: tuple[str, ...]) -> Path:
    """Return where to write, before any work is done.

    A file there is replaced, once the new one is complete; a symbolic link stays and its target is replaced.

    Raises
    ------
    CommandError
        If the suffix is none of ``suffixes`` (where these are given), the folder does not exist, or something that is
        no ordinary file has this name.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise CommandError(f"cannot write {str(path)!r}: the name must end in {', '.join(suffixes)}")
    if path.is_dir():
        raise CommandError(f"cannot write {str(path)!r}: it is a folder; give the name of a file")
    target = path.resolve()
    if str(path).startswith(("/dev/", "/proc/")) or (path.exists() and not path.is_file()):
        raise CommandError(f"cannot write {str(path)!r}: it is no ordinary file; give the name of one")
    if not target.parent.is_dir():
        raise CommandError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}; create it first")
    return target
