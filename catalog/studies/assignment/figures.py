"""Pictures of the study: predictions against measurements, and accuracy against energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from catalog.plot import thin_out
from catalog.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from catalog.studies.study import Row

# Okabe and Ito's colours, told apart under every common colour blindness
_ASSIGNED, _UNIFORM, _TEXT = "#D55E00", "#0072B2", "#333333"


def plot_ranking(rows: Sequence[Row], quantised: float, title: str) -> Figure:
    """Draw the measured against the predicted accuracy of each multiplier; a line marks the accurate products'."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.add_subplot()
    predicted, measured = ([100 * row[name] for row in rows] for name in ("predicted", "measured"))
    axes.axhline(100 * quantised, color=_TEXT, linewidth=1.0, linestyle=":", label="accurate products")
    axes.scatter(predicted, measured, s=26, color=_UNIFORM, alpha=0.7, linewidth=0, label=f"{len(rows)} multipliers")
    axes.set_xlabel("predicted accuracy (%)")
    axes.set_ylabel("measured accuracy (%)")
    _finish(figure, axes, title)
    return figure


def plot_front(assigned: Sequence[Row], uniform: Sequence[Row], quantised: float, title: str) -> Figure:
    """Draw accuracy against the energy of multipliers: assigned to layers, and one in every layer.

    Parameters
    ----------
    assigned : sequence of dict
        Rows of `LayerStudy.assign`.
    uniform : sequence of dict
        Rows of `LayerStudy.rank`, with ``share``, their energy as those of the assigned ones.
    quantised : float
        Accuracy with accurate products.
    title : str
        Heading.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(100 * quantised, color=_TEXT, linewidth=1.0, linestyle=":", label="accurate products")
    shares, accuracies = ([100 * row[name] for row in uniform] for name in ("share", "measured"))
    axes.scatter(shares, accuracies, s=30, color=_UNIFORM, alpha=0.7, linewidth=0, label="one in every layer")
    names = [
        axes.annotate(name, (x, y), xytext=(4, -9), textcoords="offset points", fontsize=7, color=_TEXT)
        for x, y, name in sorted(
            (x, y, plain(u["multiplier"])) for u, x, y in zip(uniform, shares, accuracies, strict=True)
        )
    ]
    points = sorted(assigned, key=lambda row: row["energy"])
    axes.plot(
        [100 * row["energy"] for row in points],
        [100 * row["measured"] for row in points],
        "-o",
        color=_ASSIGNED,
        linewidth=1.6,
        markersize=5.5,
        label="assigned to layers",
        zorder=3,
    )
    axes.set_xlabel("energy of all products of an image (% of the dearest multiplier in every layer)")
    axes.set_ylabel("measured accuracy (%)")
    _finish(figure, axes, title)
    thin_out(figure, names)
    return figure


def _finish(figure: Figure, axes: Axes, title: str) -> None:
    axes.grid(True, which="major", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.suptitle(plain(title), x=0.01, ha="left", weight="bold")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
