"""Exact integer factorisation: the fewest products that reproduce a multiplier bit for bit.

``k`` separable terms reproduce a table exactly if and only if ``k`` is at least its rank over the rationals, so the
fewest are ``min(rank F, 1 + rank E)``: the terms of ``F``, or the accurate product and the terms of ``E = F - a b``.
Integer factors always exist: the rows of an integer matrix span a lattice, a basis of it is one factor and the
coordinates of the rows are the other. LLL reduction (Lenstra, Lenstra, Lovasz, Math. Ann. 261, 1982) makes the
basis short, so that factors mostly fit 8 bits.

Only a cross of the table is read, ``r`` rows and ``r`` columns after some probing (skeleton decomposition, Goreinov,
Tyrtyshnikov, Zamarashkin, Linear Algebra Appl. 261, 1997), so 16-bit operands cost as little as 8-bit ones. All modular
results are verified in integers: a returned factorisation reproduces the rows and columns it was made from, and
`surrogate.certify` compares the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from flint import fmpz_mat, nmod_mat

from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import BasisFunction, Identity, Table
from surrogate.errors import FitError
from surrogate.model import Term

_PRIME = (1 << 62) - 57  # residues and their differences fit int64
_PROBES = 256  # rows and columns of the first probe of a wide table
_ROUNDS = 64
_REDUCIBLE = 32  # above this rank rows of the matrix itself are a basis if they can: reducing one takes long
_LIFT = 1 << 60  # integers are recovered from their residues while smaller than this
_TOO_LARGE = "the factors are too large for 64-bit arithmetic; take method='lowrank', or simulate by table"


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
            raise FitError(_TOO_LARGE)
        return values

    rows, columns = _cross(checked, shape, max_rank, include)
    if len(rows) == 0:
        return IntegerFactors(np.zeros((shape[0], 0), dtype=np.int64), np.zeros((0, shape[1]), dtype=np.int64))
    tall = checked(np.arange(shape[0])[:, None], columns[None, :])
    wide = checked(rows[:, None], np.arange(shape[1])[None, :])
    found: list[IntegerFactors] = []
    if len(rows) > _REDUCIBLE:
        found = _both_ways(_selected_factors, tall, wide, rows, columns)
    if not found:
        found = _both_ways(_lattice_factors, tall, wide, rows, columns)
    return min(found, key=lambda f: (_primitive_size(f), f.largest))


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


def _primitive_size(factors: IntegerFactors) -> int:
    """Largest entry once the common divisor of each column and row is taken out."""
    left = np.abs(factors.left).max(axis=0) // np.gcd.reduce(factors.left, axis=0)
    right = np.abs(factors.right).max(axis=1) // np.gcd.reduce(factors.right, axis=1)
    return int(max(left.max(), right.max()))


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
        coordinates = _solve_left(core, entries(i[:, None], columns[None, :]))
        predicted = _mod_product(coordinates, entries(rows[:, None], j[None, :]))
        wrong = predicted != actual % _PRIME
    order_i = np.argsort(-wrong.sum(axis=1), kind="stable")[:_PROBES]
    order_j = np.argsort(-wrong.sum(axis=0), kind="stable")[:_PROBES]
    return np.unique(i[order_i[wrong.any(axis=1)[order_i]]]), np.unique(j[order_j[wrong.any(axis=0)[order_j]]])


def _nmod(matrix: IntArray) -> nmod_mat:
    n_rows, n_columns = matrix.shape
    return nmod_mat(n_rows, n_columns, (matrix % _PRIME).ravel().tolist(), _PRIME)


def _array(matrix: nmod_mat | fmpz_mat) -> IntArray:
    flat = [int(v) for v in matrix.entries()]
    return np.array(flat, dtype=np.int64).reshape(matrix.nrows(), matrix.ncols())


def pivots(matrix: IntArray) -> IntArray:
    """Columns of the first non-zero entry of each row of the reduced echelon form, modulo the prime."""
    reduced, rank = _nmod(matrix).rref()
    if rank == 0:
        return np.zeros(0, dtype=np.int64)
    pivots: IntArray = (_array(reduced)[:rank] != 0).argmax(axis=1)
    return pivots


def _solve_left(core: IntArray, target: IntArray) -> IntArray:
    """Solve ``x @ core = target`` modulo the prime."""
    solution: IntArray = _array(_nmod(core.T).solve(_nmod(target.T))).T
    return solution


def _mod_product(x: IntArray, y: IntArray) -> IntArray:
    """Multiply matrices modulo the prime."""
    return _array(_nmod(x) * _nmod(y))


def _lift(residues: IntArray) -> IntArray:
    """Take the representatives of least magnitude."""
    return np.where(residues > _PRIME // 2, residues - _PRIME, residues)


def _lll(vectors: IntArray) -> IntArray:
    """LLL-reduced basis of the lattice that the rows span (rows may be dependent)."""
    reduced = _array(fmpz_mat(vectors.tolist()).lll())
    basis: IntArray = reduced[(reduced != 0).any(axis=1)]
    return basis


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
    basis = _lll(tall[rows])
    while True:
        inside = _coordinates(distinct, basis)[1]
        if inside.all():
            break
        larger = _lll(np.concatenate([basis, distinct[~inside][:_PROBES]]))
        if _index(larger) == _index(basis):  # the rows are in the lattice: it is their coordinates that do not fit
            raise FitError(_TOO_LARGE)
        basis = larger
    core = wide[:, columns]
    extended = _lift(_mod_product(_solve_left(core, basis), wide))
    if not np.array_equal(extended[:, columns], basis):
        raise FitError(_TOO_LARGE)
    right = _lll(extended)
    left, inside = _coordinates(tall, right[:, columns])
    if not inside.all() or not _equals_product(wide, left[rows], right):
        raise FitError(_TOO_LARGE)
    return IntegerFactors(left, right)


def _coordinates(vectors: IntArray, basis: IntArray) -> tuple[IntArray, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Integer coordinates of vectors in a basis, and which vectors have them (verified in integers)."""
    coordinates = _lift(_solve_left(basis, vectors))
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


