"""The published recipe: planted models come back, the intercept is kept, residuals are those of the rounded model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier
from surrogate import FitError, discover, dumps, loads
from surrogate.basis import Constant, Identity, LeadingOneTruncate, Mod
from surrogate.fit.recipe_estimator import HTPRegressor


def planted(coefficients, bits_a, bits_b, a, b):
    """Tabulate a whole-numbered model over products of {1, x, x mod 2**l}."""
    x, y = np.arange(a.minimum, a.maximum + 1)[:, None], np.arange(b.minimum, b.maximum + 1)
    left = [np.ones_like(x), x, x % 2**bits_a]
    right = [np.ones_like(y), y, y % 2**bits_b]
    total = sum(c * g * h for c, (g, h) in coefficients.items() for g, h in [(left[g], right[h])])
    return TableMultiplier(total, a, b, name="planted")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("bits_a", "bits_b"), [(2, 3), (4, 1), (1, 5)])
def test_a_planted_model_comes_back(signed, bits_a, bits_b):
    a = b = OperandFormat(6, signed)
    m = planted({1: (1, 1), -2: (2, 2), 3: (2, 1), 7: (0, 0)}, bits_a, bits_b, a, b)
    s = discover(m, method="htp", basis="mod")
    terms = {(t.a, t.b): t.coefficient for t in s.terms}
    assert terms == {
        (Identity(), Identity()): 1,
        (Mod(bits_a), Mod(bits_b)): -2,
        (Mod(bits_a), Identity()): 3,
        (Constant(), Constant()): 7,
    }
    assert s.is_exact


def test_planted_coefficients_of_one_decimal():
    pairs = np.stack(np.meshgrid(np.arange(64), np.arange(-16, 16), indexing="ij"), axis=-1).reshape(-1, 2)
    x, y = pairs.T
    terms = [(g, h) for g in (Constant(), Identity(), Mod(3)) for h in (Constant(), Identity(), Mod(2))]
    target = 0.9 * x * y - 0.7 * (x % 8) * (y % 4) + 12.3
    regressor = HTPRegressor(terms).fit(pairs, target)
    found = {(t.a, t.b): t.coefficient for t in regressor.terms_}
    expected = {(Identity(), Identity()): 0.9, (Mod(3), Mod(2)): -0.7, (Constant(), Constant()): 12.3}
    assert found == expected
    np.testing.assert_allclose(regressor.predict(pairs), target, atol=1e-9)


def test_decimals_are_those_asked_for():
    m = multipliers.get("trunc8u_t6")
    for decimals in (0, 1, 3):
        for term in discover(m, method="htp", decimals=decimals).terms:
            assert term.coefficient == round(term.coefficient, decimals)
    kept = discover(m, method="htp", decimals=None)
    assert any(t.coefficient != round(t.coefficient, 6) for t in kept.terms)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("bits", "unbiased"), [(3, False), (4, True), (5, False)])
def test_a_planted_leading_one_truncation_comes_back(signed, bits, unbiased):
    def truncate(x):
        size = int(abs(x)).bit_length()
        if size <= bits:
            return int(x)
        kept = (int(abs(x)) >> (size - bits)) | unbiased
        return int(np.sign(x)) * (kept << (size - bits))

    operand = OperandFormat(8, signed)
    m = CallableMultiplier(lambda a, b: truncate(a) * truncate(b), operand, operand, vectorised=False, name="planted")
    s = discover(m, method="htp", basis="leading_one")
    assert [(t.coefficient, t.a, t.b) for t in s.terms] == [(1, *[LeadingOneTruncate(bits, unbiased)] * 2)]
    assert s.is_exact
    assert discover(m, method="htp").is_exact


def test_the_intercept_is_kept_in_the_file():
    m = CallableMultiplier(lambda a, b: a * b - 321, OperandFormat(8), OperandFormat(8), name="shifted")
    s = loads(dumps(discover(m, method="htp", basis="mod")))
    assert s.is_exact
    assert {(t.a, t.b): t.coefficient for t in s.terms}[(Constant(), Constant())] == -321
    assert int(s(0, 0)) == -321


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_certificate_is_of_the_rounded_model(seed):
    table = np.random.default_rng(seed).integers(0, 300, size=(16, 32))
    m = TableMultiplier(table, "4u", "5s")
    s = discover(m, method="htp")
    residual = s(m.a.values()[:, None], m.b.values()) - table
    assert s.certificate.rms_residual == pytest.approx(np.sqrt((residual**2).mean()))
    assert s.n_terms <= 9


def test_one_bit_operands():
    m = TableMultiplier([[1, 2, 3, 5], [4, 5, 7, 9]], "1s", "2u")
    s = discover(m, method="htp")
    assert s.certificate.n_pairs == 8
    assert discover(TableMultiplier([[0, 0], [0, 1]], "1u"), method="htp").is_exact


def test_wide_operands():
    s = discover(multipliers.get("drum16u_k6"), method="htp", basis="leading_one", sample=1 << 16)
    assert s.n_terms == 1
    assert s.certificate.max_abs_residual == 0
    assert not s.is_exact


def test_refusals():
    with pytest.raises(FitError, match="basis must be one of"):
        discover(multipliers.get("exact4u"), method="htp", basis="fourier")
