"""Hypothesis strategies and assertions for tests of fidelity: the package's own, and yours.

from surrogate.testing import assert_exact

def test_my_surrogate():
    assert_exact(surrogate.load("my_multiplier.json"), MyMultiplier())
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from multipliers.multiplier import Multiplier
from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from multipliers.table import TableMultiplier
from surrogate import basis
from surrogate.certify import certify
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term

_BLOCK = 1 << 20


# ---------------------------------------------------------------- strategies


def operand_formats(max_bits: int = 8, min_bits: int = 1) -> st.SearchStrategy[OperandFormat]:
    """Strategy of formats of both signs, ``min_bits`` to ``max_bits`` wide."""
    return st.builds(OperandFormat, st.integers(min_bits, max_bits), st.booleans())


def operands(multiplier: Multiplier, max_size: int = 32) -> st.SearchStrategy[tuple[IntArray, IntArray]]:
    """Strategy of pairs of equally long operand arrays of a multiplier (or of a surrogate, which has ``a``, ``b``)."""

    def arrays(n: int) -> st.SearchStrategy[tuple[IntArray, IntArray]]:
        def values(operand: OperandFormat) -> st.SearchStrategy[IntArray]:
            elements = st.integers(operand.minimum, operand.maximum)
            return st.lists(elements, min_size=n, max_size=n).map(lambda v: np.array(v, dtype=np.int64))

        return st.tuples(values(multiplier.a), values(multiplier.b))

    return st.integers(1, max_size).flatmap(arrays)


def _generators() -> st.SearchStrategy[np.random.Generator]:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def table_multipliers(draw: st.DrawFn, max_bits_a: int = 4, max_bits_b: int = 5) -> TableMultiplier:
    """Strategy of random tables that no symmetry forgives: never symmetric, ``f(0, 0) != 0``, mostly of full rank."""
    a, b = draw(operand_formats(max_bits_a)), draw(operand_formats(max_bits_b))
    generator = draw(_generators())
    largest = draw(st.sampled_from([1, 100, 1 << (a.bits + b.bits), 1 << 20]))
    table = generator.integers(-largest, largest, size=(a.size, b.size), endpoint=True)
    return TableMultiplier(_asymmetric(table, a, b), a, b, name="random")


@st.composite
def low_rank_tables(
    draw: st.DrawFn, max_rank: int = 4, max_bits: int = 6, max_factor: int = 127
) -> tuple[TableMultiplier, int]:
    """Strategy of tables ``a b + G H`` with integer factors, and a bound of the rank of ``G H``."""
    a, b = draw(operand_formats(max_bits)), draw(operand_formats(max_bits))
    rank, generator = draw(st.integers(0, max_rank)), draw(_generators())
    left = generator.integers(-max_factor, max_factor, size=(a.size, rank), endpoint=True)
    right = generator.integers(-max_factor, max_factor, size=(rank, b.size), endpoint=True)
    table = a.values()[:, None] * b.values() + left @ right
    return TableMultiplier(table, a, b, name=f"rank {rank}"), rank


def _asymmetric(table: IntArray, a: OperandFormat, b: OperandFormat) -> IntArray:
    """Move two entries, so that ``f(0, 0) != 0`` and the table is not its transpose."""
    table[-a.minimum, -b.minimum] |= 1
    if a == b and np.array_equal(table, table.T):
        table[0, -1] += 1
    return table


@st.composite
def _functions(draw: st.DrawFn, operand: OperandFormat, integer: bool) -> basis.BasisFunction:
    named = st.one_of(
        st.just(basis.Constant()),
        st.just(basis.Identity()),
        st.just(basis.Sign()),
        st.builds(basis.Mod, st.integers(0, MAX_BITS)),
        st.builds(basis.Truncate, st.integers(0, MAX_BITS)),
        st.builds(basis.Bit, st.integers(0, MAX_BITS - 1)),
        st.builds(basis.LeadingOneTruncate, st.integers(1, MAX_BITS), st.booleans()),
        st.builds(basis.AllBits, st.integers(1, (1 << MAX_BITS) - 1)),
        st.builds(basis.NearestPower, st.booleans()),
        st.just(basis.IsZero()),
    )
    odd = st.builds(basis.Odd, named)
    window = st.builds(basis.Window, st.one_of(named, odd), st.integers(0, 2), st.one_of(st.none(), st.integers(3, 8)))
    parts = st.tuples(st.integers(-(1 << 10), 1 << 10), st.one_of(named, odd, window))
    named = st.one_of(named, odd, window, st.builds(basis.Sum, st.lists(parts, min_size=1, max_size=4)))
    if operand.bits > 6 or draw(st.booleans()):
        function: basis.BasisFunction = draw(named)
        return function
    whole = st.lists(st.integers(-(1 << 20), 1 << 20), min_size=operand.size, max_size=operand.size)
    real = st.lists(st.floats(-1e6, 1e6), min_size=operand.size, max_size=operand.size)
    if integer or draw(st.booleans()):
        return basis.Table(operand, draw(whole))
    return basis.Table(operand, np.array(draw(real), dtype=np.float64))


@st.composite
def surrogates(
    draw: st.DrawFn, max_bits: int = 5, max_terms: int = 4, integer: bool | None = None, certified: bool | None = None
) -> Surrogate:
    """Strategy of valid surrogates of random multipliers, over all basis functions.

    ``integer`` and ``certified`` fix what is otherwise drawn: whether all terms are integer, and whether there is a
    certificate (measured against a random table).
    """
    a, b = draw(operand_formats(max_bits)), draw(operand_formats(max_bits))
    whole = draw(st.booleans()) if integer is None else integer
    coefficients = st.integers(-1000, 1000) if whole else st.integers(-1000, 1000) | st.floats(-1e3, 1e3)
    term = st.builds(Term, coefficients, _functions(a, whole), _functions(b, whole))
    terms = draw(st.lists(term, max_size=max_terms))
    generator = draw(_generators())
    table = _asymmetric(generator.integers(-100, 100, size=(a.size, b.size)), a, b)
    multiplier = TableMultiplier(table, a, b, name=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)))
    option = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text("abc", max_size=3)
    options = draw(st.dictionaries(st.text("klmn", min_size=1, max_size=3), option, max_size=3))
    surrogate = Surrogate(terms, MultiplierReference.of(multiplier), Provenance("drawn", tuple(options.items()), "0"))
    if certified or (certified is None and draw(st.booleans())):
        return certify(surrogate, multiplier, sample=draw(st.none() | st.integers(1, 50)))
    return surrogate


# ---------------------------------------------------------------- assertions


def assert_exact(surrogate: Surrogate, multiplier: Multiplier) -> None:
    """Assert that both give the same product for every operand pair.

    Raises
    ------
    AssertionError
        With the first pair that differs, both products, and how many pairs differ.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("bam4u_h0v3")
    >>> assert_exact(surrogate.discover(m), m)
    >>> assert_exact(surrogate.discover(m), multipliers.get("exact4u"))
    Traceback (most recent call last):
        ...
    AssertionError: bam4u_h0v3: 176 of 256 products differ from exact4u; the first at a = 1, b = 1: 0, not 1
    """
    _check_formats(surrogate, multiplier)
    n_different, first = 0, ""
    for a, products in multiplier.blocks(_BLOCK):
        b = multiplier.b.values()
        model = surrogate(a[:, None], b[None, :])
        different = model != products
        if different.any() and not first:
            i, j = (int(v) for v in np.argwhere(different)[0])
            first = f"a = {a[i]}, b = {b[j]}: {model[i, j]}, not {products[i, j]}"
        n_different += int(different.sum())
    if n_different:
        raise AssertionError(
            f"{surrogate.multiplier.name}: {n_different} of {multiplier.n_pairs} products differ from "
            f"{multiplier.name}; the first at {first}"
        )


def assert_within(
    surrogate: Surrogate,
    multiplier: Multiplier,
    *,
    max_abs: float = math.inf,
    rms: float = math.inf,
    bias: float = math.inf,
) -> None:
    """Assert that the residuals over every operand pair, measured here, stay within bounds (LSB, inclusive).

    Raises
    ------
    AssertionError
        Naming each bound that is broken and what was measured.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("mitchell4u")
    >>> s = surrogate.discover(m, method="lowrank", terms=2)
    >>> assert_within(s, m, rms=10, bias=1e-9)
    """
    _check_formats(surrogate, multiplier)
    largest, totals, squares = 0.0, [], []
    b = multiplier.b.values()
    for a, products in multiplier.blocks(_BLOCK):
        residual = np.asarray(surrogate(a[:, None], b[None, :]) - products, dtype=np.float64)
        largest = max(largest, float(np.abs(residual).max()))
        totals.append(float(residual.sum()))
        squares.append(float(np.square(residual).sum()))
    measured = {
        "max_abs": (largest, max_abs),
        "rms": (math.sqrt(math.fsum(squares) / multiplier.n_pairs), rms),
        "bias": (abs(math.fsum(totals)) / multiplier.n_pairs, bias),
    }
    broken = [f"{name} is {value:.6g}, above {bound:.6g}" for name, (value, bound) in measured.items() if value > bound]
    if broken:
        raise AssertionError(f"{surrogate.multiplier.name} as a model of {multiplier.name}: {'; '.join(broken)}")


def assert_certificate_holds(surrogate: Surrogate, multiplier: Multiplier) -> None:
    """Assert that a surrogate carries a certificate, and that measuring again gives it.

    Raises
    ------
    AssertionError
        With the certificate and what was measured.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("drum4u_k3")
    >>> assert_certificate_holds(surrogate.discover(m), m)
    """
    claimed = surrogate.certificate
    if claimed is None:
        raise AssertionError(
            f"{surrogate.multiplier.name}: the surrogate carries no certificate; see surrogate.certify"
        )
    measured = certify(surrogate, multiplier, sample=None if claimed.every_pair else claimed.n_pairs).certificate
    if measured is None or not claimed.agrees_with(measured):
        raise AssertionError(
            f"{surrogate.multiplier.name}: the certificate does not hold: it claims {claimed}, measured is {measured}"
        )


def _check_formats(surrogate: Surrogate, multiplier: Multiplier) -> None:
    if (surrogate.a, surrogate.b) != (multiplier.a, multiplier.b):
        raise AssertionError(
            f"{surrogate.multiplier.name} ({surrogate.a} x {surrogate.b}) and {multiplier.name} "
            f"({multiplier.a} x {multiplier.b}) have other operand formats"
        )
