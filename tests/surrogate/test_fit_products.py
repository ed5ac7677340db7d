"""The best products beside a free additive part: against the bound, under weights, rounded, and at wide operands."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import TableMultiplier
from surrogate import FitError, discover, dumps
from surrogate.basis import Constant, LeadingOneTable, Table
from surrogate.fit.products import fit_products
from surrogate.fit.rounded import DATATYPES
from surrogate.testing import table_multipliers


def bound(table, p, q, k):
    """Root mean square that no model of k products and any additive part goes below, by projections and NumPy's SVD."""
    root_p, root_q = np.sqrt(p)[:, None], np.sqrt(q)[None, :]
    scaled = root_p * table * root_q
    scaled = scaled - root_p @ (root_p.T @ scaled)
    scaled = scaled - (scaled @ root_q.T) @ root_q
    return np.sqrt((np.linalg.svd(scaled, compute_uv=False)[k:] ** 2).sum())


def residual(s, m):
    return s(m.a.values()[:, None], m.b.values()) - m.table()


@settings(max_examples=40, deadline=None)
@given(table_multipliers(), st.integers(1, 5), st.integers(0, 2**32 - 1), st.booleans())
def test_the_bound_is_met_and_the_mean_error_is_preserved(m, k, seed, sparse):
    generator = np.random.default_rng(seed)
    p, q = generator.random(m.a.size), generator.random(m.b.size)
    if sparse:
        p[generator.random(m.a.size) < 0.5] = 0
        q[generator.random(m.b.size) < 0.5] = 0
        p[0] = q[-1] = 1
    s = discover(m, method="lowrank", products=k, weights_a=p, weights_b=q)
    p, q = p / p.sum(), q / q.sum()
    largest = float(abs(m.products).max())
    left = residual(s, m)
    assert s.n_products <= k
    assert np.isfinite(left).all()
    assert np.sqrt(p @ left**2 @ q) <= bound(m.table(), p, q, k) * 1.02 + 1e-9 * largest
    assert abs(p @ left @ q) <= 1e-9 * largest
    assert abs((left @ q)[p > 0]).max() <= 1e-8 * largest
    assert abs((p @ left)[q > 0]).max() <= 1e-8 * largest


def test_at_or_below_the_bound_of_plain_low_rank_and_of_the_recipe(circuits):
    for m, _ in list(circuits.values())[::6]:
        table = m.table().astype(float)
        singular = np.linalg.svd(table, compute_uv=False)
        htp = discover(m, method="htp")
        for k in (1, 2, 4, 8):
            s = discover(m, method="lowrank", products=k)
            plain = np.sqrt((singular[k:] ** 2).sum() / table.size)
            assert s.certificate.rms_residual <= plain * (1 + 1e-9) + 1e-9 * abs(table).max()
            if k >= htp.n_products:
                assert s.certificate.rms_residual <= htp.certificate.rms_residual * (1 + 1e-9) + 1e-9


def test_weights_of_a_network_pay():
    m = multipliers.get("mitchell8u")
    p = np.exp(-np.arange(256) / 24)
    q = np.exp(-((np.arange(256) - 128) ** 2) / (2 * 20**2))
    weights = np.outer(p / p.sum(), q / q.sum())
    plain, weighted = (discover(m, method="lowrank", products=2, **w) for w in ({}, {"weights_a": p, "weights_b": q}))
    error = [np.sqrt((weights * residual(s, m) ** 2).sum()) for s in (plain, weighted)]
    assert error[1] < error[0] / 1.2
    assert error[1] <= 1.02 * bound(m.table(), p / p.sum(), q / q.sum(), 2)
    assert dict(weighted.provenance.options)["weighted"] is True


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("label", ["mitchell8u", "mitchell6sx7u", "bam8u_h2v9"])
def test_rounded_factors_are_of_the_datatype_and_better_than_rounding_alone(datatype, label):
    m = multipliers.get(label)
    for k in (2, 6):
        s = discover(m, method="lowrank", products=k, factors=datatype)
        free = discover(m, method="lowrank", products=k)
        assert s.n_products <= k
        naive = np.zeros((m.a.size, m.b.size))
        for term in free.terms:
            if Constant() in (term.a, term.b):
                naive += term.coefficient * np.multiply.outer(term.a.tabulate(m.a), term.b.tabulate(m.b))
                continue
            g, h = (np.asarray(f.values) for f in (term.a, term.b))
            if datatype == "int8":
                g, h = (np.round(v * 127 / abs(v).max()) * abs(v).max() / 127 for v in (g, h))
            else:
                g, h = (np.ldexp(np.round(np.frexp(v)[0] * 256) / 256, np.frexp(v)[1]) for v in (g, h))
            naive += np.multiply.outer(g, h)
        for term in s.terms:
            for f in (term.a, term.b):
                if Constant() in (term.a, term.b) or not isinstance(f, Table):
                    continue
                values = f.values
                assert values.dtype == np.int64
                if datatype == "int8":
                    assert -128 <= values.min() <= values.max() <= 127
                else:
                    odd = abs(values) // np.maximum(abs(values) & -abs(values), 1)
                    assert odd.max() < 256
        rms = s.certificate.rms_residual
        assert rms <= np.sqrt(((naive - m.table()) ** 2).mean()) * (1 + 1e-9)
        assert rms >= free.certificate.rms_residual * (1 - 1e-9)
        assert abs(s.certificate.residual_bias) <= 1e-6


