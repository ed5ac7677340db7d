"""What each choice of the regression recipe costs: bases, solvers and decimals side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from multipliers.multiplier import Multiplier
from surrogate.basis import Constant, Identity
from surrogate.errors import FitError
from surrogate.fit.htp import published_models
from surrogate.fit.recipe import Floats, Grid, Model, best, models
from surrogate.fit.recipe_solvers import SOLVERS
from surrogate.model import MultiplierReference, Provenance, Surrogate

Progress = Callable[[int, int], None]
"""Called with (searches done, searches in all)."""

PUBLISHED = "published"
"""Basis of the rows of the recipe as published."""


@dataclass(frozen=True)
class RecipeRow:
    """One choice, and the best model that it leads to.

    Attributes
    ----------
    basis, solver : str
        Basis ``"published"`` is the recipe as published.
    decimals : int or None
        Of the coefficients; None: as fitted.
    functions : str
        The functions beside ``1`` and ``x`` that the model uses, of ``a`` and of ``b``.
    n_terms, n_products : int
        Terms, and matrix products that a layer needs for them.
    rms_fitted : float
        Root mean squared residual before the coefficients are rounded, in LSB of the product.
    rms_rounded : float
        The same of the model as it would be stored.
    wrong_share : float
        Share of pairs, 0 to 1, whose rounded product differs (absolute residual of 0.5 or more).
    """

    basis: str
    solver: str
    decimals: int | None
    functions: str
    n_terms: int
    n_products: int
    rms_fitted: float
    rms_rounded: float
    wrong_share: float


@dataclass(frozen=True)
class RecipeReport:
    """The choices of the recipe for one multiplier.

    Attributes
    ----------
    name : str
        The multiplier's label.
    n_pairs : int
        Operand pairs that models were fitted and compared on.
    every_pair : bool
        Whether these are all.
    rms_error : float
        Root mean squared error of the multiplier: what the accurate product as a model would leave.
    rows : tuple of RecipeRow
    """

    name: str
    n_pairs: int
    every_pair: bool
    rms_error: float
    rows: tuple[RecipeRow, ...]

    def best(self, max_products: int | None = None) -> RecipeRow:
        """Return the row of least ``rms_rounded``, of those within ``max_products``; fewer products, then terms, win.

        Raises
        ------
        FitError
            If no row has so few products.
        """
        rows = [row for row in self.rows if max_products is None or row.n_products <= max_products]
        if not rows:
            fewest = min(row.n_products for row in self.rows)
            raise FitError(f"no choice has at most {max_products} products; the fewest here are {fewest}")
        return min(rows, key=lambda row: (row.rms_rounded, row.n_products, row.n_terms))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**dataclasses.asdict(self), "rows": [dataclasses.asdict(row) for row in self.rows]}

    def __str__(self) -> str:
        pairs = f"{'all' if self.every_pair else 'a grid of'} {self.n_pairs} pairs"
        lines = [f"{self.name}: RMS error {self.rms_error:.6g} on {pairs}"]
        head = ("basis", "solver", "decimals", "terms", "products", "RMS fitted", "RMS rounded", "wrong")
        lines.append("{:<12}{:<7}{:>9}{:>7}{:>10}{:>13}{:>13}{:>9}  functions".format(*head))
        for row in self.rows:
            decimals = "all" if row.decimals is None else row.decimals
            lines.append(
                f"{row.basis:<12}{row.solver:<7}{decimals:>9}{row.n_terms:>7}{row.n_products:>10}"
                f"{row.rms_fitted:>13.6g}{row.rms_rounded:>13.6g}{row.wrong_share:>9.2%}  {row.functions}"
            )
        return "\n".join(lines)


def recipe_report(
    multiplier: Multiplier,
    *,
    bases: Sequence[str] = ("mod", "leading_one", "bits", "all"),
    solvers: Sequence[str] = SOLVERS,
    decimals: Sequence[int | None] = (0, 1, 2, None),
    terms: int | None = None,
    progress: Progress | None = None,
) -> RecipeReport:
    """Run the recipe with every combination of choices, the published one first.

    Parameters
    ----------
    multiplier : Multiplier
        What to model.
    bases, solvers, decimals : sequences
        See `surrogate.fit.recipe.fit_recipe`. The published recipe is reported for the same ``decimals``.
    terms : int, optional
        Most terms of the sparse solvers (default 9).
    progress : callable, optional
        ``progress(searches_done, searches_in_all)``; a search serves all decimals.

    Raises
    ------
    FitError
        If a choice is unknown, there are none, or a search would be too large.

    Examples
    --------
    >>> import multipliers
    >>> report = recipe_report(multipliers.get("bam6u_h2v4"), bases=["mod", "bits"], solvers=["omp"], decimals=[0])
    >>> [(row.basis, row.n_terms, round(row.rms_rounded, 2)) for row in report.rows]
    [('published', 4, 5.2), ('mod', 6, 0.0), ('bits', 6, 0.0)]
    >>> report.best(max_products=4).basis
    'mod'
    """
    if not decimals or not (bases and solvers):
        raise FitError("bases, solvers and decimals must each name at least one choice")
    grid, reference = Grid.of(multiplier), MultiplierReference.of(multiplier)
    a, b = multiplier.a, multiplier.b
    searches: list[tuple[str, str, Iterator[Model]]] = [(PUBLISHED, "ols", published_models(grid, a, b, "auto"))]
    for basis in bases:
        for solver in solvers:
            limit = None if solver == "ols" else terms
            searches.append((basis, solver, models(grid, a, b, basis=basis, solver=solver, terms=limit)))
    rows: list[RecipeRow] = []
    for done, (basis, solver, search) in enumerate(searches, 1):
        with threadpool_limits(1):  # as in `best`
            found = list(search)
        rows += [_row(basis, solver, n, best(grid, found, n), grid, reference) for n in decimals]
        if progress is not None:
            progress(done, len(searches))
    error = np.multiply.outer(grid.a, grid.b) - grid.products
    return RecipeReport(multiplier.name, grid.products.size, grid.every_pair, _rms(error), tuple(rows))


def _row(
    basis: str,
    solver: str,
    decimals: int | None,
    found: tuple[Model, Model],
    grid: Grid,
    reference: MultiplierReference,
) -> RecipeRow:
    fitted, rounded = found
    terms = rounded.terms()
    surrogate = Surrogate(terms, reference, Provenance("htp"))
    residual = surrogate(grid.a[:, None], grid.b) - grid.products  # of what would be stored, as certificates have it
    factors = [(term.a, "a") for term in terms] + [(term.b, "b") for term in terms]
    used = sorted({f.formula(x) for f, x in factors if f not in (Constant(), Identity())})
    return RecipeRow(
        basis=basis,
        solver=solver,
        decimals=decimals,
        functions=", ".join(used),
        n_terms=len(terms),
        n_products=surrogate.n_products,
        rms_fitted=_rms(grid.residual(fitted)),
        rms_rounded=_rms(residual),
        wrong_share=float((np.abs(residual) >= 0.5).mean()),
    )


def _rms(residual: Floats) -> float:
    return float(np.sqrt(np.square(residual).mean()))
