"""Linear algebra of integer matrices modulo a prime, and lattices, by python-flint."""

from __future__ import annotations

import numpy as np
from flint import fmpz_mat, nmod_mat

from multipliers.operands import IntArray

PRIME = (1 << 62) - 57
"""Residues and their differences fit int64."""

_SMALL_PRIMES = (4194301, 4194287)
_EXACT_SUM = 1 << 8  # products of residues modulo a small prime that a sum of floats holds exactly, with room to spare


def _nmod(matrix: IntArray, prime: int = PRIME) -> nmod_mat:
    n_rows, n_columns = matrix.shape
    return nmod_mat(n_rows, n_columns, (matrix % prime).ravel().tolist(), prime)


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


def solve_left(core: IntArray, target: IntArray, prime: int = PRIME) -> IntArray:
    """Solve ``x @ core = target`` modulo a prime."""
    solution: IntArray = _array(_nmod(core.T, prime).solve(_nmod(target.T, prime))).T
    return solution


def mod_product(x: IntArray, y: IntArray) -> IntArray:
    """Multiply matrices modulo the prime."""
    return _array(_nmod(x) * _nmod(y))


def lift(residues: IntArray) -> IntArray:
    """Take the representatives of least magnitude."""
    return np.where(residues > PRIME // 2, residues - PRIME, residues)


def lll(vectors: IntArray) -> IntArray:
    """LLL-reduced basis of the lattice that the rows span (rows may be dependent)."""
    reduced = _array(fmpz_mat(vectors.tolist()).lll())
    basis: IntArray = reduced[(reduced != 0).any(axis=1)]
    return basis


def cell_volume(basis: IntArray) -> int:
    """Volume of a cell of a full-rank lattice."""
    return abs(int(fmpz_mat(basis.tolist()).det()))


def differs(
    actual: IntArray, core: IntArray, tall: IntArray, wide: IntArray
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Where ``actual`` is not ``tall @ core**-1 @ wide``, modulo a prime so small that floats multiply it exactly."""
    for prime in _SMALL_PRIMES:
        try:
            coordinates = solve_left(core, tall, prime)
        except ZeroDivisionError:  # singular modulo this prime, as one core in millions is
            continue
        predicted = np.zeros(actual.shape)
        for k in range(0, len(core), _EXACT_SUM):
            part = coordinates[:, k : k + _EXACT_SUM].astype(float) @ (wide[k : k + _EXACT_SUM] % prime).astype(float)
            predicted = (predicted + part) % prime
        return np.not_equal(predicted, actual % prime)
    return np.not_equal(mod_product(solve_left(core, tall), wide), actual % PRIME)
