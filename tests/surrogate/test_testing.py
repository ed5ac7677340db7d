"""The shipped strategies and assertions themselves."""

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, TableMultiplier
from multipliers.testing import check_multiplier
from surrogate import MultiplierReference, Provenance, Surrogate, Term, discover
from surrogate.basis import Constant
from surrogate.testing import (
    assert_certificate_holds,
    low_rank_tables,
    operand_arrays,
    operand_formats,
    operands,
    surrogates,
    table_multipliers,
    tables,
)
from surrogate.testing import (
    multipliers as any_multiplier,
)


@given(operand_formats(max_bits=5, min_bits=2))
def test_formats(operand):
    assert 2 <= operand.bits <= 5


@given(st.data(), operand_formats(max_bits=9))
def test_operands(data, operand):
    value = data.draw(operands(operand))
    assert operand.minimum <= value <= operand.maximum


def test_operands_reach_their_extremes_and_shrink_to_zero():
    operand = OperandFormat(12, True)
    for value in (-2048, 2047, 1024, -1):
        assert find(operands(operand), lambda x, value=value: x == value) == value
    assert find(operands(operand), lambda x: x <= -5) == -5
    assert find(operands(operand), lambda x: True) == 0


@given(operand_arrays(multipliers.get("exact5sx9u"), max_size=7))
def test_operand_arrays(pair):
    a, b = pair
    assert a.dtype == b.dtype == np.int64
    assert a.shape == b.shape
    assert 1 <= a.size <= 7
    multipliers.get("exact5sx9u")(a, b)


@settings(max_examples=30, deadline=None)
@given(any_multiplier(max_bits=4))
def test_multipliers_keep_their_contract(m):
    check_multiplier(m)
    assert max(m.a.bits, m.b.bits) <= 4


def test_multipliers_are_of_all_sorts_and_shrink():
    seen = {"design": 0, "table": 0}

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(any_multiplier())
    def look(m):
        seen["table" if isinstance(m, TableMultiplier) else "design"] += 1

    look()
    assert min(seen.values()) >= 8
    narrow = find(any_multiplier(), lambda m: isinstance(m, TableMultiplier))
    assert (narrow.a.bits, narrow.b.bits) == (1, 1)
    assert find(any_multiplier(), lambda m: not isinstance(m, TableMultiplier)).a.bits == 3


def test_tables_shrink_to_one_entry_that_differs_by_one():
    a, b = OperandFormat(5, True), OperandFormat(4)
    product = np.outer(a.values(), b.values())
    found = find(tables(a, b), lambda table: not np.array_equal(table, product))
    assert np.abs(found - product).sum() == 1


@settings(max_examples=30, deadline=None)
@given(table_multipliers())
def test_tables_are_asymmetric_multipliers(m):
    check_multiplier(m)
    assert int(m(0, 0)) != 0
    assert m.a != m.b or not np.array_equal(m.products, m.products.T)


@given(low_rank_tables(max_rank=2))
def test_low_rank_tables(drawn):
    m, bound = drawn
    assert bound <= 2
    error = m.products - np.outer(m.a.values(), m.b.values())
    assert np.linalg.matrix_rank(error.astype(float)) <= bound


@given(surrogates(integer=True, certified=True))
def test_surrogates_as_asked_for(s):
    assert s.is_integer
    assert s.certificate is not None


def constant(m, value):
    return Surrogate([Term(value, Constant(), Constant())], MultiplierReference.of(m), Provenance("hand"))


M = TableMultiplier([[1, 2, 3, 4], [5, 6, 7, 9]], "1s", "2u", name="m")


def test_assert_certificate_holds():
    assert_certificate_holds(discover(M), M)
    assert_certificate_holds(discover(M, sample=10), M)
    with pytest.raises(AssertionError, match="carries no certificate"):
        assert_certificate_holds(constant(M, 2), M)
    with pytest.raises(AssertionError, match="does not hold"):
        assert_certificate_holds(constant(M, 2).with_certificate(discover(M).certificate), M)
