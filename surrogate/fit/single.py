"""One function of an operand, given by its values, in closed form: a polynomial of its bits, or pieces by magnitude.

Every function of n bits is a polynomial in them without squares, and has one only: its coefficients are a Moebius
transform of the values (over the integers, as in the algebraic normal form). Few coefficients are a closed form.
Designs that switch between segments are pieces instead: a named function for each run of octaves of the magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import AllBits, BasisFunction, Bit, Constant, FactorArray, LeadingOneTable, Odd, Window

MAX_PIECES = 4
"""Most pieces that still explain anything."""

MAX_MONOMIALS = 8
"""Most products of bits that a polynomial has, beside single bits, which may be joined to moduli."""

_MAX_BITS = 12  # the transform needs every value

Parts = list[tuple[int, BasisFunction]]


def polynomials(operand: OperandFormat, values: IntArray) -> list[Parts]:
    """Write a function as a short sum of products of bits: of the operand, and of its magnitude with the sign.

    Parameters
    ----------
    operand : OperandFormat
    values : ndarray of int64, shape (2**n,)
        In natural order.

    Returns
    -------
    list of list of (int, BasisFunction)
        None, one or two sums.

    Examples
    --------
    >>> two = OperandFormat(2)
    >>> [[(c, f.formula("x")) for c, f in parts] for parts in polynomials(two, np.array([0, 1, 2, 0]))]
    [[(1, 'bit_0(x)'), (2, 'bit_1(x)'), (-3, 'bit_0(x) bit_1(x)')]]
    """
    if operand.bits > _MAX_BITS:
        return []
    found = []
    by_pattern = np.roll(values, operand.minimum)  # bit patterns 0, 1, ...: non-negative values first
    plain = _moebius(by_pattern)
    most = operand.bits + MAX_MONOMIALS
    if np.count_nonzero(plain) <= most:
        found.append([(int(plain[mask]), _monomial(int(mask))) for mask in np.flatnonzero(plain)])
    half = operand.size // 2
    if operand.signed and half > 1 and np.array_equal(values[1:half], -values[:half:-1]):
        odd = _moebius(values[half:])
        if odd[0] == 0 and np.count_nonzero(odd) < most:
            parts: Parts = [(int(odd[mask]), Odd(_monomial(int(mask)))) for mask in np.flatnonzero(odd)]
            if values[0]:  # the one magnitude with the highest bit
                parts.append((-int(values[0]), Odd(Bit(operand.bits - 1))))
            found.append(parts)
    return [parts for parts in found if parts]


def _moebius(values: IntArray) -> IntArray:
    """Coefficients by mask of the polynomial in bits with these values by bit pattern."""
    found = values.astype(np.int64)
    step = 1
    while step < len(found):
        blocks = found.reshape(-1, 2, step)
        blocks[:, 1] -= blocks[:, 0]
        step *= 2
    return found


def _monomial(mask: int) -> BasisFunction:
    if mask == 0:
        return Constant()
    return Bit(mask.bit_length() - 1) if mask & (mask - 1) == 0 else AllBits(mask)


def pieces(operand: OperandFormat, values: IntArray, functions: Sequence[BasisFunction]) -> tuple[Parts, int] | None:
    """Write a multiple of a function by few pieces, each a named function times a number on a run of octaves.

    Parameters
    ----------
    operand : OperandFormat
    values : ndarray of int64, shape (2**n,)
        In natural order.
    functions : sequence of BasisFunction
        Those of the pieces, the simplest first; tables of the mantissa are tried after them.

    Returns
    -------
    (list of (int, BasisFunction), int) or None
        The pieces from small magnitudes to large ones, and which multiple they sum up to; None if more than
        `MAX_PIECES` would be needed.

    Examples
    --------
    >>> from surrogate.basis import Identity, Truncate
    >>> x = np.arange(16)
    >>> parts, multiple = pieces(OperandFormat(4), np.where(x < 4, x, x >> 1 << 1), [Identity(), Truncate(1)])
    >>> [(c, f.formula("x")) for c, f in parts], multiple
    ([(1, 'x [|x| < 4]'), (1, 'trunc_1(x) [4 <= |x|]')], 1)
    """
    x = operand.values()
    octave = np.array([int(v).bit_length() for v in np.abs(x)])  # 0 for 0, 1 for 1, 2 for 2 and 3, ...
    top = int(octave.max())
    table = _of_the_highest_octave(operand, values)
    tried = [*functions, *([] if table is None else [table])]
    fits = [[_ratio(values[octave == k], f(x[octave == k])) for k in range(top + 1)] for f in tried]
    zero = [not values[octave == k].any() for k in range(top + 1)]
    runs: list[tuple[int, int, BasisFunction, Fraction]] = []
    start = 0
    while start <= top:
        if zero[start]:
            start += 1
            continue
        reached = [_reach(fit, start) for fit in fits]
        best = max(range(len(tried)), key=lambda i: (reached[i][0], -i))
        stop, ratio = reached[best]
        if stop == start or len(runs) == MAX_PIECES:
            return None
        runs.append((start, stop, tried[best], ratio))
        start = stop
    if not runs:
        return None
    multiple = lcm(*(ratio.denominator for _, _, _, ratio in runs))
    parts: Parts = []
    for start, stop, function, ratio in runs:
        below = x[octave < start]
        low = None if all(zero[:start]) and not np.any(function(below)) else start - 1
        high = None if stop > top else stop - 1
        whole = low is None and high is None
        parts.append((int(ratio * multiple), function if whole else Window(function, low, high)))
    return parts, multiple


def _ratio(values: IntArray, column: FactorArray) -> Fraction | None:
    """Return the number that makes a column the values, 0 where both vanish; None if there is none."""
    if not values.any():
        return None if column.any() else Fraction(0)
    first = int(np.flatnonzero(values)[0])
    if not column[first]:
        return None
    ratio = Fraction(int(values[first]), int(column[first]))
    same = np.array_equal(values * ratio.denominator, column * ratio.numerator)
    return ratio if same else None


def _reach(fit: Sequence[Fraction | None], start: int) -> tuple[int, Fraction]:
    """Return the octave up to which one number serves from ``start`` on, and that number; ``start`` if none does."""
    ratio = fit[start]
    if not ratio:
        return start, Fraction(0)
    stop = start
    while stop < len(fit) and (fit[stop] == ratio or fit[stop] == 0):
        stop += 1
    return stop, ratio


def _of_the_highest_octave(operand: OperandFormat, values: IntArray) -> LeadingOneTable | None:
    """Table of the mantissa that agrees with the values in the highest whole octave, if it is shorter than that."""
    octave = operand.bits - 1 - operand.signed
    if octave < 2:
        return None
    start = (1 << octave) - operand.minimum
    highest = values[start : start + (1 << octave)]
    for bits in range(octave):
        short = highest[:: 1 << (octave - bits)]
        if np.array_equal(np.repeat(short, 1 << (octave - bits)), highest):
            common = int(np.gcd.reduce(short))
            shift = min(octave, (common & -common).bit_length() - 1) if common else octave
            return LeadingOneTable(short >> shift, octave - shift) if np.abs(short >> shift).max() < 1 << 30 else None
    return None
