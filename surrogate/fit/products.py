"""The best surrogate of so many products: factors in floats, rounded to a narrow datatype, or over the mantissa."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from multipliers.distributions import FloatArray, normalised_weights, weighted_pairs
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import OperandFormat
from surrogate.basis import BasisFunction, Constant, Table
from surrogate.errors import FitError
from surrogate.fit.centred import Separated, additive_part, separate, unbiased
from surrogate.fit.exact import fit_exact
from surrogate.fit.mantissa import as_mantissa_tables
from surrogate.fit.rounded import DATATYPES, round_factors
from surrogate.model import Term

FACTORS = ("float", *DATATYPES)

_MANTISSA_BITS = range(3, 13)
_MANTISSA_LOSS = 1.005  # a table over the mantissa may leave so many times the residual of one over the operand
_MANTISSA_PAIRS = 1 << 17
_MANTISSA_START = 1 << 28
_NEGLIGIBLE = 1e-13  # of the largest product


def fit_products(
    multiplier: Multiplier,
    *,
    products: int,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
    factors: str = "float",
) -> list[Term]:
    """Find the best surrogate of ``products`` products beside terms with a constant factor, which cost nearly nothing.

    Minimises the squared residual under the operand distributions; its mean is 0, also given either operand (see
    `surrogate.fit.centred`). Where so many products reproduce the multiplier exactly, the exact integer terms are
    returned. At operands too wide for a table the model rests on a grid of rows and columns, and where the design is
    logarithmic its factors are tables of the mantissa.

    Parameters
    ----------
    multiplier : Multiplier
    products : int
        ``k``, at least 1.
    weights_a, weights_b : array_like of float, optional
        Operand distributions, see `multipliers.distributions.normalised_weights`. Uniform by default.
    factors : {"float", "int8", "bfloat16"}
        What the factors of the products are rounded to, and then fitted again; operands of up to 12 bits.

    Returns
    -------
    list of Term
        At most ``products`` without a constant factor.

    Raises
    ------
    FitError
        If ``products`` is not positive, ``factors`` is unknown, or the table is too large to round factors.
    ParameterError
        If weights have the wrong shape or values.
    """
    if isinstance(products, bool) or not isinstance(products, int) or products < 1:
        raise FitError(f"products must be a positive integer, got {products!r}")
    if factors not in FACTORS:
        raise FitError(f"factors must be one of {', '.join(map(repr, FACTORS))}, got {factors!r}")
    if factors != "float" and multiplier.n_pairs > MAX_TABLE_ENTRIES:
        raise FitError(
            f"factors={factors!r} needs the whole table, and that of {multiplier.a} x {multiplier.b} operands has "
            f"more than 2**24 entries; take factors='float'"
        )
    p = normalised_weights(multiplier.a, weights_a, "a")
    q = normalised_weights(multiplier.b, weights_b, "b")
    if factors == "float":
        try:
            return fit_exact(multiplier, max_terms=products)[0]
        except FitError:
            pass  # not exact with so few products: the usual case
    found = separate(multiplier, p, q, products)
    if factors != "float":
        return _rounded(multiplier, found, p, q, factors)
    if not found.complete:
        tables = _over_mantissa(multiplier, found, p, q)
        if tables is not None:
            return tables
    pairs = [
        Term(1, Table(multiplier.a, g), Table(multiplier.b, h))
        for g, h in zip(found.left.T, found.right.T, strict=True)
    ]
    return pairs + _additive(multiplier, found.additive_a, found.additive_b, found.constant)


def _additive(multiplier: Multiplier, of_a: FloatArray, of_b: FloatArray, constant: float) -> list[Term]:
    """Terms with a constant factor; those that vanish are left out."""
    negligible = _NEGLIGIBLE * 2.0 ** (multiplier.a.bits + multiplier.b.bits)
    parts: list[tuple[BasisFunction, BasisFunction]] = []
    if np.abs(of_a).max() > negligible:
        parts.append((Table(multiplier.a, of_a), Constant()))
    shifted = of_b + constant  # one table holds both
    if np.abs(shifted).max() > negligible:
        parts.append((Constant(), Table(multiplier.b, shifted)))
    return [Term(1, g, h) for g, h in parts]


def _rounded(multiplier: Multiplier, found: Separated, p: FloatArray, q: FloatArray, datatype: str) -> list[Term]:
    table = multiplier.table()
    rest = table - found.additive_a[:, None] - found.additive_b - found.constant
    whole = round_factors(rest, p, q, found.left, found.right, datatype)
    additive_a, additive_b, mean = additive_part(table - whole.product(), p, q)
    terms = [
        Term(float(scale), Table(multiplier.a, g), Table(multiplier.b, h))
        for scale, g, h in zip(whole.scale, whole.left.T, whole.right.T, strict=True)
        if scale != 0
    ]
    return terms + _additive(multiplier, additive_a, additive_b, -mean)


def _over_mantissa(multiplier: Multiplier, found: Separated, p: FloatArray, q: FloatArray) -> list[Term] | None:
    """Write a model by the shortest tables over the mantissa that lose nothing to speak of, or None."""
    a, b = weighted_pairs(multiplier.a, multiplier.b, _MANTISSA_PAIRS, _MANTISSA_START, p, q)
    products = multiplier(a, b)

    def residual(model: Separated) -> float:
        return float(np.sqrt(np.square(model(a, b, multiplier) - products).mean()))

    limit = _MANTISSA_LOSS * residual(found) + 1e-12 * float(np.abs(products).max())
    for bits in _MANTISSA_BITS:
        if bits >= min(_octaves(multiplier.a), _octaves(multiplier.b)):
            return None
        model, pairs, (of_a, of_b) = as_mantissa_tables(found, multiplier.a, multiplier.b, p, q, bits)
        if residual(model) > limit:
            continue
        constant = unbiased(model, multiplier, p, q).constant
        terms = [Term(1, g, h) for g, h in pairs]
        terms += [Term(1, of_a, Constant()), Term(1, Constant(), of_b), Term(constant, Constant(), Constant())]
        return [t for t in terms if _matters(t, multiplier)]
    return None


def _octaves(operand: OperandFormat) -> int:
    """Fraction bits of the longest mantissa."""
    return operand.bits - operand.signed - 1


def _matters(term: Term, multiplier: Multiplier) -> bool:
    size = abs(term.coefficient) * term.a.largest(multiplier.a) * term.b.largest(multiplier.b)
    return size > _NEGLIGIBLE * 2.0 ** (multiplier.a.bits + multiplier.b.bits)
