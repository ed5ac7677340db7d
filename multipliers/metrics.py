"""The error metrics of a multiplier: exhaustive, streamed or sampled, uniform or weighted by operand distributions.

`multipliers.metric_values` defines the metrics, `multipliers.sampling` the confidence intervals of sampled ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from multipliers.accumulator import ErrorAccumulator
from multipliers.distributions import normalised_weights, weighted_pairs
from multipliers.errors import ParameterError
from multipliers.intervals import DEFAULT_CONFIDENCE, check_confidence
from multipliers.metric_values import (
    COMPARISONS,
    Comparison,
    ErrorMetrics,
    Normaliser,
    Relative,
    check_name,
    normaliser_value,
)
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray
from multipliers.parallel import map_in_order
from multipliers.sampling import SampleSpread
from multipliers.sums import MAX_TERMS

__all__ = [
    "Comparison",
    "ErrorAccumulator",
    "ErrorMetrics",
    "Normaliser",
    "Progress",
    "Relative",
    "choose_comparison",
    "error_metrics",
    "normaliser_value",
]

Progress = Callable[[int, int], None]
"""Called with the number of pairs done and the number of pairs in all."""

MAX_EXHAUSTIVE_PAIRS = 1 << 20
"""Up to here a multiplier is compared in one go."""

MAX_STREAMED_PAIRS = 1 << 24
"""Up to here a multiplier is streamed without being asked; above it is sampled."""

DEFAULT_SAMPLE = 1 << 22
"""Operand pairs of a sampled comparison."""


def error_metrics(
    multiplier: Multiplier,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
    *,
    comparison: Comparison | None = None,
    sample: int | None = None,
    relative: Relative = "nonzero",
    normaliser: Normaliser = "2^(n+m)",
    confidence: float = DEFAULT_CONFIDENCE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ErrorMetrics:
    """Measure the error of a multiplier.

    Parameters
    ----------
    multiplier : Multiplier
        What to measure.
    weights_a, weights_b : array_like of float, optional
        Distributions of the operands: one non-negative number per value of the format, in ascending order of the
        values, normalised here. Uniform where not given.
    comparison : {"exhaustive", "streamed", "sampled"}, optional
        By default exhaustive up to 2**20 operand pairs, streamed up to 2**24, and sampled above; the result says which.
        ``"streamed"`` compares every pair of wider operands too (2**32 pairs take minutes).
    sample : int, optional
        Operand pairs to draw, 2**22 by default; implies ``comparison="sampled"``. Draws are independent, follow the
        distributions, and are the same on every machine (`multipliers.multiplier.sample_pairs`).
    relative : {"nonzero", "max1"}
        Convention of ``mre``: over the pairs with P != 0, or abs(E)/max(1, abs(P)) over all.
    normaliser : {"2^(n+m)", "2^(n+m)-1", "largest exact product"}
        What ``nmed`` divides ``mae`` by.
    confidence : float
        Of the intervals of a sampled comparison, strictly between 0 and 1; see `multipliers.sampling`.
    workers : int, optional
        Threads that compare every pair of a wide multiplier; by default one per processor. The result does not depend
        on it. A multiplier whose function must not run twice at a time needs ``workers=1``.
    progress : callable, optional
        Called as ``progress(pairs_done, pairs_in_all)``.

    Returns
    -------
    ErrorMetrics

    Raises
    ------
    ParameterError
        For weights that are not a distribution over the format, an unknown name, a ``confidence`` outside (0, 1),
        ``workers`` below 1, or ``sample`` below 1 or beside another comparison.

    Examples
    --------
    >>> from multipliers import TableMultiplier
    >>> m = TableMultiplier([[0, 0, 0, 0], [0, 1, 2, 3], [0, 2, 4, 6], [0, 3, 6, 7]], "2u", name="udm2")
    >>> metrics = error_metrics(m)
    >>> metrics.error_probability, metrics.mean_error, metrics.wce
    (0.0625, -0.125, 2)
    """
    comparison = choose_comparison(multiplier, comparison, sample)
    check_confidence(confidence)
    weighted = weights_a is not None or weights_b is not None
    p = normalised_weights(multiplier.a, weights_a, "a") if weighted else None
    q = normalised_weights(multiplier.b, weights_b, "b") if weighted else None
    if comparison == "sampled":
        accumulator = ErrorAccumulator(multiplier.a, multiplier.b, relative=relative, normaliser=normaliser)
        spread = SampleSpread(multiplier.a, multiplier.b, relative)
        n_pairs = DEFAULT_SAMPLE if sample is None else sample
        for start in range(0, n_pairs, MAX_TERMS):
            size = min(MAX_TERMS, n_pairs - start)
            a, b = weighted_pairs(multiplier.a, multiplier.b, size, start, p, q)
            exact, approximate = a * b, multiplier(a, b)
            accumulator.add(exact, approximate)
            spread.add(exact, approximate)
            if progress is not None:
                progress(start + size, n_pairs)
        result = accumulator.result(comparison)
        result = replace(result, weighted=True, wmed=result.mae) if weighted else result
        return replace(result, intervals=spread.intervals(result, confidence))
    b = multiplier.b.values()

    def collect(a: IntArray) -> ErrorAccumulator:
        weights = None if p is None or q is None else p[a - multiplier.a.minimum, None] * q
        part = ErrorAccumulator(multiplier.a, multiplier.b, weighted=weighted, relative=relative, normaliser=normaliser)
        part.add(a[:, None] * b, multiplier(a[:, None], b), weights)
        return part

    total = ErrorAccumulator(multiplier.a, multiplier.b, weighted=weighted, relative=relative, normaliser=normaliser)
    blocks, done = multiplier.row_blocks(MAX_TERMS), 0
    for a, part in zip(blocks, map_in_order(collect, blocks, workers), strict=True):
        total.merge(part)
        done += a.size * b.size
        if progress is not None:
            progress(done, multiplier.n_pairs)
    return total.result(comparison)


def choose_comparison(multiplier: Multiplier, comparison: Comparison | None, sample: int | None) -> Comparison:
    """Return how to compare: what was asked for, else what the number of operand pairs suggests."""
    if comparison is not None:
        check_name("comparison", comparison, COMPARISONS)
    if sample is not None:
        if comparison not in (None, "sampled"):
            raise ParameterError(f"sample={sample} pairs contradicts comparison={comparison!r}; leave one of them out")
        if isinstance(sample, bool) or not isinstance(sample, int | np.integer) or sample < 1:
            raise ParameterError(f"sample must be a number of operand pairs from 1, got {sample!r}")
        return "sampled"
    if comparison is not None:
        return comparison
    if multiplier.n_pairs <= MAX_EXHAUSTIVE_PAIRS:
        return "exhaustive"
    return "streamed" if multiplier.n_pairs <= MAX_STREAMED_PAIRS else "sampled"
