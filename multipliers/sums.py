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
    if largest * largest * size < 1 << 53:  # float64 dot products are exact here, and fast
        real = E.astype(np.float64)
        return total, absolute, int(real @ real)
    if largest * largest * size < 1 << 63:
        return total, absolute, int(E @ E)
    # limbs of 22 bits: products below 2**44, their sums below 2**62
    sizes = np.abs(E).view(np.uint64)
    limbs = [((sizes >> shift) & 0x3FFFFF).astype(np.int64) for shift in range(0, largest.bit_length(), 22)]
    squared = 0
    for i, x in enumerate(limbs):
        for j, y in enumerate(limbs[: i + 1]):
            squared += (int(x @ y) << (22 * (i + j))) * (1 if i == j else 2)
    return total, absolute, squared
