"""How error metrics add up over blocks of products; `multipliers.metric_values` defines them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from multipliers.distributions import FloatArray
from multipliers.errors import ParameterError
from multipliers.metric_values import (
    NORMALISERS,
    RELATIVES,
    Comparison,
    ErrorMetrics,
    Normaliser,
    Relative,
    check_name,
    normaliser_value,
)
from multipliers.operands import IntArray, OperandFormat
from multipliers.sums import Moments, exact_sums

_CHUNK = 1 << 15
"""Products that are worked on at once: their arrays stay in the second-level cache and in the allocator's reach. Ten
arrays of some megabytes each would be returned to the system and faulted in anew for every block."""


class ErrorAccumulator:
    """Collects products block by block; `result` gives the metrics of all blocks together.

    Without weights, sums of E, abs(E) and E^2 are exact integers, whatever the operand width, so the absolute metrics
    are correctly rounded and do not depend on how the pairs were split into blocks. Weighted sums and sums of E/P are
    pairwise float64 sums.

    Parameters
    ----------
    a, b : OperandFormat
        Operand formats; they set the word of the Hamming distance and the normaliser.
    weighted : bool
        Whether blocks come with weights.
    relative, normaliser : str
        Conventions of ``mre`` and ``nmed``, see `ErrorMetrics`.

    Examples
    --------
    >>> four = OperandFormat(4)
    >>> accumulator = ErrorAccumulator(four, four)
    >>> accumulator.add(exact=[6, 9], approximate=[6, 8])
    >>> accumulator.result("exhaustive").mean_error
    -0.5
    """

    def __init__(
        self,
        a: OperandFormat,
        b: OperandFormat,
        *,
        weighted: bool = False,
        relative: Relative = "nonzero",
        normaliser: Normaliser = "2^(n+m)",
    ) -> None:
        check_name("relative", relative, RELATIVES)
        check_name("normaliser", normaliser, NORMALISERS)
        self.a, self.b = a, b
        self.weighted, self.relative, self.normaliser = weighted, relative, normaliser
        self._word = np.uint64((1 << (a.bits + b.bits)) - 1)
        self._n_pairs = 0
        self._sums: dict[str, list[float]] = {}  # per chunk: Python integers without weights, else floats
        self._errors, self._ratios = Moments(), Moments()
        self._error_range: tuple[int, int] | None = None
        self._ratio_range = (math.nan, math.nan)

    def add(self, exact: ArrayLike, approximate: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Add a block of products.

        Parameters
        ----------
        exact, approximate : array_like of int
            Products of the same operand pairs, in any order; they broadcast against each other.
        weights : array_like of float, optional
            Probability of each pair up to a common factor. Pairs of weight 0 do not count at all.

        Raises
        ------
        ParameterError
            If weights are given to an unweighted accumulator or missing from a weighted one, or if an error does not
            fit int64.
        """
        if (weights is not None) != self.weighted:
            raise ParameterError(
                "this accumulator is weighted: every block needs weights"
                if self.weighted
                else "this accumulator takes no weights; build it with weighted=True"
            )
        blocks = np.broadcast_arrays(np.asarray(exact, dtype=np.int64), np.asarray(approximate, dtype=np.int64))
        P, F = (block.reshape(-1) for block in blocks)
        w = None if weights is None else np.broadcast_to(np.asarray(weights, dtype=np.float64), blocks[0].shape)
        w = None if w is None else w.reshape(-1)
        if w is not None and not (w > 0).all():
            kept = w > 0
            P, F, w = P[kept], F[kept], w[kept]
        for start in range(0, P.size, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            self._add_chunk(P[chunk], F[chunk], None if w is None else w[chunk])

    def _add_chunk(self, P: IntArray, F: IntArray, w: FloatArray | None) -> None:
        E = F - P
        if int(F.max()) - int(P.min()) >= 1 << 63 or int(F.min()) - int(P.max()) < -(1 << 63):
            wrapped = ((F ^ P) & (F ^ E)) < 0
            if wrapped.any():
                at = int(np.argmax(wrapped))
                raise ParameterError(f"the error of {int(F[at])} against {int(P[at])} does not fit int64")
        low, high = int(E.min()), int(E.max())
        seen = self._error_range or (low, high)
        self._error_range = min(low, seen[0]), max(high, seen[1])
        self._n_pairs += E.size
        differing = np.bitwise_count((F ^ P).view(np.uint64) & self._word)
        if w is None:
            total, absolute, squared = exact_sums(E, max(-low, high))
            self._sum("weight", E.size)
            self._sum("error", total)
            self._sum("absolute", absolute)
            self._sum("squared", squared)
            self._sum("positive", int(np.count_nonzero(E > 0)))
            self._sum("negative", int(np.count_nonzero(E < 0)))
            self._sum("differing", int(differing.sum(dtype=np.int64)))
        else:
            real = E.astype(np.float64)
            self._errors.add(real, w)
            self._sum("weight", float(w.sum()))
            self._sum("error", float((w * real).sum()))
            self._sum("absolute", float((w * np.abs(real)).sum()))
            self._sum("squared", float((w * real * real).sum()))
            self._sum("positive", float(w[E > 0].sum()))
            self._sum("negative", float(w[E < 0].sum()))
            self._sum("differing", float((w * differing).sum()))
        self._add_ratios(P, E, w)

    def _add_ratios(self, P: IntArray, E: IntArray, w: FloatArray | None) -> None:
        nonzero = P != 0
        if not nonzero.all():
            if self.relative == "max1":
                size = np.abs(E[~nonzero].astype(np.float64))  # abs(-2**63) would wrap in int64
                self._sum("absolute_at_zero", float((size if w is None else size * w[~nonzero]).sum()))
            P, E, w = P[nonzero], E[nonzero], None if w is None else w[nonzero]
        if P.size == 0:
            return
        ratio = E / P
        self._ratios.add(ratio, w)
        size = np.abs(ratio)
        self._sum("relative", float((size if w is None else size * w).sum()))
        low, high = self._ratio_range
        self._ratio_range = float(np.fmin(low, ratio.min())), float(np.fmax(high, ratio.max()))

    def merge(self, other: ErrorAccumulator) -> None:
        """Add what another accumulator of the same settings has collected."""
        self._n_pairs += other._n_pairs
        for name, terms in other._sums.items():
            self._sums.setdefault(name, []).extend(terms)
        self._errors.merge(other._errors)
        self._ratios.merge(other._ratios)
        if other._error_range is not None:
            low, high = other._error_range
            seen = self._error_range or (low, high)
            self._error_range = min(low, seen[0]), max(high, seen[1])
        lows, highs = zip(self._ratio_range, other._ratio_range, strict=True)
        self._ratio_range = float(np.fmin(*lows)), float(np.fmax(*highs))

    def _sum(self, name: str, value: float) -> None:
        self._sums.setdefault(name, []).append(value)

    def _total(self, name: str) -> float:
        terms = self._sums.get(name, [])
        return sum(terms) if all(isinstance(term, int) for term in terms) else math.fsum(terms)

    def result(self, comparison: Comparison) -> ErrorMetrics:
        """Return the metrics of everything added so far.

        Raises
        ------
        ParameterError
            If nothing (of non-zero weight) was added.
        """
        if self._error_range is None:
            raise ParameterError("no operand pair of non-zero weight was added, so there is nothing to measure")
        weight, absolute, squared = self._total("weight"), self._total("absolute"), self._total("squared")
        positive, negative = self._total("positive"), self._total("negative")
        if self.weighted:
            variance = self._errors.variance
        else:  # in integers: no cancellation however large the bias
            variance = (weight * squared - self._total("error") ** 2) / weight**2
        mae, mse = absolute / weight, squared / weight
        relative, over = self._total("relative"), self._ratios.weight
        if self.relative == "max1":
            relative, over = relative + self._total("absolute_at_zero"), weight
        low, high = self._ratio_range
        return ErrorMetrics(
            n_pairs=self._n_pairs,
            comparison=comparison,
            weighted=self.weighted,
            mean_error=self._total("error") / weight,
            mae=mae,
            wce=max(-self._error_range[0], self._error_range[1]),
            error_probability=min(1.0, (positive + negative) / weight),
            positive_error_probability=min(1.0, positive / weight),
            negative_error_probability=min(1.0, negative / weight),
            mse=mse,
            rmse=math.sqrt(mse),
            variance=variance,
            sd=math.sqrt(variance),
            mre=relative / over if over else math.nan,
            relative_bias=self._ratios.mean if self._ratios.weight else math.nan,
            relative_sd=math.sqrt(self._ratios.variance) if self._ratios.weight else math.nan,
            wcre=math.nan if math.isnan(low) else max(-low, high),
            min_error=self._error_range[0],
            max_error=self._error_range[1],
            min_relative_error=low if not math.isnan(low) else math.nan,
            max_relative_error=high if not math.isnan(high) else math.nan,
            mean_hamming_distance=self._total("differing") / weight,
            nmed=mae / normaliser_value(self.a, self.b, self.normaliser),
            wmed=mae if self.weighted else None,
            relative=self.relative,
            normaliser=self.normaliser,
        )
