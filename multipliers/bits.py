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


def fraction_bits(x: IntArray, bits: int) -> IntArray:
    """First ``bits`` bits of the mantissa ``x / 2**floor(log2 x) - 1`` of each ``x > 0``, as an integer.

    Shorter mantissas are followed by zeros, longer ones truncated.

    Examples
    --------
    >>> fraction_bits(np.array([1, 3, 0b10110]), 3)
    array([0, 4, 3])
    """
    k = leading_one(x)
    residue = x - (np.int64(1) << k)
    return scale_floor(residue, bits - k)


def scale_floor(x: IntArray, exponent: IntArray | int) -> IntArray:
    """``floor(x * 2**exponent)``, elementwise, for exponents of either sign.

    Examples
    --------
    >>> scale_floor(np.array([5, 5, -5]), np.array([2, -1, -1]))
    array([20,  2, -3])
    """
    return np.where(np.asarray(exponent) < 0, x >> np.clip(-exponent, 0, 63), x << np.maximum(exponent, 0))


def nearest_power(x: IntArray) -> IntArray:
    """Power of two nearest to each ``x > 0``, ties upwards (``3 -> 4``); 0 where ``x`` is 0.

    Examples
    --------
    >>> nearest_power(np.array([0, 1, 2, 3, 5, 6, 12, 11]))
    array([ 0,  1,  2,  4,  4,  8, 16,  8])
    """
    power = np.int64(1) << leading_one(x)
    return np.where(x == 0, 0, np.where(2 * x >= 3 * power, 2 * power, power))


def antilogarithm(a: IntArray, b: IntArray, mantissas: IntArray, bits: int) -> IntArray:
    """Mitchell's antilogarithm of the characteristics of ``a`` and ``b`` and a sum of mantissas, floored.

    ``mantissas``, in ``[0, 2)``, has ``bits`` fraction bits. 0 where an operand is 0.

    Examples
    --------
    >>> antilogarithm(np.array([4, 6]), np.array([2, 3]), np.array([0, 8]), 3)
    array([ 8, 16])
    """
    one = np.int64(1) << bits
    power = leading_one(a) + leading_one(b) - bits
    product = np.where(mantissas < one, scale_floor(one + mantissas, power), scale_floor(mantissas, power + 1))
    return np.where((a == 0) | (b == 0), 0, product)
