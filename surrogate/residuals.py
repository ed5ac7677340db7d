"""Residuals summed up block by block, so that the sum depends neither on threads nor on interruptions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from multipliers.operands import IntArray
from surrogate.basis import FactorArray
from surrogate.certificate import Certificate

MOST_PER_BLOCK = 64
MOST_IN_ALL = 1 << 12

Difference = tuple[int, int, int]
"""Operands ``a`` and ``b`` of a product that differs, and the multiplier's product."""


@dataclass(frozen=True)
class Residuals:
    """What is kept of the residuals ``model - products`` of some operand pairs.

    Attributes
    ----------
    n_pairs, n_different : int
        Pairs compared; pairs whose residual is half an LSB or more.
    largest : float
        Largest magnitude.
    total, absolute, squared : Fraction
        Sums over the pairs. Those of blocks are floats, and adding these up is exact.
    differences : tuple of (a, b, product)
        Some of the pairs that differ, where they were asked for: at most 64 a block, spread over it.
    """

    n_pairs: int = 0
    n_different: int = 0
    largest: float = 0.0
    total: Fraction = Fraction(0)
    absolute: Fraction = Fraction(0)
    squared: Fraction = Fraction(0)
    differences: tuple[Difference, ...] = ()

    @classmethod
    def of(cls, a: IntArray, b: IntArray, model: FactorArray, products: IntArray, keep: bool = False) -> Residuals:
        """Sum up one block; ``a`` and ``b`` broadcast to the shape of the model, ``keep`` notes differences."""
        difference = model - products
        if not difference.any():  # the usual case of an exact surrogate
            return cls(difference.size)
        residual = difference.astype(np.float64)
        magnitude = np.abs(residual)
        return cls(
            n_pairs=residual.size,
            n_different=int((magnitude >= 0.5).sum()),
            largest=float(magnitude.max()),
            total=Fraction(float(residual.sum())),
            absolute=Fraction(float(magnitude.sum())),
            squared=Fraction(float(np.square(residual).sum())),
            differences=_some_differences(a, b, difference, products) if keep else (),
        )

    def plus(self, other: Residuals) -> Residuals:
        """Residuals of both, one after the other."""
        differences = self.differences + other.differences
        while len(differences) > MOST_IN_ALL:
            differences = differences[::2]
        return Residuals(
            self.n_pairs + other.n_pairs,
            self.n_different + other.n_different,
            max(self.largest, other.largest),
            self.total + other.total,
            self.absolute + other.absolute,
            self.squared + other.squared,
            differences,
        )

    def certificate(self, comparison: str) -> Certificate:
        """Write them down, uniformly weighted."""
        return Certificate(
            comparison=comparison,
            n_pairs=self.n_pairs,
            n_different=self.n_different,
            max_abs_residual=self.largest,
            mean_abs_residual=float(self.absolute) / self.n_pairs,
            rms_residual=math.sqrt(float(self.squared) / self.n_pairs),
            residual_bias=float(self.total) / self.n_pairs,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values that lose nothing."""
        sums = {name: getattr(self, name).as_integer_ratio() for name in ("total", "absolute", "squared")}
        return {
            "n_pairs": self.n_pairs,
            "n_different": self.n_different,
            "largest": self.largest,
            **{name: list(ratio) for name, ratio in sums.items()},
            "differences": [list(difference) for difference in self.differences],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Residuals:
        """Build them from their stored form."""
        sums = {name: Fraction(*data[name]) for name in ("total", "absolute", "squared")}
        return cls(**{**data, **sums, "differences": tuple((a, b, product) for a, b, product in data["differences"])})


def _some_differences(a: IntArray, b: IntArray, difference: FactorArray, products: IntArray) -> tuple[Difference, ...]:
    at = np.nonzero(difference)
    chosen = tuple(i[spread(len(i), MOST_PER_BLOCK)] for i in at)
    columns = (np.broadcast_to(values, difference.shape)[chosen].tolist() for values in (a, b, products))
    return tuple(zip(*columns, strict=True))


def spread(n: int, most: int) -> IntArray:
    """At most ``most`` of ``n`` indices, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
