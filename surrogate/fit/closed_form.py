"""The terms of a surrogate of integers, rewritten by named functions wherever these span the factors.

Any basis of the space of factors of an operand simulates equally well, so each space is given a basis of short named
functions (`surrogate.fit.dictionary`), shortest first: a greedy choice is the best one, for independent sets form a
matroid. Then single exchanges make the coefficients between both bases few. The number of products stays what it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from flint import fmpq_mat, fmpz_mat

from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import BasisFunction, LeadingOneTable, Sum, Table
from surrogate.fit.dictionary import Candidate, FactorSpace, candidates, named, plain_functions
from surrogate.fit.modular import pivots
from surrogate.model import Surrogate, Term

_UNNAMED = 1000  # cost of a table: any name is better
_FRACTION = 100  # cost of a coefficient that is no integer
_READABLE = 32  # terms up to which bases are made shorter: no one reads more
_NARROW = 12  # bits of an operand up to which every table is looked at
_EXCHANGES = 4000  # pairs of bases that are tried
_INDEPENDENT = 1e-6  # sine of the angle to the others from which a direction counts as a new one


def closed_form(surrogate: Surrogate, rest: Sequence[Term]) -> list[Term]:
    """Write some terms of a surrogate anew: one term for each function of the shorter of both bases.

    Raises
    ------
    FitError
        If the factors of the terms are linearly dependent.
    """
    a = FactorSpace(surrogate.a, np.column_stack([t.coefficient * t.a.tabulate(surrogate.a) for t in rest]))
    b = FactorSpace(surrogate.b, np.column_stack([t.b.tabulate(surrogate.b) for t in rest]))
    bases = _exchanged(a, b, _options(a), _options(b))
    core = _core(a, b, *bases)
    if core is None:  # fractions: the bases as chosen do not span the lattice of integer factors; keep one as it was
        bases = bases[0], [c for c in _options(b) if isinstance(c.function, Table)]
        core = _core(a, b, *bases)
    if core is None:
        bases = [c for c in _options(a) if isinstance(c.function, Table)], bases[1]
        core = _core(a, b, *bases)
    assert core is not None  # the original columns of both sides: the identity matrix
    by_a = _grouped(core, *bases, a.operand, b.operand)
    by_b = [Term(t.coefficient, t.b, t.a) for t in _grouped(core.T, bases[1], bases[0], b.operand, a.operand)]
    shorter = by_a if _length(by_a) <= _length(by_b) else by_b
    return sorted(shorter, key=lambda t: -_size(t, a.operand, b.operand))


def _options(space: FactorSpace) -> list[Candidate]:
    """Named functions in the space, then its columns as they are."""
    columns = np.eye(space.rank)
    tables = [Candidate(Table(space.operand, column), columns[i], _UNNAMED) for i, column in enumerate(space.matrix.T)]
    return [*candidates(space), *tables]


def _greedy(options: Sequence[Candidate], rank: int) -> list[int]:
    """Shortest independent functions: each that the ones before do not give, by Gram-Schmidt."""
    chosen: list[int] = []
    basis = np.zeros((rank, 0))
    for i, option in enumerate(options):
        vector = option.coordinates / np.linalg.norm(option.coordinates)
        for _ in range(2):
            vector = vector - basis @ (basis.T @ vector)
        length = float(np.linalg.norm(vector))
        if length > _INDEPENDENT:
            chosen.append(i)
            basis = np.column_stack([basis, vector / length])
            if len(chosen) == rank:
                break
    return chosen


def _exchanged(
    a: FactorSpace, b: FactorSpace, options_a: Sequence[Candidate], options_b: Sequence[Candidate]
) -> tuple[list[Candidate], list[Candidate]]:
    """Start from the greedy bases and exchange one function at a time while there is less to read."""
    options = options_a, options_b
    chosen = [_greedy(options_a, a.rank), _greedy(options_b, b.rank)]
    best, tried = _cost(options, chosen), 0
    improved = a.rank <= _READABLE
    while improved and tried < _EXCHANGES:
        improved = False
        for side in (0, 1):
            for place in range(len(chosen[side])):
                for new in range(len(options[side])):
                    if new in chosen[side] or options[side][new].cost >= _UNNAMED or tried >= _EXCHANGES:
                        continue
                    trial = [list(chosen[0]), list(chosen[1])]
                    trial[side][place] = new
                    cost, tried = _cost(options, trial), tried + 1
                    if cost < best - 1e-9:
                        best, chosen, improved = cost, trial, True
    return [options_a[i] for i in chosen[0]], [options_b[i] for i in chosen[1]]


def _cost(options: tuple[Sequence[Candidate], Sequence[Candidate]], chosen: list[list[int]]) -> float:
    """Return how much there is to read: both bases, and the coefficients between them."""
    left, right = (np.column_stack([options[side][i].coordinates for i in chosen[side]]) for side in (0, 1))
    for side in (left, right):
        lengths = np.linalg.norm(side, axis=0)
        if np.linalg.svd(side / lengths, compute_uv=False)[-1] < _INDEPENDENT:
            return math.inf
    core = np.linalg.inv(left) @ np.linalg.inv(right).T
    present = np.abs(core) > 1e-9 * max(1.0, float(np.abs(core).max()))
    fractions = np.abs(core - np.round(core)) > 1e-6 * np.maximum(1.0, np.abs(core))
    numbers = present & (np.abs(np.abs(core) - 1) > 1e-6)
    named = sum(options[side][i].cost for side in (0, 1) for i in chosen[side])
    return float(named + 3.0 * present.sum() + 0.5 * numbers.sum() + _FRACTION * fractions.sum())


def _core(a: FactorSpace, b: FactorSpace, left: Sequence[Candidate], right: Sequence[Candidate]) -> IntArray | None:
    """Coefficients ``C`` of ``sum_ij C_ij u_i(a) v_j(b)``, or None where they are no integers of moderate size."""
    u = fmpq_mat(fmpz_mat([[int(c.function(v)) for c in left] for v in a.pivot_values]))
    v = fmpq_mat(fmpz_mat([[int(c.function(x)) for c in right] for x in b.pivot_values]))
    products = fmpz_mat(a.matrix[a.pivots].tolist()) * fmpz_mat(b.matrix[b.pivots].tolist()).transpose()
    numerators, denominator = (u.inv() * fmpq_mat(products) * v.inv().transpose()).numer_denom()
    entries = [int(x) for x in numerators.entries()]
    if int(denominator) != 1 or max(map(abs, entries)) >= 1 << 31:
        return None
    return np.array(entries, dtype=np.int64).reshape(len(left), len(right))


def _grouped(
    core: IntArray, left: Sequence[Candidate], right: Sequence[Candidate], a: OperandFormat, b: OperandFormat
) -> list[Term]:
    """Write a term for each function of the left basis, its partner a combination of the right one."""
    terms = []
    for row, u in zip(core, left, strict=True):
        divisor = int(np.gcd.reduce(row))
        if divisor == 0:
            continue
        first = int(row[np.flatnonzero(row)[0]])
        divisor = -divisor if first < 0 else divisor
        parts = [(int(c) // divisor, v.function) for c, v in zip(row, right, strict=True) if c]
        (p, first_factor), (q, second_factor) = _compact(u.function), _compact(_combined(parts, b))
        terms.append(Term(divisor * p * q, first_factor, second_factor))
    return terms


def _compact(function: BasisFunction) -> tuple[int, BasisFunction]:
    """Write a table in closed form if it has one by itself, as a number times a function."""
    if not isinstance(function, Table) or not function.is_integer:
        return 1, function
    short = LeadingOneTable.recognise(function.operand, function.values)
    if short is not None or function.operand.bits > _NARROW:
        return 1, short or function
    written = named(function.operand, function.values, plain_functions(function.operand))
    if written is None:
        return 1, function
    values, place = written.tabulate(function.operand), int(np.flatnonzero(function.values)[0])
    times, rest = divmod(int(function.values[place]), int(values[place]))
    if rest or not np.array_equal(times * values, function.values):
        return 1, function  # a fraction of it only
    return times, written


def _combined(parts: list[tuple[int, BasisFunction]], operand: OperandFormat) -> BasisFunction:
    """One function that is a sum of others; a table if one of them is."""
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    if any(isinstance(f, Table) for _, f in parts):
        values = sum(c * f.tabulate(operand) for c, f in parts)
        return Table(operand, np.asarray(values))
    flat: dict[BasisFunction, int] = {}
    for coefficient, function in parts:
        for inner, part in function.parts if isinstance(function, Sum) else ((1, function),):
            flat[part] = flat.get(part, 0) + coefficient * inner
    kept = [(c, f) for f, c in flat.items() if c]
    return kept[0][1] if len(kept) == 1 and kept[0][0] == 1 else Sum(kept)


def _size(term: Term, a: OperandFormat, b: OperandFormat) -> float:
    return abs(term.coefficient) * term.a.largest(a) * term.b.largest(b)


def _length(terms: Sequence[Term]) -> tuple[int, int]:
    """Tables first, then how much there is to read."""
    functions = [f for t in terms for f in (t.a, t.b)]
    return sum(isinstance(f, Table) for f in functions), sum(len(f.components) for f in functions)


def same_function(one: Surrogate, other: Surrogate) -> bool:
    """Whether two surrogates are equal on every operand pair: their factors have equal products.

    With factor matrices ``L R'`` and ``M N'``, ``[L, -M] [R, N]'`` must vanish; it does where it does on rows that span
    those of ``[L, -M]``, so the table of all pairs is never made.
    """
    ours, theirs = one.factors().as_products(), other.factors().as_products()
    left = np.hstack([ours.left, -theirs.left])
    right = np.hstack([ours.right, theirs.right])
    return not (left[pivots(left.T)] @ right.T).any()
