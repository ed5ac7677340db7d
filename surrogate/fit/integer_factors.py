"""Integer matrices as products of two thin ones with small integer entries, from few of their rows and columns.

The rows of an integer matrix span a lattice: a basis of it is one factor, the coordinates of the rows are the other.
LLL reduction (Lenstra, Lenstra, Lovasz, Math. Ann. 261, 1982) makes the basis short, and `reduce_pairs` both factors at
once, so that they mostly fit 8 bits.

Only a cross of the matrix is read, ``r`` rows and ``r`` columns after some probing (skeleton decomposition, Goreinov,
Tyrtyshnikov, Zamarashkin, Linear Algebra Appl. 261, 1997), so 16-bit operands cost as little as 8-bit ones. All modular
results are verified in integers: a returned factorisation reproduces the rows and columns it was made from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multipliers.operands import IntArray
from surrogate.arithmetic import narrowest
from surrogate.errors import FitError
from surrogate.factors import Factors
from surrogate.fit.modular import cell_volume, differs, lift, lll, mod_product, pivots, solve_left
from surrogate.fit.pair_reduction import reduce_pairs

_PROBES = 256  # rows and columns of the first probe of a wide table
_ROUNDS = 64
_PAIRWISE = 64  # up to this rank both factors are reduced at once
_LIFT = 1 << 60  # integers are recovered from their residues while smaller than this
REDUCIBLE = 32
"""Above this rank rows of the matrix itself are a basis if they can be: reducing one takes long."""

TOO_LARGE = "the factors are too large for 64-bit arithmetic; take method='lowrank', or simulate by table"


@dataclass(frozen=True)
class IntegerFactors:
    """``matrix = left @ right`` in integers; ``left`` is (rows, rank), ``right`` (rank, columns)."""

    left: IntArray
    right: IntArray

    @property
    def rank(self) -> int:
        """Rank of the matrix."""
        return int(self.left.shape[1])

    @property
    def largest(self) -> int:
        """Largest magnitude of an entry."""
        return max(int(np.abs(self.left).max(initial=0)), int(np.abs(self.right).max(initial=0)))

    def as_factors(self) -> Factors:
        """Return them as factors of a surrogate."""
        return Factors(self.left, self.right.T)

    @property
    def datatype(self) -> int:
        """Place of the narrowest datatype, see `narrowest`, once a coefficient has the common divisors of factors."""
        left, right = np.gcd.reduce(self.left, axis=0), np.gcd.reduce(self.right, axis=1)
        return narrowest(Factors(self.left // left, (self.right // right[:, None]).T))


Entries = Callable[[IntArray, IntArray], IntArray]
"""``entries(i, j)`` evaluates a matrix at broadcast row and column indices."""

Pairs = tuple[IntArray, IntArray]
"""Indices of rows and of columns."""

NOWHERE: Pairs = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def factorise(entries: Entries, shape: tuple[int, int], max_rank: int, include: Pairs = NOWHERE) -> IntegerFactors:
    """Factorise an integer matrix, given by a function of its indices, with its rank and small integer factors.

    Parameters
    ----------
    entries : callable
        ``entries(i, j)``, int64, for broadcast index arrays.
    shape : (int, int)
        Rows and columns.
    max_rank : int
        Give up above this rank.
    include : (array of int, array of int)
        Rows and columns that the probing must not miss.

    Raises
    ------
    FitError
        If the rank exceeds ``max_rank``, or factors do not fit the arithmetic.
    """

    def checked(i: IntArray, j: IntArray) -> IntArray:
        values = entries(i, j)
        if values.size and not -_LIFT < int(values.min()) <= int(values.max()) < _LIFT:
            raise FitError(TOO_LARGE)
        return values

    rows, columns = _cross(checked, shape, max_rank, include)
    if len(rows) == 0:
        return IntegerFactors(np.zeros((shape[0], 0), dtype=np.int64), np.zeros((0, shape[1]), dtype=np.int64))
    tall = checked(np.arange(shape[0])[:, None], columns[None, :])
    wide = checked(rows[:, None], np.arange(shape[1])[None, :])
    found: list[IntegerFactors] = []
    if len(rows) > REDUCIBLE:
        found = _both_ways(_selected_factors, tall, wide, rows, columns)
    if not found:
        found = _both_ways(_lattice_factors, tall, wide, rows, columns)
    if len(rows) <= _PAIRWISE:
        found += [IntegerFactors(*reduce_pairs(f.left, f.right)) for f in found]
    return min(found, key=lambda f: (f.datatype, f.as_factors().product_bound(), f.largest))


def _both_ways(
    method: Callable[[IntArray, IntArray, IntArray, IntArray], IntegerFactors | None],
    tall: IntArray,
    wide: IntArray,
    rows: IntArray,
    columns: IntArray,
) -> list[IntegerFactors]:
    """Factorise by rows, and by columns: the transposed matrix by rows."""
    by_rows, mirrored = method(tall, wide, rows, columns), method(wide.T, tall.T, columns, rows)
    by_columns = None if mirrored is None else IntegerFactors(mirrored.right.T, mirrored.left.T)
    return [factors for factors in (by_rows, by_columns) if factors is not None]


def _cross(entries: Entries, shape: tuple[int, int], max_rank: int, include: Pairs) -> Pairs:
    """Find ``r`` rows and ``r`` columns whose intersection is non-singular, ``r`` being the rank of all that is probed.

    A small matrix is probed whole. Of a large one a sample is, then fresh rows and columns are predicted from the
    cross, and those that are predicted wrongly join it, until two rounds bring nothing new.
    """
    generator = np.random.default_rng(0)
    rows, columns = (np.union1d(_first_probes(n, generator), i) for n, i in zip(shape, include, strict=True))
    quiet = 0
    for _ in range(_ROUNDS):
        probe = entries(rows[:, None], columns[None, :])
        pivot_columns = pivots(probe)
        if len(pivot_columns) > max_rank:
            raise FitError(
                f"the rank exceeds {max_rank}; allow more terms, take method='lowrank', or simulate by table"
            )
        pivot_rows = pivots(probe[:, pivot_columns].T)
        cross_rows, cross_columns = rows[pivot_rows], columns[pivot_columns]
        if len(rows) == shape[0] and len(columns) == shape[1]:
            return cross_rows, cross_columns
        new_rows, new_columns = _mispredicted(entries, shape, cross_rows, cross_columns, generator)
        if len(new_rows) == 0:
            quiet += 1
            if quiet == 2:
                return cross_rows, cross_columns
        else:
            quiet = 0
            rows, columns = np.union1d(rows, new_rows), np.union1d(columns, new_columns)
    raise FitError(f"the rank was still growing after {_ROUNDS} rounds of probing; take method='lowrank'")


def _first_probes(n: int, generator: np.random.Generator) -> IntArray:
    if n <= _PROBES:
        return np.arange(n)
    powers = 1 << np.arange(n.bit_length() - 1)
    corners = np.concatenate([[0], powers, powers - 1, n // 2 + powers // 2, n // 2 - 1 - powers // 2, n - powers])
    corners = np.unique(corners[(corners >= 0) & (corners < n)])
    return np.union1d(corners, generator.choice(n, size=max(8, _PROBES - len(corners)), replace=False))


def _mispredicted(
    entries: Entries, shape: tuple[int, int], rows: IntArray, columns: IntArray, generator: np.random.Generator
) -> Pairs:
    """Rows and columns of a fresh sample that the cross does not reproduce, at most `_PROBES` of each."""
    i = generator.integers(shape[0], size=4 * _PROBES)
    j = generator.integers(shape[1], size=4 * _PROBES)
    actual = entries(i[:, None], j[None, :])
    if len(rows) == 0:
        wrong = actual != 0
    else:
        core = entries(rows[:, None], columns[None, :])
        tall, wide = entries(i[:, None], columns[None, :]), entries(rows[:, None], j[None, :])
        wrong = differs(actual, core, tall, wide)
    order_i = np.argsort(-wrong.sum(axis=1), kind="stable")[:_PROBES]
    order_j = np.argsort(-wrong.sum(axis=0), kind="stable")[:_PROBES]
    return np.unique(i[order_i[wrong.any(axis=1)[order_i]]]), np.unique(j[order_j[wrong.any(axis=0)[order_j]]])


def _selected_factors(tall: IntArray, wide: IntArray, rows: IntArray, columns: IntArray) -> IntegerFactors | None:
    """Coordinates of all rows in the cross's own rows, if they are integers."""
    coordinates, inside = _coordinates(tall, tall[rows])
    return IntegerFactors(coordinates, wide) if inside.all() else None


