"""``axsurrogate catalog import``: a folder of circuits into the user's library."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import number, plain, print_json, print_line, progress

if TYPE_CHECKING:
    from catalog.library.disagreements import Disagreement
    from catalog.library.importing import ImportReport

SHOWN = 20
"""Disagreements of a kind, and bad files, that are listed."""

_TITLES = {
    "swapped operands": "Files of one circuit with exchanged operands",
    "different products": "Files of one circuit that multiply differently",
    "header": "Published figures that are not what is measured",
    "releases": "Names that mean different circuits in two releases",
    "names": "Circuits with several names (no contradiction)",
}


class Wide(StrEnum):
    """How circuits of more than 2^20 operand pairs are compared."""

    sampled = "sampled"
    streamed = "streamed"


LibraryPath = Annotated[
    Path | None,
    typer.Option(
        "--library",
        metavar="FILE",
        envvar="AXSURROGATE_LIBRARY",
        help="The library, created if need be; by default one in your data directory.",
        show_default=False,
    ),
]


def import_(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="An EvoApproxLib checkout, or a folder of C and Verilog.", show_default=False
        ),
    ],
    library: LibraryPath = None,
    release: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call PATH; by default its name, and @branch in Git.")
    ] = None,
    wide: Annotated[
        Wide,
        typer.Option(
            help="How to compare circuits of more than 2^20 operand pairs; streamed (all pairs) takes minutes."
        ),
    ] = Wide.sampled,
    jobs: Annotated[int | None, typer.Option(metavar="N", help="Processes; by default one per processor.")] = None,
    run_code: Annotated[
        bool, typer.Option("--run-code/--no-run-code", help="Compile and run C files, or read Verilog only.")
    ] = True,
    json: Json = False,
) -> None:
    """Import circuits into your library: C and Verilog, with published figures and costs; tell what disagrees.

    C files are compiled and run: import only what you trust, or use --no-run-code.

    An interrupted import goes on where it was when it is started again. Files that cannot be read are told and skipped.
    """
    from catalog.library import Library
    from catalog.library.disagreements import disagreements
    from catalog.library.importing import circuit_files, import_folder
    from catalog.library.reading import LANGUAGES

    n_c = sum(LANGUAGES[file.suffix.lower()] == "c" for file in circuit_files(path))
    if run_code and n_c:
        typer.echo(f"compiling and running {n_c} C files of {plain(path)} (--no-run-code reads Verilog only)", err=True)
    with Library(library, create=True) as stored, progress(f"{path.name}: reading files") as advance:
        report = import_folder(
            path, stored, release=release, wide=wide.value, jobs=jobs, run_code=run_code, progress=advance
        )
        found = [d for d in disagreements(stored) if report.release in d.releases]
        n_circuits = len({(c.fingerprint, c.a, c.b) for c in stored.circuits() if c.origin == report.release})
        where = stored.path
    if json:
        about = {"library": str(where), "circuits": n_circuits}
        print_json({**_as_dict(report), **about, "disagreements": [asdict(d) for d in found]})
        return
    _print(report, found, n_circuits, where)


def _as_dict(report: ImportReport) -> dict[str, object]:
    failures = [{"path": plain(f.path), "message": f.message} for f in report.failures]
    left_out = [{"reason": why, "files": n} for why, n in report.left_out]
    return {**asdict(report), "folder": plain(report.folder), "failures": failures, "left_out": left_out}


def _print(report: ImportReport, found: list[Disagreement], n_circuits: int, where: Path) -> None:
    print_line(
        f"{report.release}: {number(n_circuits)} circuits in {number(report.n_files)} files; {number(report.imported)} "
        f"files imported in {report.time_s:.1f} s, {number(report.unchanged)} unchanged"
    )
    print_line(f"library: {where}")
    for why, n in report.left_out:
        print_line(f"{number(n)} files left out: {why}")
    failures = [f"{failure.path}: {' '.join(failure.message.split())[:500]}" for failure in report.failures]
    _print_list("Files that could not be read", failures)
    for kind, title in _TITLES.items():
        _print_list(
            title, [f"{'' if kind == 'names' else d.names[0] + ': '}{d.message}" for d in found if d.kind == kind]
        )


def _print_list(title: str, lines: list[str]) -> None:
    if not lines:
        return
    print_line("")
    print_line(f"{title}: {len(lines)}")
    for line in lines[:SHOWN]:
        print_line(f"  {line}")
    if len(lines) > SHOWN:
        print_line(f"  ... and {len(lines) - SHOWN} more (--json lists all)")
