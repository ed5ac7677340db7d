"""Sums that lose nothing: integer sums in Python integers, moments without cancellation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multipliers.operands import IntArray

MAX_TERMS = 1 << 18
"""Longest array of `exact_sums`."""


class Moments:
    """Running weight, mean and sum of squared deviations (Chan, Golub, LeVeque, 1983); no cancellation."""

    def __init__(self) -> None:
        self.weight = 0.0
        self.mean = 0.0
        self._deviation = 0.0

    @property
    def variance(self) -> float:
        """Weighted mean of the squared deviations from the mean."""
        return self._deviation / self.weight

    def add(self, x: NDArray[np.float64], w: NDArray[np.float64] | None) -> None:
        """Add values with positive weights (None: 1 each)."""
        weight = float(x.size if w is None else w.sum())
        mean = float((x if w is None else w * x).sum()) / weight
        squared = np.square(x - mean)
        self._combine(weight, mean, float((squared if w is None else w * squared).sum()))

    def merge(self, other: Moments) -> None:
        """Add what another has collected."""
        if other.weight:
            self._combine(other.weight, other.mean, other._deviation)

    def _combine(self, weight: float, mean: float, deviation: float) -> None:
        step, total = mean - self.mean, self.weight + weight
        self._deviation += deviation + step * step * (self.weight * weight / total)
        self.mean += step * (weight / total)
        self.weight = total


class FourMoments:
    """Running count, mean and central moments up to the fourth of unweighted values, without cancellation.

    Blocks are combined by Pebay's formulas (Sandia report SAND2008-6212, 2008, equations 3.1 and 3.2).
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = 0.0
        self._sums = (0.0, 0.0, 0.0)  # of the second, third and fourth powers of the deviations from the mean

    @property
    def central(self) -> tuple[float, float, float]:
        """Means of the second, third and fourth powers of the deviations from the mean."""
        second, third, fourth = self._sums
        return second / self.n, third / self.n, fourth / self.n

    def add(self, x: NDArray[np.float64]) -> None:
        """Add values."""
        if x.size == 0:
            return
        mean = float(x.mean())
        deviation = x - mean
        squared = np.square(deviation)
        n_a, n_b, (a2, a3, a4) = self.n, x.size, self._sums
        b2, b3, b4 = float(squared.sum()), float((squared * deviation).sum()), float(np.square(squared).sum())
        n, step = n_a + n_b, mean - self.mean
        share_a, share_b = n_a / n, n_b / n
        cross = step * step * share_a * n_b
        self._sums = (
            a2 + b2 + cross,
            a3 + b3 + cross * step * (share_a - share_b) + 3 * step * (share_a * b2 - share_b * a2),
            a4
            + b4
            + cross * step * step * (share_a**2 - share_a * share_b + share_b**2)
            + 6 * step * step * (share_a**2 * b2 + share_b**2 * a2)
            + 4 * step * (share_a * b3 - share_b * a3),
        )
        self.mean += step * share_b
        self.n = n


def exact_sums(E: IntArray, largest: int) -> tuple[int, int, int]:
    """Return the sums of E, abs(E) and E^2 of at most `MAX_TERMS` errors, as exact Python integers.

    ``largest`` is the largest abs(E).
    """
    size = E.size
    if largest * size < 1 << 63:
        total, absolute = int(E.sum()), int(np.abs(E).sum())
    else:
        high, low = E >> 32, E & 0xFFFFFFFF
        total = (int(high.sum()) << 32) + int(low.sum())
        sizes = np.abs(E).view(np.uint64)  # abs(-2**63) wraps to itself, which reads 2**63 as unsigned
        absolute = (int((sizes >> 32).sum()) << 32) + int((sizes & 0xFFFFFFFF).sum())
    if largest * largest * size < 1 << 63:  # in integers: a dot product of floats would start the threads of BLAS
        return total, absolute, int(np.square(E).sum())
    # limbs of 22 bits: products below 2**44, their sums below 2**62
    sizes = np.abs(E).view(np.uint64)
    limbs = [((sizes >> shift) & 0x3FFFFF).astype(np.int64) for shift in range(0, largest.bit_length(), 22)]
    squared = 0
    for i, x in enumerate(limbs):
        for j, y in enumerate(limbs[: i + 1]):
            squared += (int(x @ y) << (22 * (i + j))) * (1 if i == j else 2)
    return total, absolute, squared
