"""Picture of a Pareto front: circuits by two metrics or costs, with the best trade-offs joined and named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from catalog.circuit import Circuit
from catalog.pareto import pareto_front
from catalog.quantities import Quantity, quantity, size_of, value_of
from catalog.text import plain
from multipliers.errors import ParameterError
from multipliers.metric_values import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from catalog.sweep import Sweep

DECADES = 1.0
"""An axis is logarithmic where its positive values span more powers of ten than this."""

# Okabe and Ito's colours, told apart under every common colour blindness
_FRONT, _OTHERS, _LINE = "#D55E00", "#0072B2", "#E69F00"

_LABELS = {
    "terms": "terms: ordinary products that simulate it exactly",
    "mre": "MRE, mean relative error",
    "nmed": "NMED, mean absolute error / 2^(n+m)",
    "mae": "MAE, mean absolute error (LSB)",
    "wce": "WCE, worst-case error (LSB)",
}


def pareto_figure(circuits: Iterable[Circuit], metric: str, cost: str, title: str = "") -> Figure:
    """Scatter of circuits: cost to the right, metric upwards, both the less the better.

    The front is joined by steps, above and to the right of which a circuit is no better than one of the front. Its
    circuits are named, but for names that would cover another. Axes are logarithmic where values span more than a power
    of ten, and linear near 0 if there are zeros (`symlog`). Circuits of which either is not known are left out.

    Parameters
    ----------
    circuits : iterable of Circuit
    metric, cost : str
        Names of metrics or costs (`catalog.quantities`).
    title : str
        Heading.

    Raises
    ------
    ParameterError
        If of no circuit both are known.
    UnknownNameError
        For an unknown metric or cost.
    """
    from matplotlib.figure import Figure

    first, second = quantity(cost), quantity(metric)
    known = [c for c in circuits if not math.isnan(size_of(c, first.name) + size_of(c, second.name))]
    if not known:
        raise ParameterError(f"of no circuit both {first.name} and {second.name} are known; there is nothing to draw")
    front = pareto_front(known, first.name, second.name)
    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    axes = figure.add_subplot()
    points = _points(known, first.name, second.name)
    best = _points(front, first.name, second.name)
    for set_scale, values in ((axes.set_xscale, points[0]), (axes.set_yscale, points[1])):
        _scale(set_scale, values)
    best_ids = {id(circuit) for circuit in front}
    others = [circuit for circuit in known if id(circuit) not in best_ids]
    axes.scatter(
        *_points(others, first.name, second.name),
        s=22,
        color=_OTHERS,
        alpha=0.5,
        linewidth=0,
        label=f"{len(others)} other circuits",
        zorder=2,
    )
    axes.step(*best, where="post", color=_LINE, linewidth=1.4, zorder=1)
    axes.scatter(
        *best, s=44, color=_FRONT, edgecolor="white", linewidth=0.8, label=f"{len(front)} of the front", zorder=3
    )
    axes.margins(0.05)
    names = _name(axes, front, best)
    axes.set_xlabel(_label(first, known))
    axes.set_ylabel(_label(second, known))
    axes.grid(True, which="major", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.suptitle(title or f"Pareto front of {second.name} and {first.name}", x=0.01, ha="left", weight="bold")
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    thin_out(figure, names)
    return figure


def sweep_figure(done: Sweep, title: str = "") -> Figure:
    """Scatter of what a sweep found: products to the right, what they leave upwards, both the less the better.

    Upwards is the RMS residual of the surrogates. Where all of them are exact it is the error of the circuits, NMED:
    the front then tells which multiplication of least error can be simulated by so many products.

    Parameters
    ----------
    done : Sweep
        With at least one surrogate.
    title : str
        Heading.

    Raises
    ------
    ParameterError
        If nothing was found, or all are exact and of no circuit the error is known.
    """
    found = [(outcome.circuit, outcome.found) for outcome in done.outcomes if outcome.found is not None]
    exact = all(each.is_exact for _, each in found)
    circuits = []
    for circuit, each in found:
        measured = circuit.metrics if exact and isinstance(circuit, Circuit) else {}
        metrics = measured if exact else {"rmse": each.certificate.rms_residual}
        origin, family = (circuit.origin, circuit.family) if isinstance(circuit, Circuit) else ("", "")
        key, comparison = each.key, cast(Comparison, each.certificate.comparison)
        about = (circuit.name, origin, family, key.a, key.b, key.fingerprint, each.certificate.every_pair, comparison)
        circuits.append(Circuit(*about, metrics, {"terms": each.n_products}))
    heading = title or ("Exact surrogates" if exact else "Residuals of surrogates")
    figure = pareto_figure(circuits, "nmed" if exact else "rmse", "terms", heading)
    axes = figure.axes[0]
    axes.set_xlabel("products of the surrogate")
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", integer=True)
    if not exact:
        axes.set_ylabel("RMS residual of the surrogate (LSB)")
    return figure


def _points(circuits: Sequence[Circuit], x: str, y: str) -> tuple[list[float], list[float]]:
    return [size_of(c, x) for c in circuits], [size_of(c, y) for c in circuits]


def _label(of: Quantity, circuits: Iterable[Circuit]) -> str:
    if of.name in _LABELS:
        return _LABELS[of.name]
    text = of.title.replace("_", " ").replace("um^2", "µm²")
    return f"magnitude of the {text}" if any(value_of(c, of.name) < 0 for c in circuits) else text


def _scale(set_scale: Callable[..., None], values: Sequence[float]) -> None:
    """Choose the scale of an axis."""
    positive = [value for value in values if value > 0]
    if not positive or math.log10(max(positive) / min(positive)) <= DECADES:
        return
    if min(values) > 0:
        set_scale("log")
    else:  # zeros have a place left of the least positive value
        set_scale("symlog", linthresh=10.0 ** math.floor(math.log10(min(positive))), linscale=0.5)


def _name(axes: Axes, front: Sequence[Circuit], points: tuple[list[float], list[float]]) -> list[Annotation]:
    """Write names beside points of the front; circuits of the same two values share one."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.0, foreground="white")]
    groups: dict[tuple[float, float], list[str]] = {}
    for circuit, x, y in zip(front, *points, strict=True):
        groups.setdefault((x, y), []).append(plain(circuit.name))
    return [
        axes.annotate(
            names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}",
            point,
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=8,
            color="#333333",
            path_effects=halo,
            zorder=4,
        )
        for point, names in groups.items()
    ]


def thin_out(figure: Figure, names: Sequence[Annotation]) -> None:
    """Hide names that would cover others; those of both ends stay."""
    figure.draw_without_rendering()  # where text lies is known once the layout is
    shown: list[Bbox] = []
    for name in (*names[:1], *names[:0:-1]):
        box = name.get_window_extent()
        if any(box.overlaps(other) for other in shown):
            name.set_visible(False)
        else:
            shown.append(box)
