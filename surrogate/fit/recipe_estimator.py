"""The recipe's regression as a scikit-learn estimator, for samples of one's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

from multipliers.operands import IntArray
from surrogate.basis import BasisFunction
from surrogate.errors import FitError
from surrogate.fit.recipe_solvers import check_solver, least_squares, supports
from surrogate.model import Term


class HTPRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Least squares over products of basis functions, with rounded coefficients.

    Minimises ``sum_i w_i (y_i - sum_j c_j g_j(a_i) h_j(b_i))**2`` over ``c``, then rounds each ``c_j`` to
    ``decimals`` decimals and drops the terms that become zero. A sparse solver proposes sets of terms; the one whose
    rounded model has the least residual is kept. `surrogate.discover` finds the same from all products of a multiplier
    at once; this is for operand pairs as they come, such as those of a recorded layer.

    Parameters
    ----------
    terms : sequence of (BasisFunction, BasisFunction)
        The products ``g_j, h_j``; (constant, constant) is the intercept.
    decimals : int or None
        Decimals that coefficients are rounded to; None keeps them as fitted.
    solver : {"ols", "omp", "lasso"}
        Ordinary least squares of all terms, or orthogonal matching pursuit or the Lasso path over them.
    max_terms : int, optional
        ``"omp"``, ``"lasso"``: most terms (default 9).

    Attributes
    ----------
    terms_ : list of Term
        The model, after rounding.
    n_features_in_ : int
        2, the operands.

    Examples
    --------
    >>> from surrogate.basis import Identity, Mod
    >>> pairs = [[a, b] for a in range(16) for b in range(16)]
    >>> y = [a * b - 0.52 * (a % 4) * b for a, b in pairs]
    >>> regressor = HTPRegressor([(Identity(), Identity()), (Mod(2), Identity())]).fit(pairs, y)
    >>> [term.formula() for term in regressor.terms_]
    ['a b', '-0.5 (a mod 4) b']
    """

    def __init__(
        self,
        terms: Sequence[tuple[BasisFunction, BasisFunction]],
        decimals: int | None = 1,
        solver: str = "ols",
        max_terms: int | None = None,
    ) -> None:
        self.terms = terms
        self.decimals = decimals
        self.solver = solver
        self.max_terms = max_terms

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> HTPRegressor:
        """Fit to operand pairs ``X``, shape ``(n, 2)``, and their products ``y``.

        Raises
        ------
        FitError
            If there are no terms, an option is unknown, or a weight is negative.
        ValueError
            If ``X`` is no matrix of two columns of integers, or the lengths differ.
        """
        most = check_solver(self.solver, self.max_terms)
        if not len(self.terms):
            raise FitError("terms is empty: give the products (g, h) that may be used")
        pairs, target = _pairs(X), column_or_1d(y, dtype=np.float64)
        check_consistent_length(pairs, target)
        root = np.ones(len(target))
        if sample_weight is not None:
            weights = column_or_1d(sample_weight, dtype=np.float64)
            check_consistent_length(pairs, weights)
            if not (weights >= 0).all() or not weights.any():
                raise FitError("sample_weight must be numbers of 0 or more, not all 0")
            root = np.sqrt(weights)
        design = np.column_stack([g(pairs[:, 0]) * h(pairs[:, 1]) for g, h in self.terms]) * root[:, None]
        proposals: Sequence[NDArray[np.intp]] = [np.arange(len(self.terms))]
        if self.solver != "ols":
            found = supports(self.solver, design.T @ design, design.T @ (target * root), len(target), most)
            proposals = [np.arange(0), *found]
        residuals, models = [], []
        for chosen in proposals:
            fitted = least_squares(design[:, chosen], target * root).tolist()
            rounded = [c if self.decimals is None else round(c, self.decimals) for c in fitted]
            residuals.append(float(np.square(design[:, chosen] @ np.array(rounded) - target * root).sum()))
            models.append([Term(c, *self.terms[j]) for c, j in zip(rounded, chosen.tolist(), strict=True) if c != 0])
        self.terms_ = models[int(np.argmin(residuals))]
        self.n_features_in_ = 2
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Evaluate the rounded model on operand pairs, shape ``(n, 2)``."""
        check_is_fitted(self)
        pairs = _pairs(X)
        total = np.zeros(len(pairs))
        for term in self.terms_:
            total += term.coefficient * (term.a(pairs[:, 0]) * term.b(pairs[:, 1]))
        return total


def _pairs(X: ArrayLike) -> IntArray:
    pairs = check_array(X, dtype=None)
    if pairs.shape[1] != 2 or pairs.dtype.kind not in "iuf" or not (pairs == np.floor(pairs)).all():
        raise FitError(f"X must be integer operand pairs, shape (n, 2), got shape {pairs.shape} of {pairs.dtype}")
    whole: IntArray = pairs.astype(np.int64)
    return whole
