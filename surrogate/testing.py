"""Strategies of hypothesis and assertions for tests of fidelity: the package's own, and yours.

from surrogate.testing import assert_faithful

def test_my_surrogate():
    assert_faithful(surrogate.load("my_multiplier.json"), MyMultiplier(), exact=True)

``docs/how-to/fidelity-tests.md`` shows more.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from multipliers.errors import ParameterError
from multipliers.multiplier import Multiplier
from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from multipliers.registry import create, families
from multipliers.table import TableMultiplier
from surrogate import basis
from surrogate.certify import certify
from surrogate.errors import SurrogateError
from surrogate.fidelity import assert_certificate_holds, assert_exact, assert_faithful
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term

__all__ = [
    "assert_certificate_holds",
    "assert_exact",
    "assert_faithful",
    "low_rank_tables",
    "multipliers",
    "operand_arrays",
    "operand_formats",
    "operands",
    "surrogates",
    "table_multipliers",
    "tables",
]

Operands = tuple[IntArray, IntArray]


def operand_formats(max_bits: int = 8, min_bits: int = 1) -> st.SearchStrategy[OperandFormat]:
    """Strategy of formats of both signs, ``min_bits`` to ``max_bits`` wide."""
    return st.builds(OperandFormat, st.integers(min_bits, max_bits), st.booleans())


def operands(operand: OperandFormat) -> st.SearchStrategy[int]:
    """Strategy of the values of an operand, its extremes and powers of two often; shrinks towards 0."""
    edges = {0, 1, operand.minimum, operand.maximum, operand.maximum - 1}
    edges |= {sign << i for i in range(operand.bits) for sign in ((1, -1) if operand.signed else (1,))}
    inside = sorted((v for v in edges if operand.minimum <= v <= operand.maximum), key=abs)
    return st.integers(operand.minimum, operand.maximum) | st.sampled_from(inside)


def operand_arrays(multiplier: Multiplier | Surrogate, max_size: int = 32) -> st.SearchStrategy[Operands]:
    """Strategy of pairs of equally long operand arrays, 1 to ``max_size`` values each."""

    def arrays(n: int) -> st.SearchStrategy[Operands]:
        def values(operand: OperandFormat) -> st.SearchStrategy[IntArray]:
            drawn = st.lists(operands(operand), min_size=n, max_size=n)
            return drawn.map(lambda v: np.array(v, dtype=np.int64))

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
def tables(draw: st.DrawFn, a: OperandFormat, b: OperandFormat, max_changes: int = 4) -> IntArray:
    """Strategy of product tables of given operands: the accurate product but for a few entries, or any numbers.

    Shrinks towards the accurate product with one entry changed by 1, near the corner of the smallest operands.
    """
    largest = 1 << (a.bits + b.bits)
    table: IntArray = a.values()[:, None] * b.values()
    nonzero = st.integers(0, 2 * largest - 1).map(lambda v: (1 - v % 2 * 2) * (v // 2 + 1))  # 1, -1, 2, -2, ...
    changes = st.tuples(operands(a), operands(b), nonzero)
    for x, y, change in draw(st.lists(changes, min_size=1, max_size=max_changes)):
        table[x - a.minimum, y - b.minimum] += change
    if draw(st.booleans()):  # drawn last: hypothesis takes what needs fewer choices for simpler
        table = table + draw(_generators()).integers(-largest, largest, size=table.shape, endpoint=True)
    return table


def multipliers(max_bits: int = 5) -> st.SearchStrategy[Multiplier]:
    """Strategy of multipliers of all sorts, up to ``max_bits`` wide: registered designs, and tables.

    Tables differ from the accurate product in few entries, in a product of low rank, or wholly. Shrinks towards a
    design of few bits if one fails, else towards a table of few bits.
    """

    @st.composite
    def drawn(draw: st.DrawFn) -> Multiplier:
        a, b = draw(operand_formats(max_bits)), draw(operand_formats(max_bits))
        return TableMultiplier(draw(tables(a, b)), a, b, name="table")

    low_rank = low_rank_tables(max_bits=max_bits).map(lambda found: found[0])
    return st.one_of(drawn(), low_rank, st.deferred(lambda: st.sampled_from(_designs(max_bits))))


@cache
def _designs(max_bits: int) -> list[Multiplier]:
    """Designs of every registered family that exists at so few bits, with small parameters."""
    found: list[Multiplier] = []
    for bits, signed in itertools.product(range(3, max(max_bits, 3) + 1), (False, True)):  # the narrow ones first
        for family, design in families().items():
            for values in itertools.product(range(bits), repeat=len(design.letters)):
                parameters = dict(zip(sorted(design.letters.values()), values, strict=True))
                try:
                    found.append(create(family, OperandFormat(bits, signed), OperandFormat(bits, signed), **parameters))
                except ParameterError:
                    continue
    return found


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
    provenance = Provenance("drawn", tuple(options.items()), "0")
    try:
        surrogate = Surrogate(terms, MultiplierReference.of(multiplier), provenance)
    except SurrogateError:
        reject()  # moduli of 2**31 in several factors may leave int64
    if certified or (certified is None and draw(st.booleans())):
        return certify(surrogate, multiplier, sample=draw(st.none() | st.integers(1, 50)))
    return surrogate
