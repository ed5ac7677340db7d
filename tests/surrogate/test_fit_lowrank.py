"""Low-rank surrogates against NumPy's SVD, against the published recipe, and their bias."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import ParameterError, TableMultiplier
from surrogate import FitError, discover
from surrogate.testing import table_multipliers

CIRCUITS = 49


def residual_of(s, m):
    return s(m.a.values()[:, None], m.b.values()) - m.table()


@pytest.mark.parametrize("index", range(CIRCUITS))
def test_no_worse_than_the_published_recipe_with_as_many_terms(circuits, index):
    m, _ = list(circuits.values())[index]
    htp = discover(m, method="htp")
    ours = discover(m, method="lowrank", terms=max(1, htp.n_terms))
    assert ours.n_terms <= max(1, htp.n_terms)
    assert ours.certificate.rms_residual <= htp.certificate.rms_residual * (1 + 1e-9) + 1e-9
    assert abs(ours.certificate.residual_bias) <= 1e-6


@settings(max_examples=40, deadline=None)
@given(table_multipliers(), st.integers(1, 6))
def test_between_the_best_of_k_and_of_k_less_one(m, k):
    s = discover(m, method="lowrank", terms=k)
    values = np.linalg.svd(m.products.astype(float), compute_uv=False)
    best, one_less = (np.sqrt((values[n:] ** 2).sum() / m.products.size) for n in (k, k - 1))
    largest = float(abs(m.products).max())
    assert s.n_terms <= k
    assert best - 1e-9 * largest <= s.certificate.rms_residual <= one_less + 1e-9 * largest
    assert abs(s.certificate.residual_bias) <= 1e-9 * largest


@settings(max_examples=40, deadline=None)
@given(table_multipliers(), st.integers(1, 4), st.integers(0, 2**32 - 1), st.booleans())
def test_mean_error_is_preserved_under_weights_with_zeros(m, k, seed, sparse):
    generator = np.random.default_rng(seed)
    p, q = generator.random(m.a.size), generator.random(m.b.size)
    if sparse:
        p[generator.random(m.a.size) < 0.5] = 0
        q[generator.random(m.b.size) < 0.5] = 0
        p[0] = q[-1] = 1
    s = discover(m, method="lowrank", terms=k, weights_a=p, weights_b=q)
    weights = np.outer(p / p.sum(), q / q.sum())
    residual = residual_of(s, m)
    largest = float(abs(m.products).max())
    assert np.isfinite(residual).all()
    assert abs((weights * residual).sum()) <= 1e-8 * largest
    scaled = np.sqrt(weights) * m.products
    values = np.linalg.svd(scaled, compute_uv=False)
    error = np.sqrt((weights * residual**2).sum())
    assert error >= np.sqrt((values[k:] ** 2).sum()) - 1e-9 * largest
    assert error <= np.sqrt((values[k - 1 :] ** 2).sum()) + 1e-8 * largest


def test_weights_pay():
    m = multipliers.get("mitchell8u")
    p = np.exp(-np.arange(256) / 20)
    weights = np.outer(p / p.sum(), np.full(256, 1 / 256))
    plain, weighted = (discover(m, method="lowrank", terms=3, weights_a=w) for w in (None, p))
    error = [np.sqrt((weights * residual_of(s, m) ** 2).sum()) for s in (plain, weighted)]
    assert error[1] < 0.97 * error[0]
    assert dict(weighted.provenance.options)["weighted"] is True


def test_more_terms_are_never_worse():
    m = multipliers.get("mitchell7s")
    errors = [discover(m, method="lowrank", terms=k).certificate.rms_residual for k in range(1, 12)]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in itertools.pairwise(errors))


def test_exact_where_the_terms_suffice():
    m = multipliers.get("bam8s_h0v3")
    s = discover(m, method="lowrank", terms=4)
    assert s.is_exact
    assert discover(TableMultiplier(np.zeros((4, 4), dtype=int), "2u"), method="lowrank").is_exact
    assert discover(TableMultiplier([[1, 2], [3, 5]], "1s", "1u"), method="lowrank", terms=9).is_exact


def test_12_bit_operands():
    m = multipliers.get("mitchell12x8u")
    s = discover(m, method="lowrank", terms=3)
    values = np.linalg.svd(m.table().astype(float), compute_uv=False)
    assert s.certificate.rms_residual <= np.sqrt((values[2:] ** 2).sum() / m.n_pairs)
    assert abs(s.certificate.residual_bias) < 1e-3


def test_refusals():
    m = multipliers.get("mitchell4u")
    for terms in (0, -1, True, 2.0):
        with pytest.raises(FitError, match="positive integer"):
            discover(m, method="lowrank", terms=terms)
    with pytest.raises(FitError, match="needs the whole table"):
        discover(multipliers.get("exact16u"), method="lowrank", terms=1)
    for weights in (np.ones(15), -np.ones(16), np.zeros(16), np.full(16, np.nan), "x"):
        with pytest.raises((ParameterError, ValueError)):
            discover(m, method="lowrank", weights_a=weights)
