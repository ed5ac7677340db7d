"""``axsurrogate show``: a stored surrogate, and whether it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import SPEC_HELP, FormatA, FormatB, Json, SurrogateFile, load_surrogate
from catalog.cli.console import print_json, print_line, progress
from catalog.cli.errors import EXIT_DIFFERS, message, users_code

if TYPE_CHECKING:
    from surrogate.model import Surrogate


def show(
    file: SurrogateFile,
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Repeat the comparison of its certificate with this multiplier; exit code 1 if it does not hold. "
            + SPEC_HELP,
        ),
    ] = None,
    a: FormatA = None,
    b: FormatB = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show its closed form: factors by named functions where they are such.")
    ] = False,
    words: Annotated[bool, typer.Option("--words", help="Say in plain words what it computes.")] = False,
    json: Json = False,
) -> None:
    """Show a stored surrogate: multiplier, formula, terms, certificate, provenance, exact lengths of dot products."""
    from catalog.cli.report import as_dict, print_surrogate, print_words
    from surrogate.export import to_words

    surrogate = load_surrogate(file)
    if explain:
        from surrogate.fit.explain import explain as write

        surrogate = write(surrogate).surrogate
    verification: dict[str, Any] | None = None
    if verify is not None:
        reason = _refuted(surrogate, file, verify, a, b)
        verification = {"against": verify, "holds": reason is None, "reason": reason}
    if json:
        terms = [term.to_dict() for term in surrogate.terms]
        told = {"words": to_words(surrogate)} if words else {}
        print_json({**as_dict(surrogate), "terms": terms, **told, "verification": verification})
    else:
        print_surrogate(surrogate)
        if words:
            print_words(surrogate)
    if verification is None:
        return
    if verification["holds"]:
        if not json:
            print_line(f"Verified: the certificate holds against {verify}.")
        return
    typer.echo(f"error: {verification['reason']}", err=True)
    raise typer.Exit(EXIT_DIFFERS)


def _refuted(surrogate: Surrogate, file: Path, spec: str, a: str | None, b: str | None) -> str | None:
    """Measure the certificate anew; return why it does not hold, None if it does."""
    from surrogate.errors import SurrogateFileError
    from surrogate.io import dumps, loads

    with users_code(spec):
        from catalog import resolve

        multiplier = resolve(spec, a, b)
        with progress(f"{multiplier.name}: comparing pairs") as advance:
            try:
                loads(dumps(surrogate), multiplier, verify=True, progress=advance, source=str(file))
            except SurrogateFileError as error:
                return message(error)
    return None
