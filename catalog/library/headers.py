"""Figures of a circuit file's header: what they are called, in which units they are, and when a measurement agrees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist

from catalog.library.records import Figure, Source
from multipliers.metric_values import ErrorMetrics
from multipliers.operands import OperandFormat
from multipliers.readers.evoapprox import printed_figures

_METRICS = {
    "MAE": "mae",
    "WCE": "wce",
    "EP": "error_probability",
    "MRE": "mre",
    "WCRE": "wcre",
    "MSE": "mse",
}
_FRACTIONS = ("error_probability", "mre", "wcre")

_COSTS = {
    "PDK45_PWR": "power",
    "PDK45_AREA": "area",
    "PDK45_DELAY": "delay",
    "Power (45)": "power",
    "Area (45)": "area",
    "Delay (45)": "delay",
}
"""Costs of EvoApproxLib for the 45 nm PDK, in the spellings of its releases."""

_COST_UNITS = {
    "power": {"": 1.0, "mW": 1.0, "uW": 1e-3, "nW": 1e-6, "W": 1e3},
    "area": {"": 1.0, "um2": 1.0, "um^2": 1.0},
    "delay": {"": 1.0, "ns": 1.0, "ps": 1e-3},
}

TWICE_ROUNDED = 1.1
"""Error, in half units, of a value that was rounded to a digit more before (36.54 to 36.5 to 36)."""

SIGMAS = 5.0
"""Standard errors by which a sampled mean may differ from a published one: hundreds of figures are compared."""

MIN_ERRORS = 100
"""Erroneous pairs that a sample must hold before its means are compared: rare and large errors escape a sample."""


@dataclass(frozen=True)
class Comparison:
    """A published figure beside the measurement, both in the figure's unit.

    Attributes
    ----------
    figure : Figure
    measured : float
    agrees : bool
    """

    figure: Figure
    measured: float
    agrees: bool


def read_figures(text: str) -> tuple[Figure, ...]:
    r"""Read the figures of a file's comments that this module knows.

    Examples
    --------
    >>> read_figures("// MAE% = 0.19 %\n// Author = 3\n")
    (Figure(name='MAE%', value='0.19', unit='%'),)
    """
    found = (Figure(name, *printed) for name, printed in printed_figures(text).items())
    return tuple(figure for figure in found if figure.name in _COSTS or _metric(figure) is not None)


def costs_of(sources: Sequence[Source]) -> dict[str, float]:
    """Return hardware costs in the units of `catalog.circuit.COSTS`.

    Published ones are those of the first file that states them; gates and depth those of the first netlist.
    """
    costs: dict[str, float] = {}
    for source in in_order(sources):
        for cost, value in published_costs(source.figures).items():
            costs.setdefault(cost, value)
        for cost, count in (("gates", source.gates), ("depth", source.depth)):
            if count is not None:
                costs.setdefault(cost, float(count))
    return costs


def published_costs(figures: Iterable[Figure]) -> dict[str, float]:
    """Return the hardware costs among the figures of a header, in the units of `catalog.circuit.COSTS`.

    Examples
    --------
    >>> published_costs([Figure("PDK45_PWR", "0.5", "mW"), Figure("EP%", "12.5", "")])
    {'power': 0.5}
    """
    costs: dict[str, float] = {}
    for figure in figures:
        cost = _COSTS.get(figure.name)
        if cost is not None and figure.unit in _COST_UNITS[cost]:
            costs.setdefault(cost, float(figure.value) * _COST_UNITS[cost][figure.unit])
    return costs


def published_of(sources: Sequence[Source], a: OperandFormat, b: OperandFormat) -> dict[str, float]:
    """Return published metrics in the units of `ErrorMetrics`: fractions, not per cent.

    An absolute metric is taken from its value in LSB where there is one, else from that in per cent of ``2**(n+m)``.
    """
    figures = [figure for source in in_order(sources) for figure in source.figures]
    published: dict[str, float] = {}
    for figure in sorted(figures, key=_is_percent):
        metric = _metric(figure)
        if metric is None:
            continue
        value = float(figure.value) / _scale(figure, metric, a, b)
        published.setdefault(metric, value)
        if metric == "mae" and _is_percent(figure):
            published.setdefault("nmed", float(figure.value) / 100)
    return published


def in_order(sources: Iterable[Source]) -> list[Source]:
    """Sort files by how close they are to what is published: C, then the netlist as designed, then the mapped one."""
    return sorted(sources, key=lambda s: (s.language != "c", "pdk45" in s.path.stem.lower(), str(s.path)))


def compare(figures: Sequence[Figure], metrics: ErrorMetrics, a: OperandFormat, b: OperandFormat) -> list[Comparison]:
    """Compare the published metrics of a header with measured ones.

    Notes
    -----
    A figure agrees if the measurement rounds to it: within half a unit of its last printed digit. EvoApproxLib rounds
    some values of MAE to one digit more before it prints them, and derives MAE% from the printed MAE, so the error of
    that is allowed as well. Its first release prints numbers by C's ``%f``: six decimals, of which trailing zeros mean
    nothing.

    Against a sample of operand pairs, means may differ by five standard errors besides, a worst case only must not be
    exceeded, and only these and the error probability are compared where fewer than 100 errors were drawn.
    """
    whole = a.size * b.size
    rounded = {figure.name: figure for figure in figures}
    found = []
    for figure in figures:
        metric = _metric(figure)
        if metric is None:
            continue
        scale = _scale(figure, metric, a, b)
        measured = float(getattr(metrics, metric)) * scale
        tolerance = _half_unit(figure.value)
        if figure.name == "MAE":
            tolerance *= TWICE_ROUNDED
        elif figure.name == "MAE%" and "MAE" in rounded:
            tolerance += TWICE_ROUNDED * _half_unit(rounded["MAE"].value) * 100 / whole
        published = float(figure.value)
        low, high = (scale * x for x in _range(metric, metrics))
        outside = max(low - published, published - high)
        agrees = not outside > tolerance * (1 + 1e-6)  # an undefined metric contradicts nothing
        found.append(Comparison(figure, measured, agrees))
    return found


def _metric(figure: Figure) -> str | None:
    return _METRICS.get(figure.name.removesuffix("%")) if figure.unit in ("", "%") else None


def _is_percent(figure: Figure) -> bool:
    return figure.name.endswith("%") or figure.unit == "%"


def _scale(figure: Figure, metric: str, a: OperandFormat, b: OperandFormat) -> float:
    """Return what a metric is multiplied by to be in the figure's unit."""
    if not _is_percent(figure):
        return 1.0
    return 100.0 if metric in _FRACTIONS else 100.0 / (a.size * b.size)


def _half_unit(printed: str) -> float:
    number = Decimal(printed)
    exponent = number.as_tuple().exponent
    if exponent == -6 and number:  # %f
        exponent = number.normalize().as_tuple().exponent
    return 0.5 * 10.0 ** int(exponent)


def _range(metric: str, metrics: ErrorMetrics) -> tuple[float, float]:
    """Return between what the metric over all pairs is taken to lie."""
    value = float(getattr(metrics, metric))
    if metrics.comparison != "sampled":
        return value, value
    interval = metrics.intervals.get(metric)
    few = metrics.error_probability * metrics.n_pairs < MIN_ERRORS
    if interval is None or (few and interval.method not in ("wilson", "bound")):
        return -math.inf, math.inf
    if interval.method == "bound":
        return interval.low, interval.high
    wider = SIGMAS / NormalDist().inv_cdf((1 + interval.confidence) / 2)
    return value - wider * (value - interval.low), value + wider * (interval.high - value)
