"""Exact surrogates: the fewest products that reproduce a multiplier bit for bit.

``k`` separable terms reproduce a table exactly if and only if ``k`` is at least its rank over the rationals, so the
fewest are ``min(rank F, 1 + rank E)``: the terms of ``F``, or the accurate product and the terms of ``E = F - a b``.
`surrogate.fit.integer_factors` finds them, in integers and from few rows and columns; `surrogate.certify` compares all.

A term with a constant factor is a sum, not a product, and where the terms of a table can be chosen so that one has a
constant factor, this saves a product: where the all-ones vector is in the column space of ``E``, subtracting one row
from all lowers the rank by 1 (``E - 1 E[i, :]`` is a projection of ``E`` along that vector), and the row is what
is added again for free. With rows and columns the same way, ``rank (E[a, b] - E[0, b] - E[a, 0] + E[0, 0])`` products
remain and the number of terms stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import BasisFunction, Constant, Identity, Table
from surrogate.errors import FitError
from surrogate.fit.integer_factors import NOWHERE, REDUCIBLE, TOO_LARGE, Entries, IntegerFactors, Pairs, factorise
from surrogate.model import Term


@dataclass(frozen=True)
class Separated:
    """``matrix[i, j] = (left @ right)[i, j] + of_a[i] + of_b[j]`` in integers.

    Attributes
    ----------
    factors : IntegerFactors
    of_a, of_b : ndarray of int64, or None
        None where there is no such part.
    """

    factors: IntegerFactors
    of_a: IntArray | None = None
    of_b: IntArray | None = None


def separate(
    entries: Entries, shape: tuple[int, int], max_rank: int, include: Pairs = NOWHERE, anchor: tuple[int, int] = (0, 0)
) -> Separated:
    """Factorise an integer matrix, with as few products as additive parts save without adding terms.

    Parameters
    ----------
    entries, shape, max_rank, include
        See `factorise`; the rank that is limited is that of the whole matrix.
    anchor : (int, int)
        Row and column that are taken out where that saves a product and needs no wider datatype.

    Raises
    ------
    FitError
        If the rank exceeds ``max_rank``, or factors do not fit the arithmetic.

    Examples
    --------
    >>> table = np.arange(4)[:, None] * np.arange(3) + 5 * np.arange(3) + 7
    >>> parts = separate(lambda i, j: table[i, j], table.shape, max_rank=3)
    >>> parts.factors.rank, parts.of_b.tolist(), parts.of_a
    (1, [7, 12, 17], None)
    """
    row = entries(np.array([anchor[0]]), np.arange(shape[1]))
    column = entries(np.arange(shape[0]), np.array([anchor[1]]))
    corner = row[anchor[1]]
    found = Separated(factorise(entries, shape, max_rank, include))
    rank = found.factors.rank
    if rank > REDUCIBLE:  # two products of so many do not pay for the time
        return found
    for of_a, of_b in ((column - corner, row), (None, row), (column, None)):
        parts = [part for part in (of_a, of_b) if part is not None]
        if len(parts) > rank or not all(part.any() for part in parts):
            continue

        def rest(i: IntArray, j: IntArray, of_a: IntArray | None = of_a, of_b: IntArray | None = of_b) -> IntArray:
            values = entries(i, j)
            values = values if of_a is None else values - of_a[i]
            return values if of_b is None else values - of_b[j]

        try:
            factors = factorise(rest, shape, rank - len(parts), include)
        except FitError:
            continue
        if factors.datatype <= found.factors.datatype:
            return Separated(factors, of_a, of_b)
    return found


def fit_exact(multiplier: Multiplier, *, max_terms: int = 256, include: Pairs = NOWHERE) -> tuple[list[Term], str]:
    """Find the fewest terms that reproduce a multiplier exactly.

    Parameters
    ----------
    multiplier : Multiplier
        Whole tables are read up to 8 x 8 bits; of wider ones a sample of rows and columns, which may miss exceptions.
    max_terms : int
        Use no more.
    include : (array of int, array of int)
        Values of ``a`` and of ``b`` that the sample must hold.

    Returns
    -------
    terms : list of Term
        With integer factors, of the form with fewer products; among equals the one with fewer terms, then the one that
        keeps the accurate product.
    form : {"product + error", "product transformed"}
        Which of both forms was taken.

    Raises
    ------
    FitError
        If more than ``max_terms`` terms are needed.
    """
    shape = (multiplier.a.size, multiplier.b.size)

    def product(i: IntArray, j: IntArray) -> IntArray:
        return multiplier(i + multiplier.a.minimum, j + multiplier.b.minimum)

    def error(i: IntArray, j: IntArray) -> IntArray:
        return multiplier.error(i + multiplier.a.minimum, j + multiplier.b.minimum)

    indices = include[0] - multiplier.a.minimum, include[1] - multiplier.b.minimum
    failures: list[FitError] = []
    found: list[tuple[int, int, str, list[Term]]] = []
    for name, entries, leading in (
        ("product + error", error, [Term(1, Identity(), Identity())]),
        ("product transformed", product, []),
    ):
        try:
            parts = separate(
                entries, shape, max_terms - len(leading), indices, (-multiplier.a.minimum, -multiplier.b.minimum)
            )
        except FitError as failure:
            failures.append(failure)
            continue
        terms = leading + _terms(parts.factors, multiplier) + _additive_terms(parts, multiplier)
        bound = sum(abs(t.coefficient) * t.a.largest(multiplier.a) * t.b.largest(multiplier.b) for t in terms)
        if bound < 1 << 63:
            found.append((len(leading) + parts.factors.rank, len(terms), name, terms))
        else:
            failures.append(FitError(TOO_LARGE))
    if not found:
        raise FitError(f"no exact surrogate of {multiplier.name} with {max_terms} terms: {failures[0]}")
    _, _, name, terms = min(found, key=lambda candidate: candidate[:2])
    return terms, name


def _terms(factors: IntegerFactors, multiplier: Multiplier) -> list[Term]:
    """Terms of primitive integer tables (common divisor and sign in the coefficient), largest energy first."""
    terms: list[tuple[float, Term]] = []
    for left, right in zip(factors.left.T, factors.right, strict=True):
        g, h = _divisor(left, multiplier.a), _divisor(right, multiplier.b)
        a, b = _named(Table(multiplier.a, left // g)), _named(Table(multiplier.b, right // h))
        energy = float(np.square(left, dtype=float).sum() * np.square(right, dtype=float).sum())
        terms.append((-energy, Term(g * h, a, b)))
    return [term for _, term in sorted(terms, key=lambda item: item[0])]


def _divisor(factor: IntArray, operand: OperandFormat) -> int:
    """Greatest common divisor, signed so that the quotient rises with the operand rather than falls."""
    divisor = int(np.gcd.reduce(factor))
    slope = int(factor @ (2 * operand.values() - operand.minimum - operand.maximum))
    return -divisor if (slope or int(factor[np.flatnonzero(factor)[0]])) < 0 else divisor


def _additive_terms(parts: Separated, multiplier: Multiplier) -> list[Term]:
    """Terms with a constant factor."""
    terms = []
    if parts.of_b is not None:
        h = _divisor(parts.of_b, multiplier.b)
        terms.append(Term(h, Constant(), _named(Table(multiplier.b, parts.of_b // h))))
    if parts.of_a is not None:
        g = _divisor(parts.of_a, multiplier.a)
        terms.append(Term(g, _named(Table(multiplier.a, parts.of_a // g)), Constant()))
    return terms


def _named(table: Table) -> BasisFunction:
    """Take the identity, or the constant 1, where the table is it: the plainest factors stay readable."""
    if np.array_equal(table.values, table.operand.values()):
        return Identity()
    return Constant() if (table.values == 1).all() else table