def _lattice_factors(tall: IntArray, wide: IntArray, rows: IntArray, columns: IntArray) -> IntegerFactors:
    """Coordinates of all rows in a reduced basis of the lattice that they span, from the cross alone.

    ``tall`` holds the cross's columns, ``wide`` its rows; ``tall[rows] == wide[:, columns]`` is non-singular, so each
    row of the matrix is determined by its part in ``tall``.
    """
    distinct = np.unique(tall, axis=0)
    basis = lll(tall[rows])
    while True:
        inside = _coordinates(distinct, basis)[1]
        if inside.all():
            break
        larger = lll(np.concatenate([basis, distinct[~inside][:_PROBES]]))
        if cell_volume(larger) == cell_volume(
            basis
        ):  # the rows are in the lattice: it is their coordinates that do not fit
            raise FitError(TOO_LARGE)
        basis = larger
    core = wide[:, columns]
    extended = lift(mod_product(solve_left(core, basis), wide))
    if not np.array_equal(extended[:, columns], basis):
        raise FitError(TOO_LARGE)
    right = lll(extended)
    left, inside = _coordinates(tall, right[:, columns])
    if not inside.all() or not _equals_product(wide, left[rows], right):
        raise FitError(TOO_LARGE)
    return IntegerFactors(left, right)


def _coordinates(vectors: IntArray, basis: IntArray) -> tuple[IntArray, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Integer coordinates of vectors in a basis, and which vectors have them (verified in integers)."""
    coordinates = lift(solve_left(basis, vectors))
    small = _row_sums(coordinates, basis) < 2.0**62
    found = np.zeros(len(vectors), dtype=bool)
    found[small] = (coordinates[small] @ basis == vectors[small]).all(axis=1)
    return coordinates, found


def _row_sums(x: IntArray, y: IntArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Bound of the magnitudes within each row of ``x @ y``."""
    sums: np.ndarray[tuple[int], np.dtype[np.float64]] = np.abs(x.astype(float)) @ np.abs(y.astype(float)).max(axis=1)
    return sums


def _equals_product(matrix: IntArray, x: IntArray, y: IntArray) -> bool:
    return float(_row_sums(x, y).max()) < 2.0**62 and np.array_equal(matrix, x @ y)
