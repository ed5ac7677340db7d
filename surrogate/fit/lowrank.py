"""The best ``k`` products in weighted least squares, with the mean error preserved.

Minimise ``sum_ab p(a) q(b) (F - X)**2`` over tables ``X`` of rank at most ``k``, subject to
``sum_ab p(a) q(b) (F - X) = 0``: a lossy surrogate must not add bias, which grows with the length of a dot product
while random error grows with its square root only. With rows and columns scaled by ``sqrt(p)`` and ``sqrt(q)`` this is
a plain low-rank approximation with one linear constraint. By Lagrangian duality the solution is the truncated SVD
(Eckart, Young, Psychometrika 1, 1936) of ``F + t`` (scaled alike) for the one constant ``t`` that meets the constraint.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from threadpoolctl import threadpool_limits

from multipliers.distributions import FloatArray, normalised_weights
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from surrogate.basis import Constant, Table
from surrogate.errors import FitError
from surrogate.fit.exact import fit_exact
from surrogate.fit.weighted_svd import DENSE_SVD, unscaled, weighted_svd
from surrogate.model import Term


def fit_lowrank(
    multiplier: Multiplier, *, terms: int, weights_a: ArrayLike | None = None, weights_b: ArrayLike | None = None
) -> list[Term]:
    """Find the best ``terms`` separable terms under operand distributions, without adding bias.

    Where that many terms reproduce the multiplier exactly, the exact integer ones are returned.

    Parameters
    ----------
    multiplier : Multiplier
        With a table of at most 2**24 entries.
    terms : int
        ``k``, at least 1.
    weights_a, weights_b : array_like of float, optional
        Operand distributions: a non-negative weight per value of the format, in natural order, such as histograms of
        a layer's operands; normalised here. Uniform by default. Values of weight zero get the factors that fit them
        best, at no cost to the others.

    Returns
    -------
    list of Term
        ``terms`` or fewer.

    Raises
    ------
    FitError
        If ``terms`` is not positive, or the table is too large.
    ParameterError
        If weights have the wrong shape or values.
    """
    if isinstance(terms, bool) or not isinstance(terms, int) or terms < 1:
        raise FitError(f"terms must be a positive integer, got {terms!r}")
    if multiplier.n_pairs > MAX_TABLE_ENTRIES:
        raise FitError(
            f"method='lowrank' needs the whole table, and that of {multiplier.a} x {multiplier.b} operands has more "
            f"than 2**24 entries; give products instead of terms, or take method='exact' or 'htp'"
        )
    p = normalised_weights(multiplier.a, weights_a, "a")
    q = normalised_weights(multiplier.b, weights_b, "b")
    try:
        return fit_exact(multiplier, max_terms=terms)[0]
    except FitError:
        pass  # not exact with so few terms: the usual case
    table = multiplier.table().astype(np.float64)
    rank = min(terms, *table.shape)
    with threadpool_limits(1 if min(table.shape) <= DENSE_SVD else None):  # threads slow small problems down
        left, right, offset = _constrained(table, p, q, rank)
    found = [Term(1, Table(multiplier.a, g), Table(multiplier.b, h)) for g, h in zip(left.T, right.T, strict=True)]
    if offset != 0:
        found.append(Term(offset, Constant(), Constant()))
    return found


def _constrained(table: FloatArray, p: FloatArray, q: FloatArray, rank: int) -> tuple[FloatArray, FloatArray, float]:
    """Factors of the best approximation of at most ``rank``, and a constant that is one of its terms (mostly 0)."""
    mean = float(p @ table @ q)
    negligible = 1e-12 * max(1.0, float(np.abs(table).max()))

    def bias(shift: float) -> float:
        left, right = _truncated_svd(table, p, q, rank, shift)
        difference = float((p @ left) @ (right.T @ q)) - mean
        return 0.0 if abs(difference) <= negligible else difference

    low = high = 0.0
    step = max(abs(bias(0.0)), 1e-9)
    while bias(low) > 0:  # the bias never falls as the shift grows
        low, step = low - step, 4 * step
    while bias(high) < 0:
        high, step = high + step, 4 * step
    shift = low if low == high else float(brentq(bias, low, high, xtol=1e-14))
    left, right = _truncated_svd(table, p, q, rank, shift)
    if abs(bias(shift)) <= 1e3 * negligible:
        return left, right, 0.0
    # Singular values cross at the solution and the bias jumps there: spend one term on the constant instead.
    left, right = _truncated_svd(table, p, q, rank - 1, 0.0)
    return left, right, mean - float((p @ left) @ (right.T @ q))


def _truncated_svd(
    table: FloatArray, p: FloatArray, q: FloatArray, rank: int, shift: float
) -> tuple[FloatArray, FloatArray]:
    """Balanced factors ``(n, rank)`` and ``(m, rank)`` of the best approximation of ``table + shift``."""
    shifted = table + shift
    u, s, vt, _ = weighted_svd(shifted, np.sqrt(p), np.sqrt(q), rank)
    return unscaled(shifted, p, q, u, s, vt)
