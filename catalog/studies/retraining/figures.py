"""Pictures of one comparison, and of the whole study."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from catalog.studies.retraining.comparison import Row
    from catalog.studies.retraining.fidelity import Fidelity

_COLOURS = ("#999999", "#000000", "#009e73", "#0072b2", "#56b4e9", "#e69f00", "#d55e00", "#cc79a7")
_MARKERS = "xosDPv^*"


def plot_comparison(rows: list[Row], title: str) -> Figure:
    """Draw accuracies before and after retraining, and step times, as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    names = [row.network if row.method == "-" else row.method for row in rows]
    positions = range(len(rows))
    width = 0.38
    for shift, colour, label, values in (
        (-width / 2, "#bbbbbb", "before (re)training", [row.before for row in rows]),
        (width / 2, "#0072b2", "after, on the circuit", [row.on_circuit for row in rows]),
    ):
        places = [(p + shift, 100 * v) for p, v in zip(positions, values, strict=True) if v is not None]
        bars = left.bar([x for x, _ in places], [y for _, y in places], width, color=colour, label=label)
        left.bar_label(bars, fmt="%.1f", fontsize=7)
    left.set_xticks(positions, names, rotation=20, ha="right")
    left.set_ylabel("test accuracy / %")
    left.set_ylim(0, 112)
    left.legend(loc="upper center", ncols=2, fontsize=8, frameon=False)
    bars = right.barh(positions, [1000 * row.step_time_s for row in rows], color="#009e73")
    right.bar_label(bars, fmt="%.1f", fontsize=7)
    right.set_yticks(positions, names)
    right.invert_yaxis()
    right.set_xlabel("median training step / ms")
    _bare(left, right)
    figure.suptitle(title)
    return figure


def plot_fidelity(found: Fidelity, title: str) -> Figure:
    """Draw accuracy on the circuit by multiplier, and difference to behavioural simulation against the step's time."""
    from matplotlib.figure import Figure

    rows = [row for row in found.rows if row["multiplier"] != "-"]
    multipliers = list(dict.fromkeys(row["multiplier"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure = Figure(figsize=(max(9.0, 5 + 0.45 * len(multipliers)), 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(max(1.2, 0.12 * len(multipliers)), 1))
    for number, method in enumerate(methods):
        style = {"color": _COLOURS[number % len(_COLOURS)], "marker": _MARKERS[number % len(_MARKERS)], "ls": "none"}
        of_method = [
            (multipliers.index(name), 100 * statistics.fmean(values))
            for name in multipliers
            if (values := [r["on_circuit"] for r in rows if (r["multiplier"], r["method"]) == (name, method)])
        ]
        shift = 0.6 * (number / max(1, len(methods) - 1) - 0.5)
        left.plot([x + shift for x, _ in of_method], [y for _, y in of_method], label=method, ms=5, **style)
        for summary in found.summary:
            if summary["method"] == method:
                right.plot([summary["ratio_to_float"]], [summary["difference_on_circuit"]], ms=8, **style)
    left.set_xticks(range(len(multipliers)), multipliers, rotation=45, ha="right", fontsize=8)
    left.set_ylabel("test accuracy on the circuit / %")
    left.legend(fontsize=7, ncols=2)
    left.grid(axis="y", alpha=0.3)
    right.set_xlabel("training step, in steps of the float network")
    right.set_ylabel("mean difference to behavioural / points")
    right.set_xlim(left=0)
    right.set_yscale("symlog", linthresh=0.1)
    right.set_ylim(bottom=-0.01)
    right.grid(alpha=0.3)
    _bare(left, right)
    figure.suptitle(title)
    return figure


def _bare(*axes: Axes) -> None:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