def test_more_products_are_never_worse():
    m = multipliers.get("mitchell7s")
    errors = [discover(m, method="lowrank", products=k).certificate.rms_residual for k in range(1, 12)]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in itertools.pairwise(errors))


def test_exact_where_so_many_products_suffice():
    assert discover(multipliers.get("bam8s_h0v3"), method="lowrank", products=4).is_exact
    assert discover(multipliers.get("drum16u_k6"), method="lowrank", products=1, sample=1000).is_integer


@pytest.mark.parametrize(
    ("label", "products", "share"), [("mitchell12x8u", 3, 0.105), ("mitchell8u", 7, 0.031), ("mitchell8u", 15, 0.0105)]
)
def test_mitchell_decays_fast(label, products, share):
    m = multipliers.get(label)
    s = discover(m, method="lowrank", products=products)
    assert s.certificate.rms_residual <= share * multipliers.error_metrics(m).rmse


def test_wide_logarithmic_operands_become_short_tables_of_the_mantissa():
    m = multipliers.get("mitchell14u")
    s = discover(m, method="lowrank", products=3, sample=1 << 16)
    a, b = multipliers.multiplier.sample_pairs(m.a, m.b, 1 << 16, start=1 << 36)
    error = m.error(a, b)
    left = s(a, b) - m(a, b)
    assert np.sqrt((left**2).mean()) <= 0.103 * np.sqrt((error**2).mean())
    assert abs(left.mean()) <= 5 * left.std() / np.sqrt(1 << 16)
    assert any(isinstance(f, LeadingOneTable) for t in s.terms for f in (t.a, t.b))
    assert len(dumps(s)) < 400_000
    assert s.certificate.comparison == "sampled"


def test_wide_operands_of_another_kind_keep_tables_of_the_operand():
    m = multipliers.get("bam14x12u_h0v11")
    s = discover(m, method="lowrank", products=4, sample=1 << 16)
    assert s.n_products == 4
    assert any(isinstance(f, Table) for t in s.terms for f in (t.a, t.b))
    assert s.certificate.rms_residual < multipliers.error_metrics(m, sample=1 << 16).rmse / 5


def test_refusals():
    m = multipliers.get("mitchell4u")
    for products in (0, -1, True, 2.0):
        with pytest.raises(FitError, match="positive integer"):
            discover(m, method="lowrank", products=products)
    with pytest.raises(FitError, match="factors must be one of"):
        discover(m, method="lowrank", products=1, factors="int4")
    with pytest.raises(FitError, match="both given"):
        discover(m, method="lowrank", products=1, terms=1)
    with pytest.raises(FitError, match="needs products"):
        discover(m, method="lowrank", factors="int8")
    with pytest.raises(FitError, match="option of method 'lowrank'"):
        discover(m, method="htp", products=1)
    with pytest.raises(FitError, match="needs the whole table"):
        fit_products(multipliers.get("mitchell13u"), products=1, factors="int8")


def test_a_table_of_zeros_and_an_additive_table():
    zero = discover(TableMultiplier(np.zeros((4, 4), dtype=int), "2u"), method="lowrank", products=1)
    assert zero.is_exact
    additive = np.add.outer(np.arange(8) ** 2, np.arange(8))
    s = discover(TableMultiplier(additive, "3u"), method="lowrank", products=1)
    assert s.certificate.max_abs_residual <= 1e-9