def _index(basis: IntArray) -> int:
    """Volume of a cell of a full-rank lattice."""
    return abs(int(fmpz_mat(basis.tolist()).det()))


def fit_exact(multiplier: Multiplier, *, max_terms: int = 256, include: Pairs = NOWHERE) -> tuple[list[Term], str]:
    """Find the fewest terms that reproduce a multiplier exactly.

    Parameters
    ----------
    multiplier : Multiplier
        Whole tables are read up to 8 x 8 bits; of wider ones a sample of rows and columns, which may miss exceptions.
    max_terms : int
        Use no more.
    include : (array of int, array of int)
        Values of ``a`` and of ``b`` that the sample must hold.

    Returns
    -------
    terms : list of Term
        ``min(rank F, 1 + rank E)`` terms with integer factors; among equals the form that keeps the accurate product.
    form : {"product + error", "product transformed"}
        Which of both forms was taken.

    Raises
    ------
    FitError
        If more than ``max_terms`` terms are needed.
    """
    shape = (multiplier.a.size, multiplier.b.size)

    def product(i: IntArray, j: IntArray) -> IntArray:
        return multiplier(i + multiplier.a.minimum, j + multiplier.b.minimum)

    def error(i: IntArray, j: IntArray) -> IntArray:
        return multiplier.error(i + multiplier.a.minimum, j + multiplier.b.minimum)

    indices = include[0] - multiplier.a.minimum, include[1] - multiplier.b.minimum
    failures: list[FitError] = []
    found: list[tuple[int, str, list[Term]]] = []
    for name, entries, leading in (
        ("product + error", error, [Term(1, Identity(), Identity())]),
        ("product transformed", product, []),
    ):
        try:
            factors = factorise(entries, shape, max_terms - len(leading), indices)
        except FitError as failure:
            failures.append(failure)
        else:
            terms = leading + _terms(factors, multiplier)
            bound = sum(abs(t.coefficient) * t.a.largest(multiplier.a) * t.b.largest(multiplier.b) for t in terms)
            if bound >= 1 << 63:
                failures.append(FitError(_TOO_LARGE))
                continue
            found.append((len(terms), name, terms))
    if not found:
        raise FitError(f"no exact surrogate of {multiplier.name} with {max_terms} terms: {failures[0]}")
    _, name, terms = min(found, key=lambda candidate: candidate[0])
    return terms, name


def _terms(factors: IntegerFactors, multiplier: Multiplier) -> list[Term]:
    """Terms of primitive integer tables (common divisor and sign in the coefficient), largest energy first."""
    terms: list[tuple[float, Term]] = []
    for left, right in zip(factors.left.T, factors.right, strict=True):
        g, h = _divisor(left, multiplier.a), _divisor(right, multiplier.b)
        a, b = _named(Table(multiplier.a, left // g)), _named(Table(multiplier.b, right // h))
        energy = float(np.square(left, dtype=float).sum() * np.square(right, dtype=float).sum())
        terms.append((-energy, Term(g * h, a, b)))
    return [term for _, term in sorted(terms, key=lambda item: item[0])]


def _divisor(factor: IntArray, operand: OperandFormat) -> int:
    """Greatest common divisor, signed so that the quotient rises with the operand rather than falls."""
    divisor = int(np.gcd.reduce(factor))
    slope = int(factor @ (2 * operand.values() - operand.minimum - operand.maximum))
    return -divisor if (slope or int(factor[np.flatnonzero(factor)[0]])) < 0 else divisor


def _named(table: Table) -> BasisFunction:
    """Take the identity where the table is it, so that the plainest factor stays readable."""
    return Identity() if np.array_equal(table.values, table.operand.values()) else table
