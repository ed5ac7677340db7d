"""How well one quantity ranks multipliers as another does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation, with a confidence interval.

    Attributes
    ----------
    rho : float
        In [-1, 1]; ties have their mean rank.
    low, high : float
        Of the interval that holds 95 % of bootstrap samples.
    n : int
        Pairs.
    """

    rho: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)


def rank_correlation(
    x: Sequence[float], y: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> RankCorrelation:
    """Correlate the ranks of two quantities.

    Parameters
    ----------
    x, y : sequence of float
        At least 3 pairs.
    resamples : int
        Samples of the bootstrap, of as many pairs, drawn with replacement (Efron, Tibshirani, "An Introduction to the
        Bootstrap", 1993, chapter 13).
    seed : int
        Of the draws.

    Raises
    ------
    ValueError
        If there are fewer pairs, or not as many of both.

    Examples
    --------
    >>> round(rank_correlation([1, 2, 3, 4], [10, 20, 50, 30]).rho, 6)
    0.8
    """
    from scipy.stats import rankdata

    if len(x) != len(y) or len(x) < 3:
        raise ValueError(f"a rank correlation needs at least 3 pairs, got {len(x)} and {len(y)} values")
    pairs = np.array([x, y], dtype=np.float64)
    rng = np.random.default_rng(seed)
    draws = np.stack([np.arange(len(x)), *rng.integers(0, len(x), (resamples, len(x)))])
    ranks = rankdata(pairs[:, draws], axis=2)
    ranks -= ranks.mean(axis=2, keepdims=True)
    norms = np.sqrt((ranks**2).sum(axis=2)).prod(axis=0)
    products = ranks.prod(axis=0).sum(axis=1)
    rho = np.divide(products, norms, out=np.zeros(len(norms)), where=norms > 0)  # all of one rank: nothing is ranked
    low, high = np.quantile(rho[1:], [0.025, 0.975])
    return RankCorrelation(float(rho[0]), float(low), float(high), len(x))
