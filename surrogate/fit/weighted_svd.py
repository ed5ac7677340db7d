"""The truncated singular value decomposition of a table under operand distributions."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from multipliers.distributions import FloatArray

DENSE_SVD = 1 << 10
"""Up to this many rows or columns a full decomposition is faster than an iterative one, and threads slow it down."""


def weighted_svd(
    rest: FloatArray, root_p: FloatArray, root_q: FloatArray, rank: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the leading singular triplets of the scaled matrix, and the norms that ``0, 1, ...`` of them leave."""
    rank = min(rank, *rest.shape)
    scaled = root_p[:, None] * rest * root_q
    whole = float(np.square(scaled).sum())
    if min(rest.shape) <= DENSE_SVD:
        u, s, vt = np.linalg.svd(scaled, full_matrices=False)
        tail = np.sqrt(np.append(np.cumsum(np.square(s)[::-1])[::-1], 0.0))
        return u[:, :rank], s[:rank], vt[:rank], tail
    if rank == 0:
        return np.zeros((len(root_p), 0)), np.zeros(0), np.zeros((0, len(root_q))), np.array([np.sqrt(whole)])
    start = np.random.default_rng(0).standard_normal(min(rest.shape))
    u, s, vt = svds(LinearOperator(scaled.shape, scaled.dot, scaled.T.dot, dtype=np.float64), k=rank, v0=start)
    order = np.argsort(-s)
    s = s[order]
    tail = np.sqrt(np.maximum(whole - np.append(0.0, np.cumsum(np.square(s))), 0.0))
    return u[:, order], s, vt[order], tail


def unscaled(
    rest: FloatArray, p: FloatArray, q: FloatArray, u: FloatArray, s: FloatArray, vt: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return balanced factors on every value, also those of weight zero: the matrix applied to the singular vectors."""
    kept = s > 1e-13 * max(float(s.max(initial=0.0)), 1e-300)
    left = rest @ (np.sqrt(q) * vt[kept]).T / np.sqrt(s[kept])
    right = rest.T @ (np.sqrt(p)[:, None] * u[:, kept]) / np.sqrt(s[kept])
    return left, right
