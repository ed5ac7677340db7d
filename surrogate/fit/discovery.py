"""One function, `discover`, over interchangeable methods."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from multipliers.multiplier import Multiplier
from multipliers.release import release
from surrogate.certify import Progress, certificate, compare, default_sample, measure, open_checkpoint
from surrogate.checkpoint import Checkpoint
from surrogate.errors import FitError
from surrogate.model import MultiplierReference, Option, Provenance, Surrogate, Term
from surrogate.oracle import Oracle, Witness
from surrogate.residuals import MOST_PER_BLOCK, spread

if TYPE_CHECKING:
    from surrogate.fit.recipe_dictionary import Levels
    from surrogate.fit.select import Objective

METHODS = ("exact", "htp", "lowrank")
"""The methods of `discover`."""

_ATTEMPTS = 6


def discover(
    multiplier: Multiplier,
    method: str | None = None,
    *,
    objective: Objective | None = None,
    terms: int | None = None,
    products: int | None = None,
    factors: str = "float",
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
    basis: str = "auto",
    decimals: int | None = 1,
    solver: str = "ols",
    levels: Levels = None,
    sample: int | None = None,
    every_pair: bool = False,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Surrogate:
    """Find a surrogate of a multiplier, with no knowledge of its circuit, and certify it.

    Parameters
    ----------
    multiplier : Multiplier
        What to model.
    method : {"exact", "htp", "lowrank"}, optional
        The default is ``"exact"``, or what meets the objective.
        ``"exact"``: integer factorisation into the fewest terms, ``min(rank F, 1 + rank E)``.
        ``"htp"``: the published regression recipe over ``{1, x, x mod 2**l}`` or leading-one truncation.
        ``"lowrank"``: the best ``terms`` terms, or ``products`` products, in weighted least squares, mean error
        preserved.
    objective : Objective, optional
        What is needed, instead of a method: `surrogate.select` chooses the cheapest surrogate that meets it.
    terms : int, optional
        ``"lowrank"``: how many terms in all (default 4). ``"exact"``: refuse to use more (default: no limit up to 256).
    products : int, optional
        ``"lowrank"``, instead of ``terms``: how many products, beside terms with a constant factor, which cost nearly
        nothing. The one choice for operands too wide for a table.
    factors : {"float", "int8", "bfloat16"}
        ``"lowrank"`` with ``products``: datatype that the factors of products are rounded to, and fitted again.
    weights_a, weights_b : array_like of float, optional
        ``"lowrank"``: operand distributions, a weight per value in natural order.
    basis : {"auto", "mod", "leading_one", "bits", "all"}
        ``"htp"``: which basis functions.
    decimals : int or None
        ``"htp"``: decimals of the coefficients; None keeps them as fitted.
    solver, levels
        ``"htp"``: beyond the published recipe, a sparse solver (``"omp"``, ``"lasso"``) over all basis functions, or
        their levels per operand; see `surrogate.fit.recipe.fit_recipe`.
    sample : int, optional
        Certify on this many random pairs instead of all.
    every_pair : bool
        Certify on every pair also above 2**24 pairs, where the default is 2**22 sampled ones.
    progress : callable, optional
        ``progress(pairs_done, pairs_in_all)`` while certifying.
    checkpoint : path, optional
        A file that notes how far certifying came; after an interruption the same call goes on from there, see
        `surrogate.certify`.

    Returns
    -------
    Surrogate
        With its certificate and provenance.

    Raises
    ------
    FitError
        If the method or an option is unknown or does not apply, or no such surrogate exists.
    OracleError
        If the multiplier raises, or gives other products when it is asked again.
    CheckpointError
        If the checkpoint is damaged, or belongs to another discovery.

    Examples
    --------
    >>> import multipliers
    >>> s = discover(multipliers.get("bam8u_h0v2"), method="exact")
    >>> s.n_terms, s.is_exact
    (3, True)
    """
    if objective is not None:
        if method is not None:
            raise FitError(f"an objective and method={method!r} are both given; the objective chooses the method")
        _refuse_foreign_options("lowrank", terms, products, factors, None, None, basis, decimals, solver, levels)
        if any(option is not None for option in (terms, products, sample, checkpoint)):
            raise FitError(
                "terms, products, sample and checkpoint are options of a method; the objective has max_products"
            )
        from surrogate.fit.select import select

        selection = select(multiplier, objective, weights_a=weights_a, weights_b=weights_b, every_pair=every_pair)
        return selection.surrogate
    method = "exact" if method is None else method
    _refuse_foreign_options(method, terms, products, factors, weights_a, weights_b, basis, decimals, solver, levels)
    if sample is None and not every_pair:
        sample = default_sample(multiplier)
    multiplier = Oracle(multiplier)
    witness = Witness.of(multiplier)
    noted = None if checkpoint is None else open_checkpoint(checkpoint)
    weighted = weights_a is not None or weights_b is not None
    if method == "exact":
        surrogate = _discover_exact(multiplier, 256 if terms is None else terms, sample, progress, noted)
    else:
        if method == "htp":
            from surrogate.fit.htp import fit_htp

            found = fit_htp(multiplier, basis=basis, decimals=decimals, solver=solver, levels=levels)
            options: dict[str, Option] = {"basis": basis, "decimals": decimals}
            if solver != "ols" or levels is not None:
                options |= {"solver": solver, "levels": levels if isinstance(levels, int | None) else str(levels)}
        elif products is not None:
            from surrogate.fit.products import fit_products

            found = fit_products(
                multiplier, products=products, weights_a=weights_a, weights_b=weights_b, factors=factors
            )
            options = {"products": products, "factors": factors, "weighted": weighted}
        else:
            from surrogate.fit.lowrank import fit_lowrank

            limit = 4 if terms is None else terms
            found = fit_lowrank(multiplier, terms=limit, weights_a=weights_a, weights_b=weights_b)
            options = {"terms": limit, "weighted": weighted}
        model = _surrogate(MultiplierReference.of(multiplier), found, method, options)
        surrogate = measure(model, multiplier, sample=sample, progress=progress, checkpoint=noted)
    witness.check(multiplier)
    if noted is not None:
        noted.remove()
    return surrogate


def _discover_exact(
    multiplier: Multiplier, limit: int, sample: int | None, progress: Progress | None, checkpoint: Checkpoint | None
) -> Surrogate:
    """Factorise and certify, again with what the sample of a wide table has missed, until nothing differs."""
    from surrogate.fit.exact import fit_exact
    from surrogate.fit.integer_factors import NOWHERE

    if limit < 1:
        raise FitError(f"terms must be a positive integer, got {limit!r}")
    reference, include = MultiplierReference.of(multiplier), NOWHERE
    for _ in range(_ATTEMPTS):
        found, form = fit_exact(multiplier, max_terms=limit, include=include)
        model = _surrogate(reference, found, "exact", {"form": form})
        residuals = compare(model, multiplier, sample=sample, progress=progress, checkpoint=checkpoint, keep=True)
        if residuals.largest == 0:
            return model.with_certificate(certificate(residuals, sample))
        missed = Witness(*np.array(residuals.differences, dtype=np.int64).T)
        missed.check(multiplier)
        chosen = spread(len(missed.a), MOST_PER_BLOCK)
        include = np.union1d(include[0], missed.a[chosen]), np.union1d(include[1], missed.b[chosen])
    raise FitError(
        f"{multiplier.name}: products still differ after {_ATTEMPTS} attempts, each with the exceptions that the last "
        f"had missed; take method='lowrank', or simulate by table"
    )


def _surrogate(reference: MultiplierReference, terms: list[Term], method: str, options: dict[str, Option]) -> Surrogate:
    return Surrogate(terms, reference, Provenance(method, tuple(options.items()), release()))


def _refuse_foreign_options(
    method: str,
    terms: int | None,
    products: int | None,
    factors: str,
    weights_a: ArrayLike | None,
    weights_b: ArrayLike | None,
    basis: str,
    decimals: int | None,
    solver: str,
    levels: Levels,
) -> None:
    given = {
        "terms": (terms is not None, ("exact", "lowrank")),
        "products": (products is not None, ("lowrank",)),
        "factors": (factors != "float", ("lowrank",)),
        "weights_a": (weights_a is not None, ("lowrank",)),
        "weights_b": (weights_b is not None, ("lowrank",)),
        "basis": (basis != "auto", ("htp",)),
        "decimals": (decimals != 1, ("htp",)),
        "solver": (solver != "ols", ("htp",)),
        "levels": (levels is not None, ("htp",)),
    }
    if method not in METHODS:
        raise FitError(f"unknown method {method!r}; choose one of {', '.join(map(repr, METHODS))}")
    for option, (is_given, methods) in given.items():
        if is_given and method not in methods:
            raise FitError(f"{option} is an option of method {' or '.join(map(repr, methods))}, not of {method!r}")
    if terms is not None and products is not None:
        raise FitError("terms and products are both given; terms counts all terms, products those that cost a product")
    if factors != "float" and products is None:
        raise FitError(f"factors={factors!r} needs products, the number of products")
