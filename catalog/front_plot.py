"""Picture of a front: what the best surrogates of a number of products leave, and where others lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catalog.text import number, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from multipliers.distributions import FloatArray
    from multipliers.operands import IntArray
    from surrogate.fit.front import Front

FLOOR = 1e-4
"""Share of the multiplier's error below which a residual counts as none: the picture ends there."""

MOST = 64
"""Most products that a picture shows."""

WIDE = 12
"""Beyond so many products their axis is logarithmic."""

# Okabe and Ito's colours, told apart under every common colour blindness
_FRONT, _UNIFORM, _RECIPE, _CHOSEN, _TEXT = "#0072B2", "#56B4E9", "#D55E00", "#009E73", "#333333"


@dataclass(frozen=True)
class Point:
    """A surrogate in the picture.

    Attributes
    ----------
    label : str
        What the picture calls it.
    products : int
    residual : float
        Root mean square (LSB), under the same distributions as the front.
    """

    label: str
    products: int
    residual: float


def front_figure(
    front: Front,
    *,
    recipe: Point | None = None,
    chosen: Point | None = None,
    uniform: FloatArray | None = None,
) -> Figure:
    """Draw the error that the best surrogates leave against their number of products, on a logarithmic scale.

    The error is a share of the multiplier's own, which a dotted line marks: a surrogate above it is worse than the
    accurate product. For a multiplier without error it is in LSB.

    Parameters
    ----------
    front : Front
        See `surrogate.front`.
    recipe : Point, optional
        What the published recipe finds.
    chosen : Point, optional
        The surrogate that was chosen.
    uniform : ndarray of float64, optional
        Residuals, under the front's distributions, of the surrogates that do not know these (`surrogate.fit.gain`).
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    scale = 100.0 / front.error if front.error > 0 else 1.0
    floor = FLOOR * 100.0
    values = front.residuals * scale
    first = min(1, len(values) - 1)  # without a product there is nothing to see, if there are others
    fitting = np.flatnonzero(values > floor)
    marked = [(p, colour, marker) for p, colour, marker in ((recipe, _RECIPE, "D"), (chosen, _CHOSEN, "*")) if p]
    last = min(len(values) - 1, MOST, int(fitting[-1]) + 1 if len(fitting) else 1)
    right = min(len(values) - 1, MOST, max([last, *(p.products for p, _, _ in marked)]))
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yscale("log")
    if right > WIDE:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.set_xlim(first * 0.9, right * 1.1)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(first - 0.3, max(right, first + 1) + 0.3)
    x, drawn = np.arange(first, right + 1), values[first : right + 1]
    seen = [drawn, np.array([p.residual * scale for p, _, _ in marked])]
    if uniform is not None:
        known = uniform[first : right + 1] * scale
        seen.append(known)
        _curve(axes, x[: len(known)], known, _UNIFORM, "--", "fitted without the distributions", "s")
    _curve(axes, x, drawn, _FRONT, "-", "best surrogates" + (" for them" if uniform is not None else ""), "o")
    if front.error > 0:
        axes.axhline(100.0, color=_TEXT, linewidth=1.0, linestyle=":", zorder=1, label="the accurate product")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        seen.append(np.array([100.0]))
    visible = np.concatenate(seen)
    visible = visible[visible > floor]
    low, high = (float(visible.min()), float(visible.max())) if len(visible) else (floor, 1.0)
    bottom = low / 4 if (drawn <= floor).any() else low / 1.6
    axes.set_ylim(bottom, high * 1.6)
    for point, colour, marker in marked:
        _mark(axes, point, scale, bottom, right, colour, marker, front.error > 0)
    exact = np.flatnonzero(values <= 1e-7 * max(float(values.max()), floor))
    if len(exact) and exact[0] <= right:
        axes.annotate(
            f"exact from {number(int(exact[0]))}",
            (float(exact[0]), bottom),
            xytext=(-9, 9),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color=_FRONT,
        )
    axes.set_xlabel("products per layer, beside a free additive part")
    axes.set_ylabel("RMS residual, share of the multiplier's error" if front.error > 0 else "RMS residual (LSB)")
    axes.grid(True, which="major", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.suptitle(f"What surrogates of {plain(front.name)} leave", x=0.01, ha="left", weight="bold")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _curve(axes: Axes, x: IntArray, values: FloatArray, colour: str, dashes: str, label: str, marker: str) -> None:
    """Draw residuals; those that count as none leave the picture at its lower edge."""
    size = 4.5 if len(values) <= MOST // 2 else 3.0
    kept = np.maximum(values, FLOOR * 0.1)
    axes.plot(x, kept, dashes, marker=marker, markersize=size, color=colour, linewidth=1.6, label=label, zorder=3)


def _mark(
    axes: Axes, point: Point, scale: float, bottom: float, right: int, colour: str, marker: str, in_percent: bool
) -> None:
    """Mark a surrogate; one beyond the edges lies on them, and its label tells where it is."""
    value = point.residual * scale
    beyond = f", {number(point.products)} products" if point.products > right else ""
    told = "exact" if value <= 1e-9 else f"{value:.3g} %" if in_percent else f"{value:.3g} LSB"
    axes.plot(
        [min(point.products, right)],
        [max(value, bottom)],
        marker=marker,
        markersize=15 if marker == "*" else 8,
        color=colour,
        markeredgecolor="white",
        linestyle="none",
        label=f"{point.label}: {told}{beyond}",
        zorder=5,
        clip_on=False,
    )
