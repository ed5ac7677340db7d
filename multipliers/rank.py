"""Rank over the rationals of integer matrices, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from multipliers.operands import IntArray
from multipliers.table import integer_table

PRIMES = (2**31 - 1, 2**31 - 19)
"""The moduli; products of two residues fit 62 bits."""


@dataclass(frozen=True)
class RankProfile:
    """A largest set of rows and columns known to be independent.

    Attributes
    ----------
    rows, columns : tuple of int
        Pivot positions, ascending; the sub-matrix ``matrix[np.ix_(rows, columns)]`` is square and non-singular over the
        rationals, and every row and column of the matrix is (see `rank_profile`) a combination of these.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of pivots."""
        return len(self.rows)


def integer_rank(matrix: ArrayLike) -> int:
    """Rank over the rationals of an integer matrix.

    The rank modulo a prime never exceeds the rank over the rationals; this is the larger of the ranks modulo two 31-bit
    primes. It is therefore a proven lower bound, and below the true rank only if *both* primes divide every minor of
    the size of the true rank. An exact factorisation with as many terms proves equality.

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
    return rank_profile(matrix).rank


def rank_profile(matrix: ArrayLike) -> RankProfile:
    """Find rows and columns of an integer matrix whose sub-matrix is non-singular and as large as the rank.

    The sub-matrix is non-singular for certain: its determinant is not 0 modulo a prime. That it is the largest is
    certain up to the caveat of `integer_rank`.

    Parameters
    ----------
    matrix : array_like of int, shape (rows, columns)
        Values in the range of int64.

    Raises
    ------
    TableError
        As for `integer_rank`.

    Examples
    --------
    >>> rank_profile([[0, 0, 0], [0, 2, 4], [1, 1, 2]])
    RankProfile(rows=(1, 2), columns=(0, 1))
    """
    table = integer_table(matrix)
    best = RankProfile((), ())
    for prime in PRIMES:
        profile = _profile_modulo(table, prime)
        if profile.rank > best.rank:
            best = profile
        if best.rank == min(table.shape):
            break
    return best


def _profile_modulo(table: IntArray, prime: int) -> RankProfile:
    """Gaussian elimination modulo a prime below 2**31; a column without a pivot costs one look."""
    p = np.uint64(prime)
    work = np.remainder(table, prime).astype(np.uint64)
    if work.shape[0] < work.shape[1]:  # the loop runs over the shorter side
        turned = _eliminate(np.ascontiguousarray(work.T), p)
        return RankProfile(turned.columns, turned.rows)
    return _eliminate(work, p)


def _eliminate(work: np.ndarray[tuple[int, ...], np.dtype[np.uint64]], p: np.uint64) -> RankProfile:
    order = np.arange(work.shape[0])
    columns: list[int] = []
    for column in range(work.shape[1]):
        rank = len(columns)
        candidates = np.flatnonzero(work[rank:, column])
        if candidates.size == 0:
            continue
        pivot = rank + int(candidates[0])
        if pivot != rank:
            work[[rank, pivot]] = work[[pivot, rank]]
            order[[rank, pivot]] = order[[pivot, rank]]
        columns.append(column)
        # subtracting c times the pivot row is adding (p - c) times it: no sign, and r + (p - 1)**2 < 2**63
        scale = pow(int(work[rank, column]), -1, int(p))
        factors = (p - work[rank + 1 :, column]) % p * np.uint64(scale) % p
        rest = work[rank + 1 :, column + 1 :]
        update = np.multiply.outer(factors, work[rank, column + 1 :])
        update += rest
        rest[...] = update - update // p * p  # NumPy divides by a scalar with SIMD multiplications; % it does not
    rank = len(columns)
    return RankProfile(tuple(sorted(order[:rank].tolist())), tuple(columns))
