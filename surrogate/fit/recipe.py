"""The regression recipe beyond what was published: any levels per operand, more functions, sparse solvers.

Least squares over products ``g(a) h(b)`` on a grid of operand values separates: with the columns of ``A`` and ``B``
the functions of either operand and ``F`` the products, all coefficients of ordinary least squares are
``pinv(A) F pinv(B)^T``, and the normal equations of the whole dictionary are ``(A^T A) kron (B^T B)`` and ``A^T F B``.
So one pass over the products serves every point of a grid search.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import BasisFunction, Constant, Identity
from surrogate.errors import FitError
from surrogate.fit.recipe_dictionary import BASES, Levels, dictionary, split_levels
from surrogate.fit.recipe_solvers import check_solver, least_squares, supports
from surrogate.model import Term

GRID_VALUES = 512
"""Values per operand that a fit sees: all of them up to 9 bits, else one from each of as many equal intervals."""

MAX_PRODUCTS = 4096
"""Most products in a dictionary of a sparse solver: its normal equations are a square matrix of that size."""

MAX_POINTS = 20_000
"""Most points of a grid search."""

Floats = NDArray[np.float64]
Functions = tuple[BasisFunction, ...]


@dataclass(frozen=True, eq=False)
class Grid:
    """The products of a multiplier on a grid of operand values.

    Attributes
    ----------
    a, b : ndarray of int64, shapes (n,) and (m,)
        Operand values, ascending.
    products : ndarray of float64, shape (n, m)
    every_pair : bool
        Whether these are all operand pairs.
    """

    a: IntArray
    b: IntArray
    products: Floats
    every_pair: bool

    @classmethod
    def of(cls, multiplier: Multiplier) -> Grid:
        """Take all values of narrow operands, and a reproducible spread of those of wide ones."""
        rng = np.random.default_rng(0)
        a, b = _values(multiplier.a, rng), _values(multiplier.b, rng)
        products = np.asarray(multiplier(a[:, None], b), dtype=np.float64)
        return cls(a, b, products, a.size * b.size == multiplier.n_pairs)

    def residual(self, model: Model) -> Floats:
        """Model minus multiplier on the whole grid."""
        left, right = _columns(model.functions_a, self.a), _columns(model.functions_b, self.b)
        return left @ model.coefficients @ right.T - self.products


@dataclass(frozen=True, eq=False)
class Model:
    """``sum_jk coefficients[j, k] functions_a[j](a) functions_b[k](b)``.

    Attributes
    ----------
    functions_a, functions_b : tuple of BasisFunction
    coefficients : ndarray of float64, shape (len(functions_a), len(functions_b))
    """

    functions_a: Functions
    functions_b: Functions
    coefficients: Floats

    def rounded(self, decimals: int | None) -> Model:
        """Round the coefficients, as Python rounds decimals."""
        if decimals is None:
            return self
        rounded = np.array([round(c, decimals) for c in self.coefficients.ravel().tolist()])
        return Model(self.functions_a, self.functions_b, rounded.reshape(self.coefficients.shape))

    @property
    def n_terms(self) -> int:
        """Number of coefficients that are not 0."""
        return int(np.count_nonzero(self.coefficients))

    def terms(self) -> list[Term]:
        """Return the terms whose coefficient is not 0, the intercept last."""
        pairs = itertools.product(self.functions_a, self.functions_b)
        found = [Term(c, g, h) for c, (g, h) in zip(self.coefficients.ravel().tolist(), pairs, strict=True) if c]
        return sorted(found, key=lambda term: term.a == term.b == Constant())


def fit_recipe(
    multiplier: Multiplier,
    *,
    basis: str = "all",
    solver: str = "ols",
    levels: Levels = None,
    decimals: int | None = 1,
    terms: int | None = None,
) -> list[Term]:
    """Search for the rounded model of least squared residual.

    Parameters
    ----------
    multiplier : Multiplier
        What to model.
    basis : {"auto", "mod", "leading_one", "bits", "all"}
        Families of functions beside ``1`` and ``x``; ``"auto"`` is ``"mod"`` and ``"leading_one"``.
    solver : {"ols", "omp", "lasso"}
        ``"ols"``: ordinary least squares of all products of a few functions per operand, searched over which.
        ``"omp"``, ``"lasso"``: the best few products of all functions at once, by orthogonal matching pursuit or along
        the Lasso path, then fitted by least squares.
    levels : int or (sequence of int, sequence of int), optional
        ``"ols"``: how many functions beside ``1`` and ``x`` each operand has at once (default 1). For all solvers:
        exactly these levels of ``a`` and of ``b``, all at once; see `dictionary`.
    decimals : int or None
        Decimals of the coefficients; terms that round to 0 are dropped. None keeps them as fitted.
    terms : int, optional
        ``"omp"``, ``"lasso"``: most terms (default 9).

    Returns
    -------
    list of Term
        Fewer terms win among equal residuals.

    Raises
    ------
    FitError
        If an option is unknown, or the search would be too large.

    Examples
    --------
    >>> import multipliers
    >>> for term in fit_recipe(multipliers.get("bam6u_h0v2"), basis="bits", solver="omp", decimals=0):
    ...     print(term.formula())
    a b
    -bit_0(a) bit_0(b)
    -2 bit_0(a) bit_1(b)
    -2 bit_1(a) bit_0(b)
    """
    grid = Grid.of(multiplier)
    found = models(grid, multiplier.a, multiplier.b, basis=basis, solver=solver, levels=levels, terms=terms)
    return best(grid, found, decimals)[1].terms()


def best(grid: Grid, found: Iterable[Model], decimals: int | None) -> tuple[Model, Model]:
    """Return the model, as fitted and rounded, whose rounded residual is least; fewer terms win among equal ones."""
    least: tuple[float, int] = (math.inf, 0)
    chosen: tuple[Model, Model] | None = None
    with threadpool_limits(1):  # so many small problems: threads cost more than they bring
        for model in found:
            rounded = model.rounded(decimals)
            residual = float(np.square(grid.residual(rounded)).sum())
            if (residual, rounded.n_terms) < least:
                least, chosen = (residual, rounded.n_terms), (model, rounded)
    if chosen is None:
        raise FitError("no model has a finite residual; the products are too large for float64 arithmetic")
    return chosen


def models(
    grid: Grid,
    a: OperandFormat,
    b: OperandFormat,
    *,
    basis: str,
    solver: str,
    levels: Levels = None,
    terms: int | None = None,
) -> Iterator[Model]:
    """Yield the fitted models, before rounding, that `fit_recipe` chooses from; options are checked at once."""
    if basis not in BASES:
        raise FitError(f"basis must be one of {', '.join(map(repr, BASES))}, got {basis!r}")
    most = check_solver(solver, terms)
    levels_a, levels_b = split_levels(levels)
    functions_a, functions_b = dictionary(basis, a, levels_a, grid.a), dictionary(basis, b, levels_b, grid.b)
    if solver == "ols":
        at_once = 1 if levels is None else levels if isinstance(levels, int) else None
        left, right = (_selections(functions, at_once) for functions in (functions_a, functions_b))
        if len(left) * len(right) > MAX_POINTS:
            raise FitError(
                f"{at_once} levels at once are {len(left)} x {len(right)} selections, above {MAX_POINTS}; take fewer, "
                f"or solver='omp', which needs no search"
            )
        return separable_least_squares(grid, itertools.product(left, right))
    if isinstance(levels, int):
        raise FitError(f"solver={solver!r} chooses among all levels at once; levels={levels} is for solver='ols'")
    if len(functions_a) * len(functions_b) > MAX_PRODUCTS:
        raise FitError(
            f"basis={basis!r} has {len(functions_a)} x {len(functions_b)} products for {a} x {b} operands, above "
            f"{MAX_PRODUCTS}; take another basis, or give levels"
        )
    return _sparse(grid, functions_a, functions_b, solver, most)


def _selections(functions: Sequence[BasisFunction], at_once: int | None) -> list[Functions]:
    """``1``, ``x`` (where it is another function) and ``at_once`` others, or all."""
    others = [f for f in functions if f.kind not in ("constant", "identity")]
    plain = tuple(f for f in functions if f.kind in ("constant", "identity"))
    count = len(others) if at_once is None else min(at_once, len(others))
    return [plain + chosen for chosen in itertools.combinations(others, count)]


def separable_least_squares(grid: Grid, selections: Iterable[tuple[Functions, Functions]]) -> Iterator[Model]:
    """``pinv(A) F pinv(B)^T`` for every selection of functions of ``a`` and of ``b``."""
    projected: dict[Functions, Floats] = {}
    inverses: dict[Functions, Floats] = {}
    for functions_a, functions_b in selections:
        if functions_a not in projected:
            projected[functions_a] = _inverse(functions_a, grid.a) @ grid.products
        if functions_b not in inverses:
            inverses[functions_b] = _inverse(functions_b, grid.b)
        yield Model(functions_a, functions_b, projected[functions_a] @ inverses[functions_b].T)


def _sparse(
    grid: Grid, functions_a: Sequence[BasisFunction], functions_b: Sequence[BasisFunction], solver: str, terms: int
) -> Iterator[Model]:
    """Fit the products that a sparse solver chooses by least squares: to the multiplier, and to its error.

    The error is that of the accurate product, which then has the coefficient 1: no rounding can hurt the one term that
    outweighs all others, and no function close to the identity can take its place.
    """
    left, right = _columns(functions_a, grid.a), _columns(functions_b, grid.b)
    gram = np.kron(left.T @ left, right.T @ right).astype(np.float64, copy=False)
    n_b = len(functions_b)
    accurate = functions_a.index(Identity()) * n_b + functions_b.index(Identity())
    error = grid.products - np.multiply.outer(grid.a, grid.b)
    for target, start, limit in ((grid.products, 0.0, terms), (error, 1.0, terms - 1)):
        moments: Floats = (left.T @ target @ right).ravel()
        for support in (np.arange(0), *supports(solver, gram, moments, target.size, limit)):
            rows, columns = np.divmod(support, n_b)
            design = left[:, None, rows] * right[:, columns]
            coefficients = np.zeros(len(gram))
            coefficients[support] = least_squares(design.reshape(target.size, -1), target.ravel())
            coefficients[accurate] += start
            yield _compact(functions_a, functions_b, coefficients.reshape(-1, n_b))


def _compact(functions_a: Sequence[BasisFunction], functions_b: Sequence[BasisFunction], coefficients: Floats) -> Model:
    """Leave out functions that no term uses."""
    used_a, used_b = np.flatnonzero(coefficients.any(axis=1)), np.flatnonzero(coefficients.any(axis=0))
    return Model(
        tuple(functions_a[j] for j in used_a.tolist()),
        tuple(functions_b[k] for k in used_b.tolist()),
        coefficients[np.ix_(used_a, used_b)],
    )


def _columns(functions: Sequence[BasisFunction], values: IntArray) -> Floats:
    columns = np.empty((len(values), len(functions)))
    for j, function in enumerate(functions):
        columns[:, j] = function(values)
    return columns


def _inverse(functions: Sequence[BasisFunction], values: IntArray) -> Floats:
    """Pseudo-inverse; columns of one magnitude make it well conditioned."""
    columns = _columns(functions, values)
    scale = np.maximum(np.abs(columns).max(axis=0), 1.0)
    inverse: Floats = np.linalg.pinv(columns / scale) / scale[:, None]
    return inverse


def _values(operand: OperandFormat, rng: np.random.Generator) -> IntArray:
    if operand.size <= GRID_VALUES:
        return operand.values()
    step = operand.size // GRID_VALUES
    return operand.minimum + step * np.arange(GRID_VALUES, dtype=np.int64) + rng.integers(0, step, GRID_VALUES)
