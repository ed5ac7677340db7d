"""Factors rounded to a narrow datatype, and fitted again after rounding.

Rounding a factor costs accuracy that the other factors can win back: columns are rounded one after another, those that
are left are fitted anew each time, and both operands take turns (alternating least squares). What is returned is what
runs: the residual that a certificate states is that of the rounded factors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multipliers.distributions import FloatArray
from multipliers.operands import IntArray
from surrogate.errors import FitError

DATATYPES = ("int8", "bfloat16")
"""Datatypes that factors can be rounded to; bfloat16 has 8 significant bits."""

_TURNS = 6


@dataclass(frozen=True)
class RoundedFactors:
    """``G ~ sum_j scale[j] left[:, j] right[:, j]'`` with integer factors that the datatype holds.

    Attributes
    ----------
    left, right : ndarray of int64, shapes (rows, k) and (columns, k)
    scale : ndarray of float64, shape (k,)
    """

    left: IntArray
    right: IntArray
    scale: FloatArray

    def product(self) -> FloatArray:
        """Return the matrix that they make."""
        whole: FloatArray = (self.left * self.scale) @ self.right.T
        return whole


def round_factors(
    matrix: FloatArray, p: FloatArray, q: FloatArray, left: FloatArray, right: FloatArray, datatype: str
) -> RoundedFactors:
    """Round factors of a matrix, in weighted least squares.

    Parameters
    ----------
    matrix : ndarray of float64, shape (rows, columns)
        What the factors are to give.
    p, q : ndarray of float64
        Weights of rows and columns.
    left, right : ndarray of float64, shapes (rows, k) and (columns, k)
        Factors before rounding, as `surrogate.fit.centred` finds.
    datatype : {"int8", "bfloat16"}
        Of both factors.

    Raises
    ------
    FitError
        If the datatype is unknown.
    """
    if datatype not in DATATYPES:
        raise FitError(f"factors must be one of 'float', {', '.join(map(repr, DATATYPES))}, got {datatype!r}")
    grid = _to_int8 if datatype == "int8" else _to_bfloat16
    best: tuple[float, RoundedFactors | None] = (np.inf, None)
    for _ in range(_TURNS):
        right_whole = _rounded(matrix.T, p, left, grid, right)
        left_whole = _rounded(matrix, q, right_whole, grid, left)
        right_whole = _rounded(matrix.T, p, left_whole, grid, right_whole)
        found = RoundedFactors(left_whole.astype(np.int64), right_whole.astype(np.int64), np.zeros(left.shape[1]))
        found = RoundedFactors(found.left, found.right, _scales(matrix, p, q, left_whole, right_whole))
        residual = float(p @ np.square(matrix - found.product()) @ q)
        if residual >= best[0] * (1 - 1e-6):
            break
        best = residual, found
        left = left_whole * found.scale
    assert best[1] is not None  # the first residual is finite
    return best[1]


def _rounded(
    matrix: FloatArray,
    weights: FloatArray,
    others: FloatArray,
    grid: Callable[[FloatArray], FloatArray],
    start: FloatArray,
) -> FloatArray:
    """Fit factors of the rows of a matrix to given factors of its columns, rounding one column after another."""
    gram = others.T @ (weights[:, None] * others)
    target = matrix @ (weights[:, None] * others)
    free = list(range(others.shape[1]))
    found = np.zeros_like(start)
    for j in range(others.shape[1]):
        solution = target @ np.linalg.pinv(gram[np.ix_(free, free)], hermitian=True)[:, 0]
        found[:, j] = grid(solution)
        scale = float(found[:, j] @ solution) / max(float(found[:, j] @ found[:, j]), 1e-300)
        target = target[:, 1:] - np.multiply.outer(scale * found[:, j], gram[j, free[1:]])
        free = free[1:]
    return found


def _scales(matrix: FloatArray, p: FloatArray, q: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """Solve for the coefficients of the rounded terms, in least squares."""
    gram = (left.T @ (p[:, None] * left)) * (right.T @ (q[:, None] * right))
    target = np.einsum("ij,ik,kj->j", p[:, None] * left, matrix, q[:, None] * right, optimize=True)
    scales: FloatArray = np.linalg.pinv(gram, hermitian=True) @ target
    return scales


def _to_int8(values: FloatArray) -> FloatArray:
    largest = float(np.abs(values).max(initial=0.0))
    return np.zeros_like(values) if largest == 0 else np.round(values * (127 / largest))


def _to_bfloat16(values: FloatArray) -> FloatArray:
    """Round to 8 significant bits, as integers: the largest has 20 bits, so that small ones keep their digits."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return np.zeros_like(values)
    scaled = np.round(values * ((1 << 20) / largest))
    mantissa, exponent = np.frexp(scaled)
    rounded: FloatArray = np.ldexp(np.round(mantissa * 256), exponent - 8)
    return np.round(rounded)
