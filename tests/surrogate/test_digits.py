"""Digits and scaled factors give back what they were made of, and fit int8."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import multipliers
import surrogate
from multipliers import OperandFormat, TableMultiplier
from surrogate.basis import Identity, Mod, Table
from surrogate.digits import digit_products, digits, shift
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term
from surrogate.scaled_factors import ScaledFactors

columns = st.integers(0, 62).flatmap(
    lambda bits: st.lists(st.integers(-(1 << bits), (1 << bits) - 1), min_size=1, max_size=20)
)


@given(columns, st.integers(0, 8))
def test_digits_add_up_and_fit_int8(values, zeros):
    column = np.array(values, dtype=np.int64) >> zeros << zeros
    parts = digits(column)
    total = sum(weight * digit.astype(object) for weight, digit in parts)
    assert np.array_equal(total + np.zeros(len(column), dtype=object), column)
    assert len(parts) <= max(abs(int(v)).bit_length() for v in values) // 8 + 1
    for _, digit in parts:
        moved = shift(int(digit.min()), int(digit.max()))
        assert moved is not None
        assert -128 <= (digit - moved).min() <= (digit - moved).max() <= 127


@given(st.integers(-1000, 1000), st.integers(0, 1000))
def test_a_shift_is_found_where_there_is_one_and_is_the_least(low, span):
    found = shift(low, low + span)
    allowed = [s for s in range(-127, 129) if low - s >= -128 and low + span - s <= 127]
    assert found == min(allowed, key=abs, default=None)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([-(1 << 15), (1 << 15) - 1], 2),
        ([0, (1 << 16) - 1], 2),
        ([1 - (1 << 16), 0], 2),
        ([-(1 << 15) - 1, (1 << 15) - 1], 3),
        ([0, 65280], 1),
        ([0, 256], 1),
        ([0, 257], 2),
        ([0, 0], 0),
    ],
)
def test_the_fewest_digits(values, count):
    assert len(digits(np.array(values))) == count


@pytest.mark.parametrize("label", ["exact16s", "bam12s_h0v3", "exact16x8u"])
def test_digit_products_are_the_multiplier(label):
    multiplier = multipliers.get(label)
    factors = ScaledFactors.of(surrogate.discover(multiplier))
    generator = np.random.default_rng(0)
    i, j = generator.integers(0, multiplier.a.size, 5000), generator.integers(0, multiplier.b.size, 5000)
    total = sum(each.weight * (each.left[i] * each.right[j]).sum(axis=1) for each in digit_products(factors))
    np.testing.assert_array_equal(total, multiplier(i + multiplier.a.minimum, j + multiplier.b.minimum))


FORM = OperandFormat(6, True)


def model(*terms):
    values = FORM.values()
    products = sum(np.multiply(t.coefficient, np.outer(t.a(values), t.b(values))) for t in terms)
    multiplier = TableMultiplier(np.rint(products).astype(np.int64), FORM, name="scaled")
    return Surrogate(terms, MultiplierReference.of(multiplier), Provenance("planted"))


def test_coefficients_become_scales():
    odd = Table(FORM, np.arange(64) ** 2)
    whole = model(Term(6.8, Identity(), Mod(2)), Term(-0.4, Identity(), odd), Term(1.0933481693068257, odd, Mod(3)))
    found = ScaledFactors.of(whole)
    assert set(found.scale) == {0.4, 1.0933481693068257}
    values = FORM.values()
    np.testing.assert_allclose((found.left * np.array(found.scale)) @ found.right.T, whole(values[:, None], values))
    np.testing.assert_array_equal(found.swapped().left, found.right)


def test_an_integer_model_has_no_scales_and_the_same_factors():
    whole = surrogate.discover(multipliers.get("bam8s_h1v3"))
    found, factors = ScaledFactors.of(whole), whole.factors()
    assert set(found.scale) == {1}
    np.testing.assert_array_equal(found.left, factors.left)
    np.testing.assert_array_equal(found.right, factors.right)


def test_models_that_are_no_scaled_integers():
    assert ScaledFactors.of(model(Term(1.5, Identity(), Table(FORM, np.linspace(0, 1, 64))))) is None
    shared = (Term(1.2345678, Identity(), Mod(2)), Term(2.3456789, Identity(), Mod(3)))
    assert ScaledFactors.of(model(*shared)) is None
