"""The surrogate against a scalar oracle: evaluation, factors, bounds, stored form."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, OperandRangeError, OperandTypeError, TableMultiplier
from surrogate import Certificate, MultiplierReference, Provenance, Surrogate, SurrogateError, Term
from surrogate.basis import Bit, Constant, Identity, Mod, Table
from surrogate.testing import surrogates

A, B = OperandFormat(4, True), OperandFormat(3)
REFERENCE = MultiplierReference("m", A, B, "0" * 64)
PROVENANCE = Provenance("hand")


def scalar(surrogate, x, y):
    """Evaluate one pair with Python numbers, through the tabulated functions."""
    total = 0
    for term in surrogate.terms:
        g = term.a.tabulate(surrogate.a)[x - surrogate.a.minimum].item()
        h = term.b.tabulate(surrogate.b)[y - surrogate.b.minimum].item()
        total += term.coefficient * g * h
    return total


@given(surrogates(max_bits=4))
def test_every_pair_equals_the_scalar_oracle(s):
    got = s(s.a.values()[:, None], s.b.values())
    expected = [[scalar(s, x, y) for y in s.b.values().tolist()] for x in s.a.values().tolist()]
    assert got.dtype == (np.int64 if s.is_integer else np.float64)
    assert got.tolist() == expected  # floats, too: one order of evaluation


@given(surrogates(max_bits=5))
def test_factors_give_the_same_table_with_no_more_products(s):
    factors = s.factors()
    assert factors.n_products == s.n_products <= s.n_terms
    assert factors.is_integer == s.is_integer or not s.terms
    table = s(s.a.values()[:, None], s.b.values())
    product = factors.left @ factors.right.T
    if factors.additive_a is not None:
        product = product + factors.additive_a[:, None]
    if factors.additive_b is not None:
        product = product + factors.additive_b
    constants = sum(Constant() in (t.a, t.b) for t in s.terms)
    assert (factors.additive_a is None and factors.additive_b is None) == (constants == 0)
    assert s.n_products <= s.n_terms - constants
    factors = factors.as_products()
    if s.is_integer:
        np.testing.assert_array_equal(product, table)
        np.testing.assert_array_equal(factors.left @ factors.right.T, table)
        bound = (abs(factors.left).astype(object) @ abs(factors.right.T).astype(object)).max(initial=0)
        assert factors.product_bound() == pytest.approx(float(bound), rel=1e-12)
    else:
        np.testing.assert_allclose(product, table, rtol=1e-9, atol=1e-9 * max(1.0, float(abs(table).max())))


@given(surrogates())
def test_stored_form_reads_back(s):
    again = Surrogate.from_dict(s.to_dict())
    assert again == s
    assert hash(again) == hash(s)
    assert again.multiplier.name == s.multiplier.name
    assert again.provenance == s.provenance


def test_a_wide_domain_needs_no_table():
    wide = OperandFormat(32)
    s = Surrogate([Term(1, Mod(31), Mod(31))], MultiplierReference("w", wide, wide, "0" * 64, "sample"), PROVENANCE)
    assert int(s(2**32 - 1, 2**32 - 1)) == (2**31 - 1) ** 2


def test_products_of_factors_that_only_a_small_coefficient_keeps_in_range():
    t = Table(OperandFormat(1), [0, 1 << 40])
    reference = MultiplierReference("m", OperandFormat(1), OperandFormat(1), "0" * 64)
    s = Surrogate([Term(2.0**-40, t, t)], reference, PROVENANCE)
    assert float(s(1, 1)) == 2.0**40
    assert float(s.factors().left[1] @ s.factors().right[1]) == 2.0**40


@pytest.mark.parametrize(
    "terms",
    [
        [Term(1 << 61, Identity(), Constant())],
        [Term((1 << 63) - 1, Constant(), Constant()), Term(1, Constant(), Constant())],
        [Term(1e300, Identity(), Constant())],
        [Term(1e200, Table(A, np.full(16, 1e200)), Table(B, np.zeros(8)))],
    ],
)
def test_models_beyond_int64_are_refused(terms):
    with pytest.raises(SurrogateError, match="beyond int64"):
        Surrogate(terms, REFERENCE, PROVENANCE)


def test_the_largest_integer_model_is_evaluated_without_overflow():
    s = Surrogate([Term((1 << 63) - 1, Constant(), Bit(0))], REFERENCE, PROVENANCE)
    assert int(s(-8, 7)) == (1 << 63) - 1


def test_operands_are_checked_and_broadcast():
    s = Surrogate([Term(1, Identity(), Identity())], REFERENCE, PROVENANCE)
    assert s(np.zeros((2, 1), dtype=np.int8), np.zeros(3, dtype=np.uint8)).shape == (2, 3)
    assert s(np.zeros((0, 3), dtype=int), 1).shape == (0, 3)
    with pytest.raises(OperandRangeError, match="operand b: 8"):
        s(0, 8)
    with pytest.raises(OperandRangeError, match="operand a: -9"):
        s(-9, 0)
    with pytest.raises(OperandTypeError, match="operand a"):
        s(0.5, 0)
    assert s.formula() == "a b"
    assert str(s) == "uncertified surrogate of m: a b"
    assert Surrogate([], REFERENCE, PROVENANCE).formula() == "0"
    assert Surrogate([], REFERENCE, PROVENANCE)([1, 2], 3).tolist() == [0, 0]


def test_functions_of_another_format_are_refused():
    with pytest.raises(SurrogateError, match="used on an operand of format"):
        Surrogate([Term(1, Table(B, range(8)), Identity())], REFERENCE, PROVENANCE)


@pytest.mark.parametrize("value", [True, None, "1", np.nan, np.inf, 1 << 63, -(1 << 63) - 1, 1j])
def test_coefficients_that_are_no_numbers(value):
    with pytest.raises(SurrogateError, match="coefficient"):
        Term(value, Identity(), Identity())


def test_whole_coefficients_become_integers():
    assert type(Term(2.0, Identity(), Identity()).coefficient) is int
    assert type(Term(-0.0, Identity(), Identity()).coefficient) is int
    assert type(Term(np.float64(0.1), Identity(), Identity()).coefficient) is float
    assert type(Term(np.int8(3), Identity(), Identity()).coefficient) is int
    assert Term(-1, Identity(), Mod(2)).formula() == "-a (b mod 4)"


@pytest.mark.parametrize(
    "fields",
    [
        {"fingerprint": "0" * 63},
        {"fingerprint": "G" * 64},
        {"fingerprint": "A" * 64},
        {"fingerprint": 1},
        {"fingerprint_of": "both"},
        {"fingerprint_of": None},
        {"name": 3},
        {"name": "\ud800"},
        {"a": OperandFormat(16), "b": OperandFormat(16)},
    ],
)
def test_references_refuse(fields):
    good = {"name": "m", "a": A, "b": B, "fingerprint": "0" * 64, "fingerprint_of": "table"}
    with pytest.raises(SurrogateError):
        MultiplierReference(**good | fields)


def test_references_identify_by_formats_and_products_never_by_name():
    m = TableMultiplier([[1, 2], [3, 4]], "1u", name="x")
    reference = MultiplierReference.of(m)
    assert reference.matches(TableMultiplier([[1, 2], [3, 4]], "1u", name="y"))
    assert not reference.matches(TableMultiplier([[1, 2], [3, 4]], "1s", name="x"))
    assert not reference.matches(TableMultiplier([[1, 2], [3, 5]], "1u", name="x"))
    wide = MultiplierReference.of(multipliers.get("exact16u"))
    assert wide.fingerprint_of == "sample"
    assert wide.matches(multipliers.get("exact16u"))
    assert not wide.matches(multipliers.get("drum16u_k8"))


def test_provenance_options_are_plain_values():
    assert Provenance("m", {"b": 1, "a": -0.0}).options == (("a", 0.0), ("b", 1))
    assert str(dict(Provenance("m", {"a": -0.0}).options)["a"]) == "0.0"
    assert Provenance("m", (("k", 1), ("k", "x"))).options[0] == ("k", 1)  # sorts, whatever the types of the values
    for options in ({"k": [1]}, {"k": np.nan}, {1: 2}, {"k": 1 << 63}, {"k": "\udfff"}):
        with pytest.raises(SurrogateError, match="option"):
            Provenance("m", options)
    with pytest.raises(SurrogateError, match="text"):
        Provenance(None)


def test_a_surrogate_is_immutable():
    s = Surrogate([Term(1, Identity(), Identity())], REFERENCE, PROVENANCE)
    with pytest.raises(AttributeError):
        s.terms = ()


def test_a_certificate_of_all_pairs_must_count_all_pairs():
    with pytest.raises(SurrogateError, match="calls them all"):
        Surrogate([], REFERENCE, PROVENANCE, Certificate("exhaustive", 100, 0, 0.0, 0.0, 0.0, 0.0))
    assert Surrogate([], REFERENCE, PROVENANCE, Certificate("exhaustive", 128, 0, 0.0, 0.0, 0.0, 0.0)).is_exact
    assert not Surrogate([], REFERENCE, PROVENANCE, Certificate("sampled", 128, 0, 0.0, 0.0, 0.0, 0.0)).is_exact


def test_float_models_are_never_exact_even_without_residual():
    s = Surrogate([Term(0.5, Identity(), Constant())], REFERENCE, PROVENANCE)
    assert not s.with_certificate(Certificate("exhaustive", 128, 0, 0.0, 0.0, 0.0, 0.0)).is_exact


@settings(max_examples=30)
@given(surrogates(max_bits=3), st.data())
def test_surrogates_differ_where_a_term_does(s, data):
    assume(s.terms)
    k = data.draw(st.integers(0, len(s.terms) - 1))
    term = s.terms[k]
    other = Term(term.coefficient + 1, term.a, term.b)
    assume(other.coefficient != term.coefficient)
    assert Surrogate([*s.terms[:k], other, *s.terms[k + 1 :]], s.multiplier, s.provenance) != s
