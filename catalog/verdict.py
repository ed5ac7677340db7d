"""Whether a published figure is reproduced by what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from catalog.catalog import Figure
from multipliers.floating import FloatMetrics
from multipliers.metric_values import ErrorMetrics

Outcome = Literal["reproduced", "within the sampling error", "not contradicted", "differs, explained", "differs"]

OUTCOMES: dict[Outcome, str] = {
    "reproduced": "the measured figure rounds to the printed one",
    "within the sampling error": "sampled: the printed figure lies in the confidence interval of the measured one",
    "not contradicted": "sampled: a sample's extreme only bounds that of all pairs, and the printed one lies beyond it",
    "differs, explained": "the measured figure does not round to the printed one; the note says why",
    "differs": "the measured figure contradicts the printed one",
}
"""Verdicts on a published figure, and what they mean."""


@dataclass(frozen=True)
class Verdict:
    """A published figure beside the measured one.

    Attributes
    ----------
    figure : Figure
    measured : float
        In the figure's unit.
    outcome : str
        One of `OUTCOMES`.
    """

    figure: Figure
    measured: float
    outcome: Outcome


def verdict(figure: Figure, metrics: ErrorMetrics | FloatMetrics, scale: float = 100.0) -> Verdict:
    """Compare a published figure with what was measured of its multiplier.

    Parameters
    ----------
    figure : Figure
    metrics : ErrorMetrics or FloatMetrics
    scale : float
        `Figure.scale`: what turns the metric into the figure's unit; 100 for relative ones, which are in per cent.

    Notes
    -----
    Where the catalog says that the figure of all pairs does not round to the printed one, that is the verdict, unless
    what was measured here does not agree with what the catalog says either.

    Examples
    --------
    >>> from multipliers import get
    >>> from multipliers.metrics import error_metrics
    >>> m = get("udm8u")
    >>> verdict(Figure("error_probability", "46.7", "%", "paper", "R"), error_metrics(m)).outcome
    'reproduced'
    """
    value = getattr(metrics, figure.metric) * scale
    explained = figure.measured is not None
    if figure.agrees(value):
        return Verdict(figure, value, "differs, explained" if explained else "reproduced")
    interval = metrics.intervals.get(figure.metric)
    if interval is None:
        return Verdict(figure, value, "differs")
    low, high = figure.range
    if high < interval.low * scale or low > interval.high * scale:
        return Verdict(figure, value, "differs")
    if explained:
        return Verdict(figure, value, "differs, explained")
    return Verdict(figure, value, "not contradicted" if interval.method == "bound" else "within the sampling error")
