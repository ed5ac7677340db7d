"""Rank over the rationals of integer matrices, with NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from multipliers.distributions import FloatArray
from multipliers.operands import IntArray
from multipliers.table import integer_table

PRIMES = (2**27 - 39, 2**27 - 79)
"""The moduli: residues between ``-p/2`` and ``p/2``, whose products float64 holds exactly."""


def integer_rank(matrix: ArrayLike) -> int:
    """Rank over the rationals of an integer matrix.

    The rank modulo a prime never exceeds the rank over the rationals; this is the larger of the ranks modulo two 27-bit
    primes, after rows and columns that are multiples of others have been left out. It is therefore a proven lower
    bound, and below the true rank only if *both* primes divide every minor of the size of the true rank. An exact
    factorisation with as many terms proves equality.

    Parameters
    ----------
    matrix : array_like of int, shape (rows, columns)
        Values in the range of int64.

    Raises
    ------
    TableError
        If the matrix is not two-dimensional or holds anything but integers in the range of int64.

    Examples
    --------
    >>> integer_rank([[1, 2, 3], [2, 4, 6], [0, 0, 1]])
    2
    """
    condensed = _distinct_columns(_distinct_rows(integer_table(matrix)))
    rank = 0
    for prime in PRIMES:
        rank = max(rank, len(_eliminate(condensed, prime, border=0)[0]))
        if rank == min(condensed.shape):
            break
    return rank


def error_and_product_ranks(errors: ArrayLike, a: ArrayLike, b: ArrayLike) -> tuple[int, int]:
    """Ranks of the error matrix E and of the product matrix F = E + a b', by one elimination for both.

    The Schur complement of the last entry of the bordered matrix ``M = [[E, a], [-b', 1]]`` is F, so ``rank M = 1 +
    rank F``. Elimination that takes its pivots from E first gives rank E; the border that it leaves tells the rest.
    Both are bounds as in `integer_rank`.

    Parameters
    ----------
    errors : array_like of int, shape (rows, columns)
        E, in the range of int64.
    a, b : array_like of int, shapes (rows,) and (columns,)
        Operand values of rows and columns.

    Raises
    ------
    TableError
        As for `integer_rank`.

    Examples
    --------
    >>> error_and_product_ranks([[0, -1], [-2, -4]], [1, 2], [1, 2])  # F = [[1, 1], [0, 0]]
    (2, 1)
    """
    E = integer_table(errors)
    x, y = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    upper = _distinct_rows(np.column_stack([E, x]))
    condensed = _distinct_columns(np.vstack([upper, np.append(-y, 1)]), border=1)
    inner = condensed[:-1, :-1]
    most_e = min(int(inner.any(axis=1).sum()), int(inner.any(axis=0).sum()))
    most_f = min(*inner.shape, most_e + 1)
    rank_e = rank_f = 0
    for prime in PRIMES:
        pivots, work = _eliminate(condensed, prime, border=1)
        found = len(pivots)
        column = work[found:-1, -1].any()
        row = np.delete(work[-1, :-1], pivots).any()
        # what is left of M has the rank of [[0, column], [row, corner]]
        left = 2 if column and row else 1 if column or row or work[-1, -1] else 0
        rank_e, rank_f = max(rank_e, found), max(rank_f, found + left - 1)
        if (rank_e, rank_f) == (most_e, most_f):
            break
    return rank_e, rank_f


def _distinct_rows(matrix: IntArray) -> IntArray:
    """Leave out rows that are zero or multiples of others (designs that shift or truncate have many)."""
    rows: IntArray = matrix[matrix.any(axis=1)]
    if 0 in rows.shape:
        return rows
    rows = rows // np.gcd.reduce(rows, axis=1)[:, None]
    leading = rows[np.arange(len(rows)), (rows != 0).argmax(axis=1)]
    negative = (leading < 0) & (rows > np.iinfo(np.int64).min).all(axis=1)  # -2**63 has no negative
    rows[negative] *= -1
    key = np.random.default_rng(0).integers(-(1 << 62), 1 << 62, rows.shape[1])
    _, first, which = np.unique(rows @ key, return_index=True, return_inverse=True)
    if not np.array_equal(rows[first][which], rows):  # equal keys of different rows, as good as impossible
        return rows
    kept: IntArray = rows[np.sort(first)]
    return kept


def _distinct_columns(matrix: IntArray, border: int = 0) -> IntArray:
    """Leave out columns likewise, all but the last ``border``."""
    n = matrix.shape[1] - border
    columns: IntArray = np.vstack([_distinct_rows(matrix.T[:n]), matrix.T[n:]])
    return np.ascontiguousarray(columns.T)


def _eliminate(matrix: IntArray, prime: int, border: int) -> tuple[list[int], FloatArray]:
    """Gaussian elimination modulo a prime below 2**27, with no pivot in the last ``border`` rows and columns.

    Returns
    -------
    pivots : list of int
        Columns with a pivot.
    work : ndarray of float64
        Residues. What is left of rows beyond the pivots: in a column without a pivot, and in the border, its Schur
        complement. Of a matrix of fewer rows than columns it is the transpose, with pivots in rows: the loop runs over
        the shorter side.
    """
    residues = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    work = np.ascontiguousarray(np.remainder(residues, prime), dtype=np.float64)
    room = np.empty((2, work.size))
    _reduce(work, prime, room[1])
    last = work.shape[0] - border
    pivots: list[int] = []
    for column in range(work.shape[1] - border):
        rank = len(pivots)
        candidates = np.flatnonzero(work[rank:last, column])  # a column without a pivot costs one look
        if candidates.size == 0:
            continue
        pivot = rank + int(candidates[0])
        if pivot != rank:
            work[[rank, pivot]] = work[[pivot, rank]]
        pivots.append(column)
        factors = work[rank + 1 :, column] * _centred(pow(int(work[rank, column]), -1, prime), prime)
        _reduce(factors, prime, room[1])
        rest = work[rank + 1 :, column + 1 :]
        update = room[0, : rest.size].reshape(rest.shape)
        np.multiply(factors[:, None], work[rank, column + 1 :], out=update)
        np.subtract(rest, update, out=rest)
        _reduce(rest, prime, room[1])
        if len(pivots) == last:
            break
    return pivots, work


def _reduce(x: FloatArray, prime: int, room: FloatArray) -> None:
    """Bring whole numbers below 2**53 between ``-p/2 - 2`` and ``p/2 + 2``, in place: 0 is then the only 0."""
    multiple = room[: x.size].reshape(x.shape)
    np.multiply(x, 1 / prime, out=multiple)
    np.rint(multiple, out=multiple)
    np.multiply(multiple, prime, out=multiple)
    np.subtract(x, multiple, out=x)


def _centred(residue: int, prime: int) -> int:
    return residue - prime if residue > prime // 2 else residue
