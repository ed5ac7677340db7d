"""Both factors of an integer matrix made small at once.

A basis of a lattice may be short while the coordinates in it are large. Adding ``x`` times row ``j`` of ``right`` to
its row ``i``, and taking ``x`` times column ``i`` of ``left`` from its column ``j``, leaves the product of both as it
is; the integer ``x`` that most lowers ``sum_j |left_j|**2 |right_j|**2`` is known, and steps for all pairs are repeated
until none helps (Seysen, "Simultaneous reduction of a lattice basis and its reciprocal basis", Combinatorica 13, 1993).
"""

from __future__ import annotations

import numpy as np

from multipliers.operands import IntArray

_EXACT = 1 << 62
_MAX_SWEEPS = 256

Gram = list[list[int]]


def reduce_pairs(left: IntArray, right: IntArray) -> tuple[IntArray, IntArray]:
    """Return integer factors of ``left @ right`` whose sum of squared products is a local minimum.

    Parameters
    ----------
    left, right : ndarray of int64, shapes (n, k) and (k, m)
        Of rank ``k``. Returned as they are where products of their entries could exceed int64.

    Examples
    --------
    >>> left, right = reduce_pairs(np.array([[1, 9], [0, 1], [1, 8]]), np.array([[8, -9, 1], [-1, 1, 0]]))
    >>> left.tolist(), right.tolist()
    ([[1, 0], [0, 1], [1, -1]], [[-1, 0, 1], [-1, 1, 0]])
    """
    if not (_fits(left.T, left) and _fits(right, right.T)):
        return left, right
    gram_left: Gram = (left.T @ left).tolist()
    gram_right: Gram = (right @ right.T).tolist()
    k = left.shape[1]
    of_left, of_right = np.eye(k, dtype=object), np.eye(k, dtype=object)
    for _ in range(_MAX_SWEEPS):
        steps = [step for i in range(k) for j in range(k) if i != j and (step := _step(gram_left, gram_right, i, j))]
        for i, j, x in steps:
            of_right[i] += x * of_right[j]
            of_left[:, j] -= x * of_left[:, i]
        if not steps:
            break
    if max(np.abs(of_left).max(initial=0), np.abs(of_right).max(initial=0)) >= 1 << 31:
        return left, right
    to_left, to_right = of_left.astype(np.int64), of_right.astype(np.int64)
    if not (_fits(left, to_left) and _fits(to_right, right)):
        return left, right
    return left @ to_left, to_right @ right


def _step(gram_left: Gram, gram_right: Gram, i: int, j: int) -> tuple[int, int, int] | None:
    """Find the best step for a pair and take it in both Gram matrices; None if it does not help."""
    size_left, size_right = gram_left[i][i], gram_right[j][j]
    slope = gram_left[i][j] * size_right - size_left * gram_right[i][j]
    square = size_left * size_right
    x = (slope + square) // (2 * square)  # slope / (2 square), rounded
    if 2 * x * (x * square - slope) >= 0:  # what the sum changes by
        return None
    _add(gram_right, i, j, x)
    _add(gram_left, j, i, -x)
    return i, j, x


def _add(gram: Gram, i: int, j: int, x: int) -> None:
    """Add ``x`` times vector ``j`` to vector ``i``, in their Gram matrix."""
    for k, value in enumerate(gram[j]):
        gram[i][k] += x * value
    for k, row in enumerate(gram):
        row[i] += x * gram[k][j]


def _fits(x: IntArray, y: IntArray) -> bool:
    """Whether no sum in ``x @ y`` can exceed int64."""
    return (
        float(np.abs(x.astype(float)).max(initial=0)) * float(np.abs(y.astype(float)).max(initial=0)) * len(y) < _EXACT
    )
