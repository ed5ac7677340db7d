"""The best ``k`` products beside a free additive part, for operands of any width.

A term with a constant factor costs next to nothing: ``1 * h(b)`` summed over a receptive field is a constant of an
output channel, ``g(a) * 1`` one sum that all channels share. So the additive part of the table is taken out first,

    F(a, b) = r(a) + c(b) - m + G(a, b),    r(a) = sum_b q(b) F(a, b),    c(b) = sum_a p(a) F(a, b),
    m = sum_ab p(a) q(b) F(a, b)

which leaves ``G`` with weighted row and column means 0, and the truncated SVD of ``G``, rows and columns scaled by the
square roots of ``p`` and ``q``, is the best rest (Eckart, Young, Psychometrika 1, 1936): no model of ``k`` products and
any additive part has a smaller weighted squared residual. Its mean error is 0, also given either operand.

Above 2**24 pairs ``F`` is read on some rows and columns only, quantiles of the operand distributions (Nystroem's
method): the singular vectors of that grid are carried on to every value by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from multipliers.distributions import FloatArray, weighted_pairs
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import IntArray, OperandFormat
from multipliers.parallel import map_in_order
from surrogate.fit.weighted_svd import DENSE_SVD, unscaled, weighted_svd

_GRID = 1 << 10  # rows and columns that are read of a wide multiplier
_BLOCK = 1 << 22  # pairs that are evaluated at once
_BIAS_PAIRS = 1 << 20  # pairs that settle the mean error of a wide multiplier
_BIAS_START = 1 << 30  # where their sequence starts: apart from those that certify


@dataclass(frozen=True)
class Separated:
    """``F(a, b) ~ additive_a[a] + additive_b[b] + constant + sum_j left[a, j] right[b, j]``, by falling energy.

    Attributes
    ----------
    left, right : ndarray of float64, shapes (2**n, k) and (2**m, k)
    additive_a, additive_b : ndarray of float64, shapes (2**n,) and (2**m,)
    constant : float
    residuals : ndarray of float64
        ``residuals[k]``: weighted root mean square of the residual with ``k`` products, in LSB of the product; as far
        as it is known (at least ``k + 1`` values).
    complete : bool
        Whether every pair was read.
    """

    left: FloatArray
    right: FloatArray
    additive_a: FloatArray
    additive_b: FloatArray
    constant: float
    residuals: FloatArray
    complete: bool

    def __call__(self, a: IntArray, b: IntArray, multiplier: Multiplier) -> FloatArray:
        """Evaluate the model at values of the operands."""
        i, j = a - multiplier.a.minimum, b - multiplier.b.minimum
        total: FloatArray = (
            self.additive_a[i] + self.additive_b[j] + self.constant + (self.left[i] * self.right[j]).sum(axis=-1)
        )
        return total


def separate(multiplier: Multiplier, p: FloatArray, q: FloatArray, products: int) -> Separated:
    """Find the best ``products`` products beside the additive part, under the distributions ``p`` and ``q``.

    Parameters
    ----------
    multiplier : Multiplier
    p, q : ndarray of float64
        Distributions of the operands, which sum to 1.
    products : int
        From 0.
    """
    if multiplier.n_pairs <= MAX_TABLE_ENTRIES:
        with threadpool_limits(1 if min(len(p), len(q)) <= DENSE_SVD else None):  # threads slow small problems down
            return _whole(multiplier.table(), p, q, products)
    return _from_grid(multiplier, p, q, products)


def additive_part(table: FloatArray | IntArray, p: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return ``r``, ``c`` and ``m`` of the module's text."""
    rows: FloatArray = table @ q
    columns: FloatArray = p @ table
    return rows, columns, float(p @ rows)


def _whole(table: IntArray, p: FloatArray, q: FloatArray, products: int) -> Separated:
    additive_a, additive_b, mean = additive_part(table, p, q)
    rest = table - additive_a[:, None] - additive_b + mean
    u, s, vt, tail = weighted_svd(rest, np.sqrt(p), np.sqrt(q), products)
    left, right = unscaled(rest, p, q, u, s, vt)
    return Separated(left, right, additive_a, additive_b, -mean, tail, True)


def _from_grid(multiplier: Multiplier, p: FloatArray, q: FloatArray, products: int) -> Separated:
    generator = np.random.default_rng(0)
    rows, columns = (_quantiles(x, w, generator) for x, w in ((multiplier.a, p), (multiplier.b, q)))
    even_p, even_q = np.full(len(rows), 1 / len(rows)), np.full(len(columns), 1 / len(columns))
    core = multiplier(rows[:, None], columns[None, :]).astype(np.float64)
    core_a, core_b, mean = additive_part(core, even_p, even_q)
    rest = core - core_a[:, None] - core_b + mean
    u, s, vt, tail = weighted_svd(rest, np.sqrt(even_p), np.sqrt(even_q), products)
    grid_left, grid_right = unscaled(rest, even_p, even_q, u, s, vt)
    left, additive_a = _carried_on(multiplier, multiplier.a.values(), columns, grid_right, core_b, transposed=False)
    right, additive_b = _carried_on(multiplier, multiplier.b.values(), rows, grid_left, core_a, transposed=True)
    found = Separated(left, right, additive_a, additive_b, -mean, tail, False)
    return unbiased(found, multiplier, p, q)


def unbiased(found: Separated, multiplier: Multiplier, p: FloatArray, q: FloatArray) -> Separated:
    """Take the mean error out of a model of a wide multiplier, as far as a large sample tells it."""
    a, b = weighted_pairs(multiplier.a, multiplier.b, _BIAS_PAIRS, _BIAS_START, p, q)
    return replace(found, constant=found.constant - float((found(a, b, multiplier) - multiplier(a, b)).mean()))


def _quantiles(operand: OperandFormat, weights: FloatArray, generator: np.random.Generator) -> IntArray:
    """Draw one value from each of `_GRID` equally likely parts of the distribution."""
    if operand.size <= _GRID:
        return operand.values()
    cumulative = np.cumsum(weights)
    places = (np.arange(_GRID) + generator.random(_GRID)) / _GRID * cumulative[-1]
    index = np.minimum(np.searchsorted(cumulative, places, side="right"), operand.size - 1)
    values: IntArray = index + operand.minimum
    return values


def _carried_on(
    multiplier: Multiplier,
    values: IntArray,
    others: IntArray,
    factors: FloatArray,
    additive: FloatArray,
    transposed: bool,
) -> tuple[FloatArray, FloatArray]:
    """Carry factors and additive part to every value of one operand, by least squares against the other's grid."""
    onto = factors @ np.linalg.inv(factors.T @ factors) if factors.shape[1] else factors
    centre = additive - additive.mean()

    def carried(block: IntArray) -> tuple[FloatArray, FloatArray]:
        table = multiplier(others, block[:, None]) if transposed else multiplier(block[:, None], others)
        means: FloatArray = table.mean(axis=1)
        return (table - means[:, None] - centre) @ onto, means

    step = max(1, _BLOCK // len(others))
    blocks = [values[start : start + step] for start in range(0, len(values), step)]
    extended, means = zip(*map_in_order(carried, blocks), strict=True)
    return np.concatenate(extended), np.concatenate(means)
