import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipliers import CallableMultiplier, OperandFormat, ParameterError, TableMultiplier, get
from multipliers.characterise import characterise
from multipliers.metrics import error_metrics
from multipliers.profiles import error_profile, relative_error_histogram, spaced_values
from multipliers.spectrum import matrix_spectrum, random_submatrix
from multipliers.structure import find_structure

FORMATS = st.builds(OperandFormat, st.integers(1, 4), st.booleans())


def values(format):
    return range(-(2 ** (format.bits - 1)), 2 ** (format.bits - 1)) if format.signed else range(2**format.bits)


@st.composite
def tables(draw):
    """Tables near the law-abiding ones, so that laws hold and fail about as often."""
    a, b = draw(FORMATS), draw(FORMATS)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    products = np.multiply.outer(list(values(a)), list(values(b)))
    for _ in range(draw(st.integers(0, 2))):
        products[rng.integers(a.size), rng.integers(b.size)] += rng.integers(-3, 4)
    return TableMultiplier(products, a, b)


def laws(m):
    f = {(a, b): int(m(a, b)) for a in values(m.a) for b in values(m.b)}
    A, B = values(m.a), values(m.b)

    def rising(sequence):
        return all(x <= y for x, y in itertools.pairwise(sequence))

    def monotone(line):  # value -> abs(product): both arms rise away from zero
        keys = sorted(line)
        return rising([line[k] for k in keys if k >= 0]) and rising([line[k] for k in reversed(keys) if k <= 0])

    return {
        "commutative": all(f[a, b] == f[b, a] for a, b in f) if m.a == m.b else None,
        "sign_symmetric_a": all(f[-a, b] == -f[a, b] for a, b in f if -a in A) if m.a.signed else None,
        "sign_symmetric_b": all(f[a, -b] == -f[a, b] for a, b in f if -b in B) if m.b.signed else None,
        "zero_preserving_a": all(f[0, b] == 0 for b in B),
        "zero_preserving_b": all(f[a, 0] == 0 for a in A),
        "monotone_a": all(monotone({a: abs(f[a, b]) for a in A}) for b in B),
        "monotone_b": all(monotone({b: abs(f[a, b]) for b in B}) for a in A),
    }


@given(tables())
def test_structure_against_the_laws(m):
    found = find_structure(m).to_dict()
    assert {k: found[k] for k in laws(m)} == laws(m)
    assert (found["comparison"], found["n_pairs"]) == ("exhaustive", m.n_pairs)


@given(tables(), st.booleans())
def test_profiles_against_row_statistics(m, weighted):
    error = m.table() - np.multiply.outer(list(values(m.a)), list(values(m.b)))
    rng = np.random.default_rng(3)
    p, q = (rng.dirichlet(np.ones(n)) if weighted else np.full(n, 1 / n) for n in error.shape)
    for operand, matrix, w in (("a", error, q), ("b", error.T, p)):
        found = error_profile(m, operand, w if weighted else None)
        mean = np.array([sum(e * x for e, x in zip(row, w, strict=True)) for row in matrix.tolist()])
        square = np.array([sum(e * e * x for e, x in zip(row, w, strict=True)) for row in matrix.tolist()])
        np.testing.assert_allclose(found.mean, mean, atol=1e-12)
        np.testing.assert_allclose(found.sd, np.sqrt(np.maximum(square - mean**2, 0)), atol=1e-6)
        assert found.operand == operand
        assert found.n_others == w.size


