"""``axsurrogate recipe``: what each choice of the regression recipe costs."""

from __future__ import annotations

from typing import Annotated

import typer

from catalog.cli.arguments import FormatA, FormatB, Json, Spec
from catalog.cli.console import number, percent, plain, print_json, progress
from catalog.cli.errors import users_code
from catalog.cli.grid import Grid

_COLUMNS = ("basis", "solver", "decimals", "terms", "products", "RMS fitted", "RMS rounded", "wrong", "functions")


def recipe(
    spec: Spec,
    a: FormatA = None,
    b: FormatB = None,
    terms: Annotated[
        int | None, typer.Option(metavar="K", help="Most terms of the sparse solvers, 9 if left out.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    json: Json = False,
) -> None:
    """Fit the published HTP recipe and its extensions, and show what each choice of basis, solver, decimals leaves."""
    with users_code(spec):
        from catalog import resolve
        from surrogate.fit.recipe_report import recipe_report

        multiplier = resolve(spec, a, b)
        with progress(f"{multiplier.name}: recipe") as advance:
            report = recipe_report(multiplier, terms=terms, progress=advance)
    if json:
        print_json(report.to_dict())
        return
    pairs = f"{'all' if report.every_pair else 'a grid of'} {report.n_pairs:,} pairs"
    title = f"{plain(report.name)}: RMS error {number(report.rms_error)} LSB, {pairs}"
    grid = Grid(title, [("", name) for name in _COLUMNS], frozenset({0, 1, 8}))
    for row in report.rows:
        counts = [number(row.n_terms), number(row.n_products)]
        residuals = [number(row.rms_fitted), number(row.rms_rounded), percent(row.wrong_share)]
        decimals = "all" if row.decimals is None else str(row.decimals)
        grid.rows.append((row.basis, row.solver, decimals, *counts, *residuals, row.functions))
    if markdown:
        typer.echo(grid.markdown(), nl=False)
    else:
        grid.print()
