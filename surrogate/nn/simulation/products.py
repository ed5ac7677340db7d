"""The accurate product, and the linear regression of an approximate one, as surrogates for the engines.

The regression is the published baseline of five coefficients,

    f(a, b) ~ c1 a b + c2 a + c3 b + c4 a**2 + c5 b**2

by least squares. Trommer, Waschneck and Kumar, who compare with it, do not list its terms; these five are the
polynomial of second degree that is 0 where both operands are 0.
"""

from __future__ import annotations

from functools import lru_cache
from operator import mul

import numpy as np

from multipliers.function import CallableMultiplier
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import BasisFunction, Constant, Identity, Table
from surrogate.certify import certify
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term

_GRID = 1 << 10  # values of an operand in a regression
_SAMPLE = 1 << 16  # pairs compared where there are more than a table's
_EXHAUSTIVE = 1 << 20


@lru_cache(maxsize=16)
def accurate_product(a: OperandFormat, b: OperandFormat) -> Surrogate:
    """Return ``a * b`` as a surrogate of one term.

    Examples
    --------
    >>> print(accurate_product(OperandFormat(8), OperandFormat(4, signed=True)).formula())
    a b
    """
    exact = CallableMultiplier(mul, a, b, name=f"accurate{a}x{b}")
    return _certified((Term(1, Identity(), Identity()),), "accurate", exact)


@lru_cache(maxsize=64)
def linear_regression(multiplier: Multiplier) -> Surrogate:
    """Regress the product on ``a b``, ``a``, ``b``, ``a**2`` and ``b**2`` over all pairs of operands.

    Of operands of more than 10 bits, all pairs of 1024 values are taken, one random value from each equal interval.

    Examples
    --------
    >>> from multipliers import get
    >>> [round(t.coefficient, 6) for t in linear_regression(get("exact8s")).terms]
    [1]
    """
    columns: tuple[tuple[BasisFunction, BasisFunction], ...] = (
        (Identity(), Identity()),
        (Identity(), Constant()),
        (Constant(), Identity()),
        (_square(multiplier.a), Constant()),
        (Constant(), _square(multiplier.b)),
    )
    a, b = np.meshgrid(_values(multiplier.a), _values(multiplier.b), indexing="ij")
    design = np.stack([(g(a) * h(b)).ravel() for g, h in columns], axis=1).astype(np.float64)
    size = np.abs(design).max(axis=0)  # columns of like size: the squares are much larger than the operands
    size[size == 0] = 1
    error = (multiplier(a, b) - a * b).ravel()  # of the error: a product that is accurate is found so to the digit
    coefficients = np.linalg.lstsq(design / size, error, rcond=None)[0] / size
    coefficients[0] += 1
    terms = [Term(float(c), g, h) for c, (g, h) in zip(coefficients, columns, strict=True) if c != 0]
    return _certified(tuple(terms), "linear regression", multiplier)


def _square(operand: OperandFormat) -> Table:
    return Table(operand, operand.values() ** 2)


def _values(operand: OperandFormat) -> IntArray:
    if operand.size <= _GRID:
        return operand.values()
    step = operand.size // _GRID  # random within: values a power of two apart would all have the same low bits
    return operand.minimum + step * np.arange(_GRID) + np.random.default_rng(0).integers(0, step, _GRID)


def _certified(terms: tuple[Term, ...], method: str, multiplier: Multiplier) -> Surrogate:
    model = Surrogate(terms, MultiplierReference.of(multiplier), Provenance(method))
    return certify(model, multiplier, sample=None if multiplier.n_pairs <= _EXHAUSTIVE else _SAMPLE)
