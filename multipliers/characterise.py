"""Everything that can be said of a multiplier by itself, in one object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from multipliers.distributions import normalised_weights, weighted_pairs
from multipliers.errors import ParameterError
from multipliers.intervals import DEFAULT_CONFIDENCE
from multipliers.metric_values import Comparison, ErrorMetrics, Normaliser, Relative
from multipliers.metrics import MAX_EXHAUSTIVE_PAIRS, MAX_STREAMED_PAIRS, Progress, error_metrics
from multipliers.multiplier import Multiplier
from multipliers.operands import OperandFormat
from multipliers.profiles import (
    ErrorProfile,
    Histogram,
    error_histogram,
    error_profile,
    relative_error_histogram,
)
from multipliers.records import Record
from multipliers.spectrum import Spectrum, product_and_error_spectrum, random_submatrix
from multipliers.structure import SAMPLE as STRUCTURE_SAMPLE
from multipliers.structure import Structure, find_structure
from multipliers.summary import SummaryRow, summary_rows
from multipliers.table import TableMultiplier

HISTOGRAM_SAMPLE = 1 << 20
"""Operand pairs behind the histograms of a wide multiplier."""

PROFILE_VALUES = 128
"""Values at which the profiles of a multiplier above 2**24 pairs are taken."""

SUBMATRIX_SIDE = 256
"""Rows and columns of the random sub-matrix behind rank and spectrum of a wide multiplier."""


class DotProductError(NamedTuple):
    """Error of a dot product of ``length`` independent products: mean ``bias`` and standard deviation ``sd`` (LSB)."""

    length: int
    bias: float
    sd: float


@dataclass(frozen=True, eq=False)
class Characterisation(Record):
    """What `characterise` found.

    Attributes
    ----------
    name : str
        The multiplier's label.
    a, b : OperandFormat
        Its operand formats.
    fingerprint : str
        SHA-256 of the canonical table, or where ``complete`` is false of the products at 65,536 fixed pairs
        (`Multiplier.sample_fingerprint`).
    complete : bool
        Whether structure, profiles, histograms and spectra rest on every operand pair; otherwise each says what it
        rests on. ``metrics.comparison`` says it of the metrics.
    metrics : ErrorMetrics
        The error metrics.
    structure : Structure
        Laws of the accurate product that hold.
    profile_a, profile_b : ErrorProfile
        Error given one operand.
    error_histogram, relative_error_histogram : Histogram
        Of E (LSB), and of E/P over the pairs with P != 0.
    product_spectrum, error_spectrum : Spectrum
        Rank and singular spectrum of F and of E.
    """

    name: str
    a: OperandFormat
    b: OperandFormat
    fingerprint: str
    complete: bool
    metrics: ErrorMetrics
    structure: Structure
    profile_a: ErrorProfile
    profile_b: ErrorProfile
    error_histogram: Histogram
    relative_error_histogram: Histogram
    product_spectrum: Spectrum
    error_spectrum: Spectrum

    @property
    def n_exact_products(self) -> int:
        """Ordinary products that simulate the multiplier exactly: min(rank F, 1 + rank E)."""
        return min(self.product_spectrum.rank, 1 + self.error_spectrum.rank)

    def expected_dot_product_error(self, length: int) -> DotProductError:
        """Error of a sum of ``length`` products of independent operand pairs.

        The mean error adds up, ``length * bias``; the random part grows with the root, ``sqrt(length) * sd``.

        Raises
        ------
        ParameterError
            If ``length`` is below 1.
        """
        if length < 1:
            raise ParameterError(f"length must be at least 1, got {length}")
        return DotProductError(length, length * self.metrics.mean_error, math.sqrt(length) * self.metrics.sd)

    def summary(self) -> tuple[SummaryRow, ...]:
        """Return the report, line by line; see `multipliers.summary`."""
        return summary_rows(self)


def characterise(
    multiplier: Multiplier,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
    *,
    comparison: Comparison | None = None,
    sample: int | None = None,
    relative: Relative = "nonzero",
    normaliser: Normaliser = "2^(n+m)",
    confidence: float = DEFAULT_CONFIDENCE,
    n_bins: int = 64,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Characterisation:
    """Measure the error, structure, profiles, histograms, ranks and singular spectra of a multiplier.

    Up to 2**20 operand pairs everything rests on the whole table (but for metrics, if a sample is asked for). Above,
    each part rests on what its own field says:

    * metrics are streamed (to 2**24 pairs, or on ``comparison="streamed"``) or sampled, then with confidence intervals:
      ``metrics.comparison``, ``metrics.intervals``;
    * structure rests on 2**18 drawn pairs, the histograms on 2**20: their ``comparison``;
    * profiles hold every value up to 2**24 pairs, 128 evenly spaced ones above (``every_value``), each against every
      value of the other operand, or 65,536 drawn ones if it has more (``comparison``);
    * ranks and spectra are those of a random 256 x 256 sub-matrix: their ``complete``. Ranks are then lower bounds, and
      the shares of the norm estimates.

    Parameters
    ----------
    multiplier : Multiplier
        What to characterise.
    weights_a, weights_b : array_like of float, optional
        Operand distributions, for everything but structure and rank; see `error_metrics`.
    comparison, sample, relative, normaliser, confidence
        How metrics are compared and normalised, and how sure the intervals of sampled ones are; see `error_metrics`.
    n_bins : int
        Most bins of a histogram, from 4.
    workers : int, optional
        Threads that compare every pair of a wide multiplier, see `error_metrics`.
    progress : callable, optional
        Called as ``progress(pairs_done, pairs_in_all)`` while the metrics are measured.

    Raises
    ------
    ParameterError
        As for `error_metrics`, or if ``n_bins`` is below 4.

    Examples
    --------
    >>> from multipliers import get
    >>> c = characterise(get("bam4u_h0v2"))
    >>> c.structure.commutative, c.product_spectrum.rank, c.error_spectrum.rank
    (True, 3, 2)
    """
    if n_bins < 4:
        raise ParameterError(f"n_bins must be at least 4, got {n_bins}")
    weighted = weights_a is not None or weights_b is not None
    p = normalised_weights(multiplier.a, weights_a, "a") if weighted else None
    q = normalised_weights(multiplier.b, weights_b, "b") if weighted else None
    complete = multiplier.n_pairs <= MAX_EXHAUSTIVE_PAIRS
    source = multiplier
    if complete and not isinstance(multiplier, TableMultiplier):  # evaluate a slow model once
        source = TableMultiplier(multiplier.table(), multiplier.a, multiplier.b, multiplier.name)
    metrics = error_metrics(
        source,
        p,
        q,
        comparison=comparison,
        sample=sample,
        relative=relative,
        normaliser=normaliser,
        confidence=confidence,
        workers=workers,
        progress=progress,
    )

    if complete:
        a, b = (grid.reshape(-1) for grid in np.meshgrid(source.a.values(), source.b.values(), indexing="ij"))
        pair_weights = None if p is None or q is None else np.multiply.outer(p, q).reshape(-1)
    else:
        a, b = weighted_pairs(source.a, source.b, HISTOGRAM_SAMPLE, 0, p, q)
        pair_weights = None
    exact = a * b
    errors = source(a, b) - exact
    counted: Comparison = "exhaustive" if complete else "sampled"
    if pair_weights is not None and not pair_weights.all():
        kept = pair_weights > 0
        exact, errors, pair_weights = exact[kept], errors[kept], pair_weights[kept]
    histogram = error_histogram(errors, pair_weights, n_bins, counted)
    kept = exact != 0
    ratios = errors[kept] / exact[kept]
    relative_histogram = relative_error_histogram(
        ratios, None if pair_weights is None else pair_weights[kept], n_bins, counted
    )

    rows, columns = (
        (source.a.values(), source.b.values()) if complete else random_submatrix(source, SUBMATRIX_SIDE, p, q)
    )
    row_weights = None if p is None else p[rows - source.a.minimum]
    column_weights = None if q is None else q[columns - source.b.minimum]
    product_spectrum, error_spectrum = product_and_error_spectrum(
        source(rows[:, None], columns), rows, columns, row_weights, column_weights, complete
    )
    n_values = None if source.n_pairs <= MAX_STREAMED_PAIRS else PROFILE_VALUES
    return Characterisation(
        name=multiplier.name,
        a=multiplier.a,
        b=multiplier.b,
        fingerprint=source.fingerprint() if complete else source.sample_fingerprint(),
        complete=complete,
        metrics=metrics,
        structure=find_structure(source, None if complete else STRUCTURE_SAMPLE),
        profile_a=error_profile(source, "a", q, n_values, workers),
        profile_b=error_profile(source, "b", p, n_values, workers),
        error_histogram=histogram,
        relative_error_histogram=relative_histogram,
        product_spectrum=product_spectrum,
        error_spectrum=error_spectrum,
    )
