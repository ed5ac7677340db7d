"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.errors import CommandError

if TYPE_CHECKING:
    from multipliers.readers.circuits import ReaderOptions
    from surrogate.model import Surrogate

SurrogateFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A surrogate, from discover -o; or the name of one that the catalog carries, such as drum8u_k4.",
        show_default=False,
    ),
]
PICTURES = (".png", ".svg", ".pdf")
"""Suffixes of pictures."""

SPEC_HELP = (
    "A label (drum8u_k4), a table (.npz, .csv, .txt, ...), a circuit (.v, .blif, .aig, ...), "
    "one of your library (library:NAME), C source or module:function (these run their code)."
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
Top = Annotated[str | None, typer.Option(metavar="NAME", help="Top module of Verilog, or model of BLIF.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="Parameter of the top module of Verilog. Repeatable."),
]
Sources = Annotated[
    list[Path] | None, typer.Option("--source", metavar="FILE", help="Further Verilog file of the design. Repeatable.")
]
Include = Annotated[
    list[Path] | None, typer.Option("--include", metavar="FOLDER", help="Folder of included Verilog files. Repeatable.")
]
Liberty = Annotated[
    Path | None,
    typer.Option(
        "--liberty", metavar="FILE", help="Library of standard cells: a circuit is mapped to it for its area."
    ),
]
Ports = Annotated[
    str | None, typer.Option("--ports", metavar="A,B[,O]", help="Ports that are operand a, operand b and the product.")
]
Function = Annotated[str | None, typer.Option("--function", metavar="NAME", help="Function of C source.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


def load_weights(path: Path | None, operand: str) -> Any:
    """Read a distribution; its values are checked where it is used."""
    from multipliers.readers.weights import read_weights

    return None if path is None else read_weights(path, operand)


def reader_options(
    top: str | None,
    parameters: list[str] | None,
    sources: list[Path] | None,
    include: list[Path] | None,
    liberty: Path | None,
    ports: str | None,
    function: str | None,
) -> ReaderOptions:
    """Collect the options of readers.

    Raises
    ------
    CommandError
        If a parameter is no ``NAME=VALUE``, or ports are not two or three names.
    """
    from multipliers.readers.circuits import ReaderOptions

    pairs = [text.partition("=") for text in parameters or ()]
    wrong = [text for text, (name, _, value) in zip(parameters or (), pairs, strict=True) if not name or not value]
    if wrong:
        raise CommandError(f"--param {wrong[0]!r} is no NAME=VALUE; write for example --param N=8")
    names = None if ports is None else tuple(name.strip() for name in ports.split(","))
    if names is not None and (len(names) not in (2, 3) or not all(names)):
        raise CommandError(f"--ports {ports!r} are not two or three names; write for example --ports a,b,o")
    values = {name.strip(): value for name, _, value in pairs}
    return ReaderOptions(top, values, tuple(sources or ()), tuple(include or ()), liberty, names, function)


def load_surrogate(file: Path) -> Surrogate:
    """Read a surrogate from a file, or where there is no such file, one that the catalog carries under this name."""
    from catalog.shipped import surrogate, surrogates
    from surrogate.io import load

    name = str(file)
    return surrogate(name) if not file.exists() and (name in surrogates() or surrogates(name)) else load(file)


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
