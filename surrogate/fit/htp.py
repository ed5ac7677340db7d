"""The published high-throughput (HTP) recipe: linear regression over hand-picked basis functions.

Trommer, Waschneck, Kumar, "Fast Retraining of Approximate CNNs for High Accuracy". For array multipliers the products
of ``{1, a, a mod 2**l}`` and ``{1, b, b mod 2**m}`` are fitted by least squares, ``l`` and ``m`` by grid search;
coefficients are rounded to one decimal, near-zero terms dropped. For logarithmic multipliers both operands are
truncated to their leading bits. Two flaws of the published code are mended: samples cover the operand plane (theirs
lie on its diagonal), and the intercept is a term of the model (theirs is lost on export).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from multipliers.multiplier import Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import BasisFunction, Constant, Identity, LeadingOneTruncate, Mod
from surrogate.errors import FitError
from surrogate.model import Term

FIT_PAIRS = 1 << 16
"""Operand pairs that a regression sees: all of them up to 8 x 8 bits, else this many reproducible random ones."""


class HTPRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Least squares over products of basis functions, with rounded coefficients.

    Minimises ``sum_i (y_i - sum_j c_j g_j(a_i) h_j(b_i))**2`` over ``c``, then rounds each ``c_j`` to ``decimals``
    decimals and drops the terms that become zero.

    Parameters
    ----------
    terms : sequence of (BasisFunction, BasisFunction)
        The products ``g_j, h_j``; (constant, constant) is the intercept.
    decimals : int or None
        Decimals that coefficients are rounded to; None keeps them as fitted.

    Attributes
    ----------
    terms_ : list of Term
        The model, after rounding.
    """

    def __init__(self, terms: Sequence[tuple[BasisFunction, BasisFunction]], decimals: int | None = 1) -> None:
        self.terms = terms
        self.decimals = decimals

    def fit(self, X: ArrayLike, y: ArrayLike) -> HTPRegressor:
        """Fit to operand pairs ``X``, shape ``(n, 2)``, and their products ``y``."""
        pairs, target = np.asarray(X, dtype=np.int64), np.asarray(y, dtype=np.float64)
        varying = [t for t in self.terms if t != (Constant(), Constant())]
        has_intercept = len(varying) < len(self.terms)
        design = np.column_stack([g(pairs[:, 0]) * h(pairs[:, 1]) for g, h in varying]).astype(np.float64)
        scale = np.maximum(np.abs(design).max(axis=0), 1.0)  # columns of one magnitude condition the normal equations
        regression = LinearRegression(fit_intercept=has_intercept).fit(design / scale, target)
        fitted = [(c, *t) for c, t in zip(regression.coef_ / scale, varying, strict=True)]
        if has_intercept:
            fitted.append((regression.intercept_, Constant(), Constant()))
        self.terms_ = [Term(c, g, h) for raw, g, h in fitted if (c := self._rounded(float(raw))) != 0]
        return self

    def _rounded(self, coefficient: float) -> float:
        return coefficient if self.decimals is None else round(coefficient, self.decimals)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Evaluate the rounded model on operand pairs, shape ``(n, 2)``."""
        check_is_fitted(self)
        pairs = np.asarray(X, dtype=np.int64)
        total = np.zeros(len(pairs))
        for term in self.terms_:
            total += term.coefficient * (term.a(pairs[:, 0]) * term.b(pairs[:, 1]))
        return total


def _mod_terms(a: OperandFormat, b: OperandFormat) -> Iterator[list[tuple[BasisFunction, BasisFunction]]]:
    """Yield the candidates of the published recipe: all products of {1, x, x mod 2**l} per operand."""
    for bits_a, bits_b in itertools.product(range(1, a.bits), range(1, b.bits)):
        yield list(itertools.product((Constant(), Identity(), Mod(bits_a)), (Constant(), Identity(), Mod(bits_b))))
    if a.bits == 1 or b.bits == 1:  # no level below the operand's own width
        yield list(itertools.product((Constant(), Identity()), (Constant(), Identity())))


def _leading_one_terms(a: OperandFormat, b: OperandFormat) -> Iterator[list[tuple[BasisFunction, BasisFunction]]]:
    """Yield the candidates for logarithmic designs: one product of operands truncated to their leading bits."""
    for bits, unbiased in itertools.product(range(1, max(a.bits, b.bits) + 1), (False, True)):
        truncate = LeadingOneTruncate(bits, unbiased)
        yield [(truncate, truncate)]


FAMILIES = {"mod": (_mod_terms,), "leading_one": (_leading_one_terms,), "auto": (_mod_terms, _leading_one_terms)}


def operand_pairs(multiplier: Multiplier) -> tuple[IntArray, IntArray]:
    """Every operand pair of a narrow multiplier, or `FIT_PAIRS` independent random ones of a wide one."""
    if multiplier.n_pairs <= FIT_PAIRS:
        a, b = np.meshgrid(multiplier.a.values(), multiplier.b.values(), indexing="ij")
        return a.ravel(), b.ravel()
    return sample_pairs(multiplier.a, multiplier.b, FIT_PAIRS)


def fit_htp(multiplier: Multiplier, *, basis: str = "auto", decimals: int | None = 1) -> list[Term]:
    """Search the grid of basis functions for the rounded model of least squared residual.

    Parameters
    ----------
    multiplier : Multiplier
        What to model.
    basis : {"auto", "mod", "leading_one"}
        ``"mod"`` for array multipliers, ``"leading_one"`` for logarithmic ones, ``"auto"`` the better of both.
    decimals : int or None
        Decimals of the coefficients.

    Returns
    -------
    list of Term
        At most nine; fewer terms win among equal residuals.

    Raises
    ------
    FitError
        If ``basis`` is unknown.
    """
    if basis not in FAMILIES:
        raise FitError(f"basis must be one of {', '.join(map(repr, FAMILIES))}, got {basis!r}")
    a, b = operand_pairs(multiplier)
    pairs, products = np.column_stack([a, b]), multiplier(a, b).astype(np.float64)
    best: tuple[float, int, list[Term]] = (math.inf, 0, [])
    with threadpool_limits(1):  # so many small problems: threads cost more than they bring
        for terms in itertools.chain.from_iterable(family(multiplier.a, multiplier.b) for family in FAMILIES[basis]):
            regressor = HTPRegressor(terms, decimals).fit(pairs, products)
            residual = float(np.square(regressor.predict(pairs) - products).sum())
            if (residual, len(regressor.terms_)) < best[:2]:
                best = residual, len(regressor.terms_), regressor.terms_
    return best[2]
