"""The shipped strategies and assertions themselves."""

import numpy as np
import pytest
from hypothesis import given, settings

import multipliers
from multipliers import TableMultiplier
from multipliers.testing import check_multiplier
from surrogate import MultiplierReference, Provenance, Surrogate, Term, discover
from surrogate.basis import Constant
from surrogate.testing import (
    assert_certificate_holds,
    assert_exact,
    assert_within,
    low_rank_tables,
    operand_formats,
    operands,
    surrogates,
    table_multipliers,
)


@given(operand_formats(max_bits=5, min_bits=2))
def test_formats(operand):
    assert 2 <= operand.bits <= 5


@given(operands(multipliers.get("exact5sx9u"), max_size=7))
def test_operands(pair):
    a, b = pair
    assert a.dtype == b.dtype == np.int64
    assert a.shape == b.shape
    assert 1 <= a.size <= 7
    multipliers.get("exact5sx9u")(a, b)


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


def test_assert_exact():
    assert_exact(discover(M), M)
    with pytest.raises(AssertionError, match="m: 7 of 8 products differ from m; the first at a = -1, b = 0: 2, not 1"):
        assert_exact(constant(M, 2), M)
    with pytest.raises(AssertionError, match=r"\(1s x 2u\) and exact4u \(4u x 4u\) have other operand formats"):
        assert_exact(constant(M, 2), multipliers.get("exact4u"))


def test_assert_within():
    residual = 2 - M.products
    bounds = {
        "max_abs": float(abs(residual).max()),
        "rms": float(np.sqrt((residual**2).mean())),
        "bias": float(abs(residual.mean())),
    }
    assert_within(constant(M, 2), M)
    for name, bound in bounds.items():
        assert_within(constant(M, 2), M, **{name: bound * (1 + 1e-12)})
        with pytest.raises(AssertionError, match=f"m as a model of m: {name} is .*, above"):
            assert_within(constant(M, 2), M, **{name: bound * 0.999})


def test_assert_certificate_holds():
    assert_certificate_holds(discover(M), M)
    assert_certificate_holds(discover(M, sample=10), M)
    with pytest.raises(AssertionError, match="carries no certificate"):
        assert_certificate_holds(constant(M, 2), M)
    with pytest.raises(AssertionError, match="does not hold"):
        assert_certificate_holds(constant(M, 2).with_certificate(discover(M).certificate), M)
