"""Bit tricks on int64 arrays that several designs share."""

from __future__ import annotations

import numpy as np

from multipliers.operands import IntArray


def leading_one(x: IntArray) -> IntArray:
    """Position of the leading one, ``floor(log2 x)``, of each ``0 < x < 2**53``; 0 where ``x`` is 0.

    Examples
    --------
    >>> leading_one(np.array([0, 1, 2, 3, 255, 256]))
    array([0, 0, 1, 1, 7, 8])
    """
    exponent = np.frexp(x.astype(np.float64))[1].astype(np.int64)
    return np.maximum(exponent - 1, 0)


def keep_leading_bits(x: IntArray, k: int) -> IntArray:
    """Clear everything below the ``k`` leading bits of each non-negative ``x``; ``x < 2**k`` is unchanged.

    Examples
    --------
    >>> keep_leading_bits(np.array([0b1011, 0b101101]), 3)
    array([10, 40])
    """
    shift = np.maximum(leading_one(x) - (k - 1), 0)
    return (x >> shift) << shift
