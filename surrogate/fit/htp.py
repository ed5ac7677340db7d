"""The published high-throughput (HTP) recipe: linear regression over hand-picked basis functions.

Trommer, Waschneck, Kumar, "Fast Retraining of Approximate CNNs for High Accuracy". For array multipliers the products
of ``{1, a, a mod 2**l}`` and ``{1, b, b mod 2**m}`` are fitted by least squares, ``l`` and ``m`` by grid search;
coefficients are rounded to one decimal, near-zero terms dropped. For logarithmic multipliers both operands are
truncated to their leading bits. Two flaws of the published code are mended: samples cover the operand plane (theirs
lie on its diagonal), and the intercept is a term of the model (theirs is lost on export). What the authors left open
is in `surrogate.fit.recipe`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from multipliers.multiplier import Multiplier
from multipliers.operands import OperandFormat
from surrogate.basis import LeadingOneTruncate
from surrogate.errors import FitError
from surrogate.fit.recipe import Grid, Model, best, fit_recipe, models, separable_least_squares
from surrogate.fit.recipe_dictionary import BASES, Levels
from surrogate.model import Term

PUBLISHED = ("auto", "mod", "leading_one")
"""Bases of the recipe as published, when nothing else is asked for."""


def fit_htp(
    multiplier: Multiplier,
    *,
    basis: str = "auto",
    decimals: int | None = 1,
    solver: str = "ols",
    levels: Levels = None,
    terms: int | None = None,
) -> list[Term]:
    """Search the grid of basis functions for the rounded model of least squared residual.

    With only ``basis`` (of `PUBLISHED`) and ``decimals`` given this is the recipe as published; with another basis,
    a solver, levels or terms it is its extension, `surrogate.fit.recipe.fit_recipe`.

    Parameters
    ----------
    multiplier : Multiplier
        What to model.
    basis : {"auto", "mod", "leading_one", "bits", "all"}
        ``"mod"`` for array multipliers, ``"leading_one"`` for logarithmic ones, ``"auto"`` the better of both.
        ``"bits"``: single bits; ``"all"``: all of these.
    decimals : int or None
        Decimals of the coefficients.
    solver, levels, terms
        See `surrogate.fit.recipe.fit_recipe`.

    Returns
    -------
    list of Term
        At most nine as published; fewer terms win among equal residuals.

    Raises
    ------
    FitError
        If an option is unknown or does not apply.
    """
    if basis not in BASES:
        raise FitError(f"basis must be one of {', '.join(map(repr, BASES))}, got {basis!r}")
    if solver == "ols" and levels is None and terms is None and basis in PUBLISHED:
        grid = Grid.of(multiplier)
        return best(grid, published_models(grid, multiplier.a, multiplier.b, basis), decimals)[1].terms()
    return fit_recipe(multiplier, basis=basis, solver=solver, levels=levels, decimals=decimals, terms=terms)


def published_models(grid: Grid, a: OperandFormat, b: OperandFormat, basis: str) -> Iterator[Model]:
    """Yield the candidates of the published recipe, fitted, before rounding.

    All products of ``{1, x, x mod 2**l}`` per operand; for logarithmic designs one product of operands that are
    truncated alike.
    """
    if basis != "leading_one":
        yield from models(grid, a, b, basis="mod", solver="ols")
    if basis != "mod":
        for bits, unbiased in itertools.product(range(1, max(a.bits, b.bits) + 1), (False, True)):
            truncated = (LeadingOneTruncate(bits, unbiased),)
            yield from separable_least_squares(grid, [(truncated, truncated)])
