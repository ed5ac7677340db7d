"""How the error is distributed: given one operand, and over its own values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.distributions import FloatArray, weighted_pairs
from multipliers.metric_values import Comparison
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from multipliers.parallel import map_in_order
from multipliers.records import Record
from multipliers.sums import MAX_TERMS

MAX_OTHER_VALUES = 1 << 16
"""Up to here every value of the other operand enters a profile; above, as many drawn ones."""


@dataclass(frozen=True, eq=False)
class ErrorProfile(Record):
    """Mean and standard deviation of the error given one operand.

    Attributes
    ----------
    operand : str
        ``"a"`` or ``"b"``: the operand that is held.
    values : ndarray of int64
        Its values, ascending; all of them, or evenly spaced ones of a wide operand.
    mean, sd : ndarray of float64
        Mean and standard deviation of E over the other operand (LSB), weighted by its distribution.
    n_others : int
        Values of the other operand behind each number.
    every_value : bool
        Whether ``values`` are all values of the operand.
    comparison : str
        ``"exhaustive"``: against every value of the other operand; ``"sampled"``: against drawn ones.
    """

    operand: str
    values: IntArray
    mean: FloatArray
    sd: FloatArray
    n_others: int
    every_value: bool
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Histogram(Record):
    """How often the error falls into each bin.

    Attributes
    ----------
    edges : ndarray of float64, shape (n + 1,)
        Bin ``i`` is ``[edges[i], edges[i + 1])``, the last one closed.
    counts : ndarray of float64, shape (n,)
        Operand pairs per bin; weighted, the probability of the bin times ``n_pairs``.
    n_pairs : int
        Operand pairs counted.
    comparison : str
        ``"exhaustive"`` or ``"sampled"``.
    """

    edges: FloatArray
    counts: FloatArray
    n_pairs: int
    comparison: Comparison


def error_profile(
    multiplier: Multiplier,
    operand: str,
    weights: FloatArray | None = None,
    n_values: int | None = None,
    workers: int | None = None,
) -> ErrorProfile:
    """Mean and standard deviation of the error given one operand.

    Parameters
    ----------
    multiplier : Multiplier
        What to measure.
    operand : {"a", "b"}
        The operand to hold.
    weights : ndarray of float64, optional
        Distribution of the *other* operand, summing to 1; uniform if not given.
    n_values : int, optional
        Hold only so many evenly spaced values, the ends among them; all if not given.
    workers : int, optional
        Threads, one per processor by default; the result does not depend on it.

    Examples
    --------
    >>> from multipliers import TableMultiplier
    >>> error_profile(TableMultiplier([[0, 0], [1, 2]], "1u"), "a").mean
    array([0., 1.])
    """
    held, other = (multiplier.a, multiplier.b) if operand == "a" else (multiplier.b, multiplier.a)
    values = spaced_values(held, n_values)
    if other.size <= MAX_OTHER_VALUES:
        others, p = other.values(), weights
    else:
        others, p = weighted_pairs(other, other, MAX_OTHER_VALUES, 0, weights)[0], None

    def collect(held_values: IntArray) -> tuple[FloatArray, FloatArray]:
        x = held_values[:, None]
        products = multiplier(x, others) if operand == "a" else multiplier(others, x)
        error = (products - x * others).astype(np.float64)
        mean = error.mean(axis=1) if p is None else error @ p
        squared = np.square(error - mean[:, None])
        return mean, np.sqrt(squared.mean(axis=1) if p is None else squared @ p)

    step = max(1, MAX_TERMS // others.size)
    blocks = [values[start : start + step] for start in range(0, values.size, step)]
    means, deviations = zip(*map_in_order(collect, blocks, workers), strict=True)
    return ErrorProfile(
        operand=operand,
        values=values,
        mean=np.concatenate(means),
        sd=np.concatenate(deviations),
        n_others=others.size,
        every_value=values.size == held.size,
        comparison="exhaustive" if other.size <= MAX_OTHER_VALUES else "sampled",
    )


def error_histogram(
    errors: IntArray, weights: FloatArray | None = None, n_bins: int = 64, comparison: Comparison = "exhaustive"
) -> Histogram:
    """Histogram of E: at most ``n_bins`` bins of one whole width, edges half-way between integers.

    Examples
    --------
    >>> error_histogram(np.array([-1, 0, 0, 2])).counts
    array([1., 2., 0., 1.])
    """
    low, high = int(errors.min()), int(errors.max())
    width = -(-(high - low + 1) // n_bins)
    n = -(-(high - low + 1) // width)
    index = (errors - low) // width
    return Histogram(
        edges=np.arange(n + 1, dtype=np.float64) * width + (low - 0.5),
        counts=_count(index, n, weights),
        n_pairs=errors.size,
        comparison=comparison,
    )


def relative_error_histogram(
    ratios: FloatArray, weights: FloatArray | None = None, n_bins: int = 64, comparison: Comparison = "exhaustive"
) -> Histogram:
    """Histogram of E/P over the pairs with P != 0.

    Relative errors have long tails. The inner bins are of one width and span the middle 99 % of the pairs; the
    outermost two reach to the extremes.
    """
    if ratios.size == 0:
        return Histogram(np.zeros(1), np.zeros(0), 0, comparison)
    low, high = float(ratios.min()), float(ratios.max())
    first, last = (float(q) for q in np.quantile(ratios, (0.005, 0.995)))
    edges = np.unique(np.concatenate([[low], np.linspace(first, last, n_bins - 1), [high]]))
    if edges.size == 1:
        edges = np.array([low - 0.5, low + 0.5])
    index = np.clip(np.searchsorted(edges, ratios, side="right") - 1, 0, edges.size - 2)
    return Histogram(edges, _count(index, edges.size - 1, weights), ratios.size, comparison)


def spaced_values(format: OperandFormat, n_values: int | None) -> IntArray:
    """Return all values of a format, or ``n_values`` evenly spaced ones with both ends."""
    if n_values is None or n_values >= format.size:
        return format.values()
    steps = np.arange(n_values, dtype=np.int64) * (format.size - 1) // (n_values - 1)
    return steps + format.minimum


def _count(index: IntArray, n: int, weights: FloatArray | None) -> FloatArray:
    if weights is None:
        return np.bincount(index, minlength=n).astype(np.float64)
    shares = weights / weights.sum()
    return np.bincount(index, weights=shares * index.size, minlength=n).astype(np.float64)
