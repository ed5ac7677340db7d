"""Sparse least squares on normal equations: which products of basis functions are worth a term.

With unit columns ``x_j`` of products, ``gram[j, k] = x_j . x_k`` and ``moments[j] = x_j . y`` are all that orthogonal
matching pursuit and the Lasso need, so a dictionary of thousands of products over all operand pairs costs one small
matrix.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path_gram, orthogonal_mp_gram

from surrogate.errors import FitError

SOLVERS = ("ols", "omp", "lasso")
"""Ordinary least squares of all products, orthogonal matching pursuit, Lasso by least-angle regression."""

DEFAULT_TERMS = 9
"""Most terms that a sparse solver chooses: as many as the published recipe has."""

_STEPS_PER_TERM = 4  # the Lasso path also drops columns, so it takes more steps than it has terms


def supports(
    solver: str, gram: NDArray[np.float64], moments: NDArray[np.float64], n_samples: int, terms: int
) -> Iterator[NDArray[np.intp]]:
    """Yield the sets of columns on a solver's path, of at most ``terms`` columns, each once.

    Parameters
    ----------
    solver : {"omp", "lasso"}
        Orthogonal matching pursuit adds the column of largest correlation with the residual (Pati, Rezaiifar,
        Krishnaprasad, Asilomar 1993). The Lasso minimises ``|y - X c|**2 / (2 n) + alpha |c|_1``; its path over all
        ``alpha`` is that of Efron et al., Annals of Statistics 32(2), 2004. Coefficients are for the caller to fit:
        the Lasso's own are shrunk.
    gram, moments : ndarray, shapes (p, p) and (p,)
        Of columns of any scale; zero columns are never chosen.
    n_samples : int
        Rows of X.
    terms : int
        Most columns.
    """
    scale = np.sqrt(np.diag(gram))
    used = np.flatnonzero(scale > 0)
    unit = gram[np.ix_(used, used)] / np.outer(scale[used], scale[used])
    target = moments[used] / scale[used]
    if used.size == 0 or terms < 1 or not target.any():
        return
    with warnings.catch_warnings():
        # both stop early where the rest of the dictionary is linearly dependent: the path so far is what there is
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        if solver == "omp":
            path = orthogonal_mp_gram(unit, target, n_nonzero_coefs=min(terms, used.size), return_path=True)
            path = path.reshape(used.size, -1)
        else:
            steps = _STEPS_PER_TERM * terms
            path = lars_path_gram(target, unit, n_samples=n_samples, max_iter=steps, method="lasso")[2]
    seen = set()
    for coefficients in path.T:
        chosen = used[np.flatnonzero(coefficients)]
        key = chosen.tobytes()
        if 0 < chosen.size <= terms and key not in seen:
            seen.add(key)
            yield chosen


def least_squares(design: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of least squares; columns of one magnitude make the problem well conditioned."""
    scale = np.maximum(np.abs(design).max(axis=0, initial=0.0), 1.0)
    fitted: NDArray[np.float64] = np.linalg.lstsq(design / scale, target)[0] / scale
    return fitted


def check_solver(solver: str, terms: int | None) -> int:
    """Return the most terms that a solver may choose.

    Raises
    ------
    FitError
        If there is no such solver, or ``terms`` is not positive, or given for ordinary least squares.
    """
    if solver not in SOLVERS:
        raise FitError(f"solver must be one of {', '.join(map(repr, SOLVERS))}, got {solver!r}")
    if terms is None:
        return DEFAULT_TERMS
    if solver == "ols":
        raise FitError("terms is for the solvers 'omp' and 'lasso'; 'ols' keeps every product that does not round to 0")
    if isinstance(terms, bool) or not isinstance(terms, int) or terms < 1:
        raise FitError(f"terms must be a positive integer, got {terms!r}")
    return terms
