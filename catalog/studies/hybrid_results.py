"""What the study of hybrid training says: how well Gaussian errors predict multipliers, and a plot of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from catalog.studies.study import Row


@dataclass(frozen=True)
class Prediction:
    """How well stand-ins predict the accuracy of training with the multipliers themselves.

    Attributes
    ----------
    n : int
        Pairs of a multiplier and its stand-in, each from the same seed.
    correlation, rank_correlation : float
        Pearson's and Spearman's, of the losses of accuracy against the baseline; NaN of less than three pairs.
    mean_absolute_difference : float
        Of the accuracies, as shares.
    mean_loss : float
        Mean loss of accuracy by the multipliers, for comparison.
    """

    n: int
    correlation: float
    rank_correlation: float
    mean_absolute_difference: float
    mean_loss: float

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values."""
        return asdict(self)


def pairs(rows: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Pair the row of each multiplier and seed with that of its stand-in, where both are there."""
    by_key = {(row["kind"], row["error"], row["seed"]): row for row in rows}
    return [
        (row, by_key["stand-in", *key])
        for (kind, *key), row in by_key.items()
        if kind == "multiplier" and ("stand-in", *key) in by_key
    ]


def prediction(rows: Iterable[Row], quantity: str = "accuracy") -> Prediction | None:
    """Compare stand-ins with multipliers; None where there is no pair.

    Parameters
    ----------
    rows : iterable of dict
        Of `catalog.studies.hybrid.run_hybrid`.
    quantity : {"accuracy", "plateau_accuracy"}
        Accuracy of approximate training to the end, or with the plateau rule's switch.

    Examples
    --------
    >>> loss = {"a": (0.01, 0.02), "b": (0.03, 0.03), "c": (0.30, 0.25)}
    >>> rows = [
    ...     {"kind": kind, "error": name, "seed": 0, "baseline": 0.9, "accuracy": 0.9 - loss[name][i]}
    ...     for name in loss for i, kind in enumerate(("multiplier", "stand-in"))
    ... ]
    >>> found = prediction(rows)
    >>> found.n, round(found.correlation, 3), round(found.mean_absolute_difference, 3)
    (3, 1.0, 0.02)
    """
    found = pairs(rows)
    if not found:
        return None
    losses = np.array([[row["baseline"] - row[quantity] for row in pair] for pair in found])
    real, simulated = losses.T
    difference = float(np.abs(real - simulated).mean())
    return Prediction(
        len(found),
        _correlation(real, simulated),
        _correlation(_ranks(real), _ranks(simulated)),
        difference,
        float(real.mean()),
    )


def _correlation(x: Any, y: Any) -> float:
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(x: Any) -> Any:
    from scipy.stats import rankdata

    return rankdata(x)


def means(rows: Iterable[Row]) -> list[Row]:
    """Average the seeds of each source of errors, in the order of the rows.

    What is None from some seeds is averaged over the others; ``monotone`` is whether all were.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["kind"], row["error"]), []).append(row)
    found = []
    for group in groups.values():
        first = group[0]
        mean: Row = {key: first[key] for key in ("kind", "error", "mre", "sd", "bias", "epochs")}
        mean["seeds"] = len(group)
        for key in ("baseline", "accuracy", "switch", "switch_accuracy", "searched", "plateau", "plateau_accuracy"):
            values = [row[key] for row in group if row.get(key) is not None]
            mean[key] = float(np.mean(values)) if values else None
        mean["monotone"] = all(row.get("monotone", True) for row in group)
        found.append(mean)
    return found


def plot_hybrid(rows: Sequence[Row], title: str) -> Figure:
    """Draw accuracy against error, with and without a switch, and the stand-ins against their multipliers."""
    from matplotlib.figure import Figure

    draws: list[Callable[[Axes], None]] = []
    gaussian = [row for row in means(rows) if row["kind"] == "gaussian"]
    if gaussian:
        draws.append(lambda axis: _draw_levels(axis, gaussian))
    if pairs(rows):
        draws.append(lambda axis: _draw_pairs(axis, pairs(rows)))
    figure = Figure(figsize=(4.8 * max(1, len(draws)), 4.0), layout="constrained")
    for number, draw in enumerate(draws, 1):
        axis = figure.add_subplot(1, len(draws), number)
        draw(axis)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure


def _draw_levels(axis: Axes, rows: Sequence[Row]) -> None:
    mre = [100 * row["mre"] for row in rows]
    for key, label, style in (
        ("baseline", "no error", "k--"),
        ("accuracy", "approximate to the end", "o-"),
        ("plateau_accuracy", "switched by the plateau rule", "^-"),
        ("switch_accuracy", "switched as late as the search found", "s-"),
    ):
        points = [(x, 100 * row[key]) for x, row in zip(mre, rows, strict=True) if row[key] is not None]
        if points:
            axis.plot(*zip(*points, strict=True), style, label=label, markersize=4, linewidth=1)
    axis.set_xscale("log")
    axis.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axis.minorticks_off()
    axis.set_xlabel("mean relative error of the weights / %")
    axis.set_ylabel("test accuracy / %")
    axis.legend(fontsize=8, frameon=False)


def _draw_pairs(axis: Axes, paired: Sequence[tuple[Row, Row]]) -> None:
    names = list(dict.fromkeys(real["error"] for real, _ in paired))
    for name in names:
        points = [[100 * (row["baseline"] - row["accuracy"]) for row in p] for p in paired if p[0]["error"] == name]
        axis.plot(*zip(*points, strict=True), "o", label=name, markersize=5)
    ends = axis.get_xlim()
    axis.plot(ends, ends, color="0.7", linewidth=1, zorder=0)
    axis.set_xlabel("accuracy lost by training with the multiplier / points")
    axis.set_ylabel("by training with its Gaussian stand-in / points")
    axis.legend(fontsize=8, frameon=False)