@pytest.mark.parametrize("label", ["mitchell8u", "drum6s_k3", "bam4x6u_h0v3", "exact5s"])
def test_characterisation_is_consistent(label):
    m = get(label)
    c = characterise(m)
    error = m.error(m.a.values()[:, None], m.b.values()[None, :])
    assert (c.name, c.a, c.b, c.complete, c.fingerprint) == (label, m.a, m.b, True, m.fingerprint())
    assert c.metrics == error_metrics(m)
    assert c.error_histogram.counts.sum() == m.n_pairs
    counts = [
        ((error > low) & (error < high)).sum()  # edges lie between integers
        for low, high in itertools.pairwise(c.error_histogram.edges)
    ]
    assert c.error_histogram.counts.tolist() == counts
    exact = m.exact(m.a.values()[:, None], m.b.values()[None, :])
    assert c.relative_error_histogram.counts.sum() == np.count_nonzero(exact)
    assert c.relative_error_histogram.edges[0] <= c.metrics.min_relative_error
    assert c.relative_error_histogram.edges[-1] >= c.metrics.max_relative_error
    assert c.error_spectrum.rank == np.linalg.matrix_rank(error)
    assert c.product_spectrum.rank == np.linalg.matrix_rank(m.table())
    assert c.n_exact_products == min(c.product_spectrum.rank, 1 + c.error_spectrum.rank)
    assert c == characterise(m)
    assert c != characterise(get("drum6u_k3"))
    json.dumps(c.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="read-only"):
        c.profile_a.mean[0] = 1


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_spectrum_is_what_the_best_model_leaves(seed, weighted):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-9, 9, (6, 3)) @ rng.integers(-9, 9, (3, 5))
    p, q = (rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5))) if weighted else (np.ones(6), np.ones(5))
    found = matrix_spectrum(matrix, p if weighted else None, q if weighted else None)
    scaled = np.sqrt(p)[:, None] * matrix * np.sqrt(q)
    u, s, v = np.linalg.svd(scaled)
    for k, left in enumerate(found.norm_left):
        rest = np.linalg.norm(scaled - (u[:, :k] * s[:k]) @ v[:k]) / max(np.linalg.norm(scaled), 1e-300)
        assert left == pytest.approx(rest, abs=1e-12)
    assert found.norm_left[-1] == 0
    assert found.norm_left.size == found.rank + 1
    assert found.terms_for(0) == found.rank
    assert found.terms_for(1) == 0


def test_weights_reach_every_part():
    m = get("mitchell5u")
    p = np.zeros(32)
    p[[3, 8]] = 1, 3
    c = characterise(m, p)
    assert c.metrics.weighted
    assert c.metrics.n_pairs == 64
    assert c.error_histogram.counts.sum() == pytest.approx(c.error_histogram.n_pairs)
    np.testing.assert_allclose(c.profile_b.mean, [(m.error(3, b) + 3 * m.error(8, b)) / 4 for b in range(32)])
    assert c.product_spectrum.norm_left[2] == pytest.approx(0, abs=1e-12)  # two rows left


def test_wide_parts_say_what_they_rest_on():
    m = get("mitchell12u")
    c = characterise(m, sample=10_000)
    assert not c.complete
    assert (c.metrics.comparison, c.metrics.n_pairs) == ("sampled", 10_000)
    assert c.structure.comparison == "sampled"
    assert c.structure.commutative
    assert c.error_histogram.comparison == "sampled"
    assert (c.error_spectrum.complete, c.error_spectrum.n_rows, c.error_spectrum.n_columns) == (False, 256, 256)
    assert c.fingerprint == m.sample_fingerprint()
    assert c.profile_a.values.size == 4096
    assert c.profile_a.mean[100] == pytest.approx(m.error(100, m.b.values()).mean())
    labels = [row.label for row in c.summary()]
    assert "rank of errors (at least; random 256 x 256)" in labels
    json.dumps(c.to_dict(), allow_nan=False)


def test_sixteen_bits_with_weights():
    m = CallableMultiplier(lambda a, b: a * b + (a & 1), OperandFormat(16, True), OperandFormat(16), name="odd")
    p = np.zeros(1 << 16)
    p[1 << 15 : (1 << 15) + 100] = 1
    c = characterise(m, p, sample=5000)
    assert c.metrics.mean_error == pytest.approx(0.5, abs=0.05)
    assert c.profile_a.values.size == 128
    assert (c.profile_a.values[0], c.profile_a.values[-1]) == (m.a.minimum, m.a.maximum)
    assert c.profile_b.mean == pytest.approx(np.full(128, 0.5))
    assert (c.error_spectrum.n_rows, c.error_spectrum.rank, c.product_spectrum.rank) == (100, 1, 2)


