"""``axsurrogate study``: what multipliers do to networks, on the user's data."""

from __future__ import annotations

import typer

from catalog.cli.study import assignment, granularity, hybrid, inference, retraining

app = typer.Typer(
    name="study",
    help="What multipliers do to networks: resumable studies on your data, with tables and plots.",
    no_args_is_help=True,
)

app.command()(assignment.assignment)
app.command()(hybrid.hybrid)
app.command()(retraining.retraining)
app.command()(granularity.granularity)
app.command()(inference.inference)
