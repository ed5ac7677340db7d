"""``axsurrogate discover --front``: error against the number of products, in a table and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from catalog.cli.console import number, percent, plain
from catalog.cli.grid import Grid

if TYPE_CHECKING:
    from catalog.front_plot import Point
    from multipliers.multiplier import Multiplier
    from surrogate.fit.front import Front
    from surrogate.fit.gain import WeightingGain
    from surrogate.model import Surrogate


_SHOWN = (*range(9), 10, 12, 15, 16, 20, 24, 31, 32, 48, 63, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Numbers of products that the table shows; JSON has all of them."""


@dataclass(frozen=True)
class FrontReport:
    """The front of one multiplier, and what is marked on it.

    Attributes
    ----------
    spec : str
        What the user called the multiplier.
    front : Front
    recipe : Point or None
        The published recipe's surrogate; None where the recipe fails.
    chosen : Point or None
        The surrogate that was found, if one was asked for.
    gain : WeightingGain or None
        Where distributions are given.
    """

    spec: str
    front: Front
    recipe: Point | None
    chosen: Point | None
    gain: WeightingGain | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""

        def point(of: Point | None) -> dict[str, Any] | None:
            return None if of is None else {"products": of.products, "rms_residual": of.residual}

        return {
            "spec": self.spec,
            **self.front.to_dict(),
            "shares": self.front.shares.tolist(),
            "recipe": point(self.recipe),
            "chosen": point(self.chosen),
            "fitted_without_distributions": None if self.gain is None else self.gain.uniform.tolist(),
        }


def front_report(
    spec: str, multiplier: Multiplier, weights_a: Any, weights_b: Any, chosen: Surrogate | None, label: str
) -> FrontReport:
    """Compute the front, what the published recipe reaches, and what weighting gains."""
    from catalog.front_plot import Point
    from surrogate import FitError, discover, front
    from surrogate.fit.gain import rms_residual, weighting_gain

    weighted = weights_a is not None or weights_b is not None

    def point(name: str, found: Surrogate) -> Point:
        # the certificate is of uniform operands, and has more pairs
        own = found.certificate.rms_residual if found.certificate is not None and not weighted else None
        residual = rms_residual(found, multiplier, weights_a, weights_b) if own is None else own
        return Point(name, found.n_products, residual)

    curve = front(multiplier, weights_a, weights_b)
    most = min(len(curve.residuals) - 1, 64)
    gain = weighting_gain(multiplier, weights_a, weights_b, most=most) if weighted and most else None
    try:
        recipe = point("published recipe (HTP)", discover(multiplier, "htp"))
    except FitError:
        recipe = None
    return FrontReport(spec, curve, recipe, None if chosen is None else point(label, chosen), gain)


def print_front(report: FrontReport, markdown: bool) -> None:
    """Print residuals by number of products, then where the recipe and the chosen surrogate lie."""
    front, gain = report.front, report.gain
    columns = [("", "products"), ("", "RMS residual (LSB)"), ("", "of the error")]
    if gain is not None:
        columns += [("", "without distributions (LSB)"), ("", "gain")]
    grid = Grid(f"Front of {plain(front.name)}: what the best surrogates leave", columns, frozenset())
    nothing = 1e-9 * max(front.error, float(front.residuals[0]), 1e-300)
    last = int((front.residuals > nothing).sum())  # the first that leaves nothing, if any does
    for k, residual in enumerate(front.residuals):
        if k > last or (k not in _SHOWN and k != last):
            continue
        left = 0.0 if residual <= nothing else float(residual)
        row = [number(k), number(left), "-" if front.error == 0 else percent(left / front.error)]
        if gain is not None:
            known = k < len(gain.uniform)
            row += [number(float(gain.uniform[k])), f"{gain.gains[k]:.2f}"] if known and left else ["-", "-"]
        grid.rows.append(row)
    if markdown:
        typer.echo(grid.markdown(), nl=False)
    else:
        grid.print()
    for point in (report.recipe, report.chosen):
        if point is not None:
            share = "" if front.error == 0 else f", {percent(point.residual / front.error)} of the error"
            left = 0.0 if point.residual <= nothing else point.residual
            plural = "product leaves" if point.products == 1 else "products leave"
            typer.echo(f"{point.label}: {number(point.products)} {plural} {number(left)} LSB{share}")
    if not front.complete:
        typer.echo("(residuals are those of a grid of rows and columns: the operands are too wide for a table)")


def draw_front(report: FrontReport, path: Path) -> None:
    """Write the picture."""
    from catalog.front_plot import front_figure
    from multipliers.plot import save_figure

    uniform = None if report.gain is None else report.gain.uniform
    figure = front_figure(report.front, recipe=report.recipe, chosen=report.chosen, uniform=uniform)
    save_figure(figure, path)
    typer.echo(f"wrote {plain(path)}", err=True)
