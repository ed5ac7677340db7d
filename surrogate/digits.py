"""Wide integer factors as digits of 8 bits: the products that int8 hardware does in place of one wide product.

    g h = sum_ij 256**(i + j) g_i h_j

Products of like weight are summed together, so a product of two-digit factors takes three sums. A digit may be offset
from the range of int8, which `surrogate.nn.products.int8_factors` undoes outside the products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.operands import IntArray
from surrogate.scaled_factors import ScaledFactors

_BITS = 8
_OFFSETS = (128, 0, 255)  # digits from -128 to 127; unsigned; none positive
_LARGEST_SHIFT = 128


@dataclass(frozen=True)
class DigitProducts:
    """Products of digits that have one weight: ``weight * sum_j left[a, j] * right[b, j]``.

    Attributes
    ----------
    weight : int or float
        An integer where the factors are unscaled.
    left, right : ndarray of int64, shapes (2**n, k) and (2**m, k)
        Each column fits int8 once its `shift` is taken off.
    """

    weight: int | float
    left: IntArray
    right: IntArray

    @property
    def n_products(self) -> int:
        """Number of columns."""
        return int(self.left.shape[1])


def shift(low: int, high: int) -> int | None:
    """Shift of least magnitude, from -127 to 128, that brings values from ``low`` to ``high`` into int8, or None.

    Examples
    --------
    >>> shift(0, 255), shift(-128, 127), shift(0, 256)
    (128, 0, None)
    """
    found = high - 127 if high > 127 else min(low + 128, 0)
    fits = high - found <= 127 and low - found >= -128 and -_LARGEST_SHIFT < found <= _LARGEST_SHIFT
    return found if fits else None


def digits(column: IntArray) -> list[tuple[int, IntArray]]:
    """Split a column into as few digits of 8 bits as `shift` can bring into int8.

    Returns
    -------
    list of (int, ndarray)
        Weights, powers of 2 of which each is at least 256 times the one before, and digits: their weighted sum is the
        column. A column of zeros has none.

    Examples
    --------
    >>> digits(np.array([-32768, 0, 100, 32767]))
    [(1, array([  0,   0, 100, 255])), (256, array([-128,    0,    0,  127]))]
    >>> digits(np.array([-(1 << 20), 3 << 18]))  # zeros at the end take no digit
    [(262144, array([-4,  3]))]
    """
    low = int(np.bitwise_or.reduce(np.abs(column), initial=0))
    unit = low & -low
    if unit == 0:
        return []
    whole = _digits(column)
    stripped = _digits(column // unit)
    return whole if len(whole) <= len(stripped) else [(unit * weight, digit) for weight, digit in stripped]


def _digits(column: IntArray) -> list[tuple[int, IntArray]]:
    found = []
    weight = 1
    for offset in _offsets(int(column.min(initial=0)), int(column.max(initial=0))):
        rest = (column >> _BITS) + (((column & 255) + offset) >> _BITS)
        found.append((weight, column - (rest << _BITS)))
        column, weight = rest, weight << _BITS
    return [*found, (weight, column)]


def _offsets(low: int, high: int) -> tuple[int, ...]:
    """Offsets of all digits but the highest, so that values from ``low`` to ``high`` take the fewest digits."""
    if shift(low, high) is not None:
        return ()
    return min(((o, *_offsets((low + o) >> _BITS, (high + o) >> _BITS)) for o in _OFFSETS), key=len)


def digit_products(factors: ScaledFactors) -> tuple[DigitProducts, ...]:
    """Split factors into digits, those products together that have one weight, by ascending weight.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> factors = ScaledFactors.of(surrogate.discover(multipliers.get("exact16s")))
    >>> [(each.weight, each.n_products) for each in digit_products(factors)]
    [(1, 1), (256, 2), (65536, 1)]
    """
    by_weight: dict[int | float, list[tuple[IntArray, IntArray]]] = {}
    for scale, g, h in zip(factors.scale, factors.left.T, factors.right.T, strict=True):
        right = digits(h)
        for weight, left_digit in digits(g):
            for other, right_digit in right:
                by_weight.setdefault(scale * (weight * other), []).append((left_digit, right_digit))
    return tuple(
        DigitProducts(weight, np.column_stack([g for g, _ in pairs]), np.column_stack([h for _, h in pairs]))
        for weight, pairs in sorted(by_weight.items(), key=lambda item: abs(item[0]))
    )