def test_random_submatrix_is_distinct_and_fixed():
    m = get("exact16s")
    rows, columns = random_submatrix(m, 256)
    assert np.unique(rows).size == np.unique(columns).size == 256
    assert (random_submatrix(m, 256)[0] == rows).all()
    assert rows.min() < -30000
    assert rows.max() > 30000


def test_spaced_values():
    assert spaced_values(OperandFormat(3), None).tolist() == list(range(8))
    assert spaced_values(OperandFormat(8, True), 4).tolist() == [-128, -43, 42, 127]


def test_histogram_of_relative_errors_without_any():
    empty = relative_error_histogram(np.zeros(0))
    assert empty.n_pairs == empty.counts.size == 0
    only_zero = characterise(get("exact3u"), [1, 0, 0, 0, 0, 0, 0, 0])
    assert only_zero.relative_error_histogram.n_pairs == 0
    json.dumps(only_zero.to_dict(), allow_nan=False)


def test_expected_error_of_a_dot_product():
    c = characterise(get("mitchell8u"))
    found = c.expected_dot_product_error(400)
    assert found == (400, 400 * c.metrics.mean_error, 20 * c.metrics.sd)
    with pytest.raises(ParameterError, match="length must be at least 1"):
        c.expected_dot_product_error(0)


def test_summary_rows():
    rows = {row.label: row for row in characterise(get("exact4s")).summary()}
    assert rows["mean error (bias)"].value == 0.0
    assert rows["mean error (bias)"].unit == "LSB"
    assert rows["commutative"].value == "yes"
    assert rows["rank of errors"].value == 0
    assert "f(-a, b) = -f(a, b)" in rows
    assert "f(-a, b) = -f(a, b)" not in {row.label for row in characterise(get("exact4u")).summary()}


def test_bad_requests():
    with pytest.raises(ParameterError, match="n_bins"):
        characterise(get("exact2u"), n_bins=1)
    with pytest.raises(ParameterError, match="weights_b has shape"):
        characterise(get("exact2u"), None, [1])
    with pytest.raises(ParameterError, match="share"):
        characterise(get("exact2u")).error_spectrum.terms_for(-1)


def test_every_part_says_what_it_rests_on():
    whole, wide = characterise(get("mitchell6u")), characterise(get("mitchell16u"), sample=1000)
    for c, complete in ((whole, True), (wide, False)):
        word = "exhaustive" if complete else "sampled"
        assert (c.metrics.comparison, c.structure.comparison) == (word, word)
        assert (c.error_histogram.comparison, c.relative_error_histogram.comparison) == (word, word)
        assert c.product_spectrum.complete == c.error_spectrum.complete == complete
        assert c.profile_a.every_value == c.profile_b.every_value == complete
        assert c.profile_a.comparison == c.profile_b.comparison == "exhaustive"  # 128 values against all others
        assert bool(c.metrics.intervals) != complete
    asked = characterise(get("mitchell6u"), sample=1000)
    assert (asked.complete, asked.metrics.comparison) == (True, "sampled")


def test_profiles_against_drawn_values_follow_their_distribution():
    m = CallableMultiplier(lambda a, b: a * b + (b == 77), OperandFormat(4), OperandFormat(20), name="one value")
    rare = np.zeros(m.b.size)
    rare[[77, 99]] = 1, 3
    profile = error_profile(m, "a", rare)
    assert (profile.comparison, profile.n_others, profile.every_value) == ("sampled", 65536, True)
    np.testing.assert_allclose(profile.mean, 0.25, atol=0.01)
    assert error_profile(m, "b", None, 16).comparison == "exhaustive"
