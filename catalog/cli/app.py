"""The application: its commands and what all of them share."""

from __future__ import annotations

from typing import Annotated

import typer

from catalog.cli import characterise, costs, demo, discover, doctor, entries, export, recipe, show, study, sweep
from catalog.cli.errors import Commands
from multipliers.release import release

EPILOG = "Exit codes: 0 done; 1 a surrogate does not hold (show --verify); 2 an error; 130 interrupted."

app = typer.Typer(
    cls=Commands,
    name="axsurrogate",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"axsurrogate {release()}")
        raise typer.Exit


@app.callback()
def axsurrogate(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="AXSURROGATE_DEBUG", help="Show the traceback of every error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Approximate multipliers: characterise them, discover fast surrogates, export and compare these."""


app.command()(characterise.characterise)
app.command()(discover.discover)
app.command()(sweep.sweep)
app.command()(costs.costs)
app.command()(doctor.doctor)
app.command()(recipe.recipe)
app.command()(show.show)
app.command()(export.export)
app.command()(demo.demo)
app.add_typer(entries.app, name="catalog")
app.add_typer(study.app, name="study")
