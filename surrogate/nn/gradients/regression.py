"""Gradients by regression: one slope for each value of the other operand.

    f_x(x, w) = sum_x (x - m) f(x, w) / sum_x (x - m)**2

with the mean ``m`` of the operand's values, is the slope of the straight line that fits the products with ``w`` best in
least squares, and likewise ``f_w(x, w)`` that of the products with ``x``. ApproxTorch (Ma and Kimura, ISOCC 2022; its
"LRE") stores these as two vectors, as the "LUT-1D" of Meng, Burleson and De Micheli (arXiv 2509.10519) stores one value
for each of the other operand. Since neither depends on the differentiated operand, the backward pass is that of *one*
accurate product whose operands are looked up, whatever the multiplier: that of `FactoredGradient` with constant slopes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from surrogate.factors import Factors
from surrogate.nn.gradients.factored import FactoredGradient


def regression_slope(values: NDArray[Any]) -> NDArray[np.float64]:
    """Regress on the index along the first axis.

    Examples
    --------
    >>> regression_slope(np.array([[0, 5], [0, 7], [3, 9], [3, 11]])).tolist()
    [1.2, 2.0]
    """
    centred = np.arange(len(values)) - (len(values) - 1) / 2
    slopes: NDArray[np.float64] = centred @ values.astype(np.float64) / (centred @ centred)
    return slopes


def regression_of_table(table: NDArray[Any]) -> FactoredGradient:
    """Regress a table indexed by (activation, weight)."""
    return _by_other_operand(regression_slope(table.T), regression_slope(table))


def regression_of_factors(factors: Factors) -> FactoredGradient:
    """Regress a sum of products without its table; ``left`` is the activation's."""
    whole = factors.as_products()
    return _by_other_operand(whole.left @ regression_slope(whole.right), whole.right @ regression_slope(whole.left))


def _by_other_operand(of_weight: NDArray[np.float64], of_activation: NDArray[np.float64]) -> FactoredGradient:
    """Build from ``f_w`` of each activation and ``f_x`` of each weight."""
    constant = [np.tile([1.0, 0.0], (len(values), 1)) for values in (of_weight, of_activation)]
    return FactoredGradient(of_weight[:, None], of_activation[:, None], *constant)
