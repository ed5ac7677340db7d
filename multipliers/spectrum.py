"""How separable a multiplier is: rank and singular spectrum of its table and of its error."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from multipliers.distributions import FloatArray
from multipliers.errors import ParameterError
from multipliers.multiplier import Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat
from multipliers.parallel import one_blas_thread
from multipliers.rank import error_and_product_ranks, integer_rank
from multipliers.records import Record

_SMALL = 512  # rows or columns up to which threads slow a decomposition down


@dataclass(frozen=True, eq=False)
class Spectrum(Record):
    """Rank and singular spectrum of one integer matrix.

    Attributes
    ----------
    rank : int
        Over the rationals (`multipliers.rank.integer_rank`).
    norm_left : ndarray of float64, shape (n,)
        ``norm_left[k]`` is the share of the Frobenius norm that the best k-term separable model leaves,
        ``sqrt(sum_{i >= k} s_i^2 / sum_i s_i^2)``: 1 at k = 0, down to 0 at k = rank. Rows and columns are first scaled
        by the square roots of the operand distributions where these are given (Eckart, Young, 1936).
        A matrix that is zero leaves ``[0]``.
    n_rows, n_columns : int
        Shape of the matrix.
    complete : bool
        Whether it is the whole table; else a sub-matrix of random rows and columns, whose rank is a lower bound.
    """

    rank: int
    norm_left: FloatArray
    n_rows: int
    n_columns: int
    complete: bool

    def terms_for(self, share: float) -> int:
        """Return the fewest separable terms that leave at most ``share`` of the norm.

        Raises
        ------
        ParameterError
            If ``share`` is negative.
        """
        if not share >= 0:
            raise ParameterError(f"share must be a number from 0, got {share!r}")
        return int(np.argmax(self.norm_left <= share))


def matrix_spectrum(
    matrix: IntArray,
    weights_rows: FloatArray | None = None,
    weights_columns: FloatArray | None = None,
    complete: bool = True,
    rank: int | None = None,
) -> Spectrum:
    """Rank (found here, if not given) and singular spectrum of an integer matrix.

    Examples
    --------
    >>> matrix_spectrum(np.array([[3, 0], [0, 4]])).norm_left
    array([1. , 0.6, 0. ])
    """
    rank = integer_rank(matrix) if rank is None else rank
    scaled = matrix.astype(np.float64)
    if weights_rows is not None:
        scaled *= np.sqrt(weights_rows)[:, None]
    if weights_columns is not None:
        scaled *= np.sqrt(weights_columns)[None, :]
    with one_blas_thread() if min(matrix.shape) <= _SMALL else nullcontext():
        singular = np.linalg.svd(scaled, compute_uv=False)[:rank]  # beyond the rank there is rounding only
    energy = np.cumsum(np.square(singular)[::-1])[::-1]
    left = np.sqrt(energy / energy[0]) if rank and energy[0] > 0 else np.zeros(0)
    return Spectrum(rank, np.append(left, 0.0), matrix.shape[0], matrix.shape[1], complete)


def product_and_error_spectrum(
    products: IntArray,
    a: IntArray,
    b: IntArray,
    weights_a: FloatArray | None = None,
    weights_b: FloatArray | None = None,
    complete: bool = True,
) -> tuple[Spectrum, Spectrum]:
    """Spectra of the products F at operand values ``a`` (rows) and ``b`` (columns), and of their errors F - a b'.

    Examples
    --------
    >>> F, E = product_and_error_spectrum(np.array([[0, 0], [0, 2]]), np.array([0, 1]), np.array([0, 1]))
    >>> F.rank, E.rank
    (1, 1)
    """
    errors = products - np.multiply.outer(a, b)
    rank_e, rank_f = error_and_product_ranks(errors, a, b)
    return (
        matrix_spectrum(products, weights_a, weights_b, complete, rank_f),
        matrix_spectrum(errors, weights_a, weights_b, complete, rank_e),
    )


def random_submatrix(
    multiplier: Multiplier,
    side: int,
    weights_a: FloatArray | None = None,
    weights_b: FloatArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Draw up to ``side`` distinct values of each operand, ascending, of non-zero probability; always the same."""
    drawn_a, drawn_b = sample_pairs(multiplier.a, multiplier.b, 1 << 16)
    return _distinct(multiplier.a, drawn_a, side, weights_a), _distinct(multiplier.b, drawn_b, side, weights_b)


def _distinct(format: OperandFormat, drawn: IntArray, side: int, weights: FloatArray | None) -> IntArray:
    if weights is not None:
        occurring = np.flatnonzero(weights) + format.minimum
        if occurring.size <= side:
            return occurring
        drawn = occurring[(drawn - format.minimum) % occurring.size]
    _, first = np.unique(drawn, return_index=True)
    return np.sort(drawn[np.sort(first)[:side]])
