"""Exact factorisation: published circuits, random tables of known rank, wide operands, hostile tables."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier
from surrogate import FitError, certify, discover, dumps, load, loads, save
from surrogate.fit.integer_factors import factorise
from surrogate.testing import assert_exact, low_rank_tables, table_multipliers

CIRCUITS = 49


def rank(table):
    """Rank over the rationals by SymPy, which shares no code with the factorisation."""
    return (
        sympy.polys.matrices.DomainMatrix([[sympy.ZZ(int(v)) for v in row] for row in table], table.shape, sympy.ZZ)
        .to_field()
        .rank()
    )


def differences(surrogate, multiplier):
    """Count differing products from the stored numbers alone: tables, identities, ones, multiplied out in int64."""
    model = np.zeros(multiplier.table().shape, dtype=np.int64)
    for term in surrogate.to_dict()["terms"]:
        factors = [
            {
                "table": lambda f=f: np.array(f["configuration"]["values"]),
                "identity": operand.values,
                "constant": lambda operand=operand: np.ones(operand.size, dtype=np.int64),
            }[f["name"]]()
            for f, operand in ((term["a"], multiplier.a), (term["b"], multiplier.b))
        ]
        model += term["coefficient"] * np.outer(*factors)
    return np.count_nonzero(model != multiplier.table())


@pytest.mark.parametrize("index", range(CIRCUITS))
def test_published_circuits_are_exact_with_the_fewest_terms(circuits, index):
    assert len(circuits) == CIRCUITS
    m, fewest = list(circuits.values())[index]
    s = discover(m)
    assert s.is_exact
    assert s.certificate.comparison == "exhaustive"
    assert s.n_terms == fewest
    assert differences(s, m) == 0
    assert_exact(s, m)


def test_published_signed_circuits_stay_exact_and_small_as_files(circuits, tmp_path):
    signed = {name: m for name, (m, _) in circuits.items() if name.startswith("mul8s_")}
    assert len(signed) == 13
    for name, m in signed.items():
        path = tmp_path / f"{name}.json"
        save(discover(m), path)
        assert path.stat().st_size < 64 << 10
        loaded = load(path, m)
        assert loaded.is_exact
        assert differences(loaded, m) == 0
        assert_exact(loaded, m)


@settings(max_examples=60, deadline=None)
@given(low_rank_tables(max_rank=4, max_bits=5))
def test_random_tables_of_low_rank(drawn):
    m, bound = drawn
    s = discover(m)
    assert_exact(s, m)
    error = m.products - m.a.values()[:, None] * m.b.values()
    assert s.n_terms == min(rank(m.products), 1 + rank(error)) <= 1 + bound


@settings(max_examples=60, deadline=None)
@given(table_multipliers())
def test_random_tables_of_any_rank(m):
    s = discover(m)
    assert s.is_exact
    assert_exact(s, m)
    assert_exact(loads(dumps(s)), m)


@pytest.mark.parametrize("formats", [("8u", "8u"), ("8s", "8s"), ("8s", "7u")])
def test_random_full_rank_tables_of_8_bits(formats):
    a, b = map(OperandFormat.parse, formats)
    table = np.random.default_rng(1).integers(-(1 << 15), 1 << 16, size=(a.size, b.size))
    m = TableMultiplier(table, a, b)
    s = discover(m)
    assert s.is_exact
    assert s.n_terms == min(table.shape)
    assert_exact(s, m)


@pytest.mark.parametrize(
    ("label", "fewest"),
    [
        ("bam12s_h0v4", 5),
        ("ppp12s_j0k3", 1),
        ("drum12s_k4", 1),
        ("trunc12u_t7", 1),
        ("bam12u_h2v5", 4),
        ("drum12x8u_k5", 1),
    ],
)
def test_12_bit_designs_are_proven_by_streaming(label, fewest):
    m = multipliers.get(label)
    s = discover(m)
    expected = "streamed" if m.n_pairs > 1 << 20 else "exhaustive"
    assert (s.certificate.comparison, s.certificate.n_pairs, s.is_exact) == (expected, m.n_pairs, True)
    assert s.n_terms <= fewest


@pytest.mark.parametrize(
    ("label", "fewest"),
    [("ppp16s_j0k3", 1), ("trunc16u_t9", 1), ("drum16u_k6", 1), ("drum16s_k6", 1), ("exact16s", 1), ("bam16s_h0v8", 9)],
)
def test_16_bit_designs_are_sampled_and_say_so(label, fewest):
    m = multipliers.get(label)
    s = discover(m, sample=1 << 18)
    assert (s.certificate.comparison, s.certificate.n_pairs) == ("sampled", 1 << 18)
    assert s.certificate.max_abs_residual == 0
    assert not s.is_exact
    assert s.n_terms <= fewest
    generator = np.random.default_rng(7)
    a = generator.integers(m.a.minimum, m.a.maximum, size=100_000, endpoint=True)
    b = generator.integers(m.b.minimum, m.b.maximum, size=100_000, endpoint=True)
    np.testing.assert_array_equal(s(a, b), m(a, b))


@pytest.mark.slow
def test_a_14_bit_design_on_every_pair():
    m = multipliers.get("drum14u_k6")
    s = discover(m, every_pair=True)
    assert (s.certificate.comparison, s.certificate.n_pairs, s.is_exact) == ("streamed", 1 << 28, True)


# ---------------------------------------------------------------- hostile tables: exact, refused, or honest


def wide(correction, bits=12):
    operand = OperandFormat(bits)
    return CallableMultiplier(lambda a, b: a * b + correction(a, b), operand, operand, name="hostile")


def test_errors_in_one_row_are_found_by_probing():
    s = discover(wide(lambda a, b: np.where(a == 2741, b % 977, 0)))
    assert s.is_exact or s.certificate.n_different > 0
    if s.is_exact:
        assert s.n_terms == 2


@pytest.mark.parametrize(
    "correction",
    [
        lambda a, b: ((a == 2741) & (b == 1003)) * 5,
        lambda a, b: ((a == 2741) & (b > 4000)) * 5 - ((a == 13) & (b == 13)),
        lambda a, b: np.where((a % 512 == 77) & (b % 512 == 78), a ^ b, 0),
    ],
)
def test_errors_in_few_entries_are_found_or_certified(correction):
    m = wide(correction)
    s = discover(m)
    a, b = np.arange(4096)[:, None], np.arange(4096)
    truth = a * b + correction(a, b)
    n_different = sum(int(np.count_nonzero(s(x[:, None], b) != truth[x])) for x in np.split(np.arange(4096), 16))
    assert s.certificate.n_different == n_different
    assert s.is_exact == (n_different == 0)


def test_one_wrong_product_of_2_to_the_32_is_never_called_exact():
    s = discover(wide(lambda a, b: (a == 40_000) & (b == 50_001), bits=16), sample=1000)
    assert not s.is_exact


@pytest.mark.parametrize("row", [0, 1, 4095, 2048, 2047, 1024])
def test_errors_at_corners_of_wide_operands(row):
    m = wide(lambda a, b: (a == row) * (b + 7))
    s = discover(m)
    assert s.is_exact
    assert s.n_terms == 2 if row else 1 <= s.n_terms <= 2


def test_a_rank_above_the_limit_says_what_to_do():
    table = np.random.default_rng(0).integers(0, 100, size=(16, 16))
    with pytest.raises(FitError, match=r"no exact surrogate of .* with 3 terms: the rank exceeds 2; allow more terms"):
        discover(TableMultiplier(table, "4u"), terms=3)
    with pytest.raises(FitError, match="lowrank"):
        discover(wide(lambda a, b: (a * 7919 ^ b * 104729) % 1000))


def exact_or_too_large(m):
    """Whether an exact surrogate was found; if not, the refusal must say that numbers are too large."""
    try:
        s = discover(m)
    except FitError as error:
        if "too large" not in str(error):
            raise
        return False
    assert s.is_exact
    assert_exact(s, m)
    return True


LIMITS = [(1 << 15, 2), (1 << 20, 1), (1 << 20, 2), (1 << 27, 2), ((1 << 31) - 1, 1), ((1 << 31) - 1, 3), (1 << 40, 16)]


@pytest.mark.parametrize(("largest", "k"), LIMITS)
@pytest.mark.parametrize("seed", range(4))
def test_large_entries_are_exact_or_refused(largest, k, seed):
    generator = np.random.default_rng(seed)
    left = generator.integers(-largest, largest, size=(16, k), endpoint=True)
    right = generator.integers(-largest, largest, size=(k, 32), endpoint=True)
    table = left if k == 16 else left @ right
    exact = table.astype(object) if k == 16 else left.astype(object) @ right.astype(object)
    table = np.array(np.clip(exact, -(1 << 63), (1 << 63) - 1), dtype=np.int64)
    m = TableMultiplier(table, "4s", f"{int(table.shape[1]).bit_length() - 1}u")
    assert exact_or_too_large(m) or abs(exact).max() >= 1 << 40


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31), 2**31, 2**53 + 1, 2**60, 2**62, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("spread", [0, 1])
def test_entries_at_the_limits_of_integers(value, spread):
    table = np.full((4, 8), value)
    table[1, 2] -= spread if value > 0 else -spread
    m = TableMultiplier(table, "2u", "3s")
    assert exact_or_too_large(m) or abs(value) >= 2**60


@pytest.mark.parametrize("prime", [2147483629, 2147483647, (1 << 62) - 57, (1 << 61) - 1])
def test_tables_that_vanish_modulo_a_prime(prime):
    for table in (np.eye(8, dtype=np.int64) * prime, np.eye(8, dtype=np.int64) * (prime % (1 << 60)) + 1):
        m = TableMultiplier(table, "3u", "3s")
        assert exact_or_too_large(m) or prime >= 2**60


def test_degenerate_tables():
    for table, n_terms in (
        (np.zeros((16, 16), dtype=int), 0),
        (np.ones((16, 16), dtype=int), 1),
        (np.full((16, 16), -7), 1),
    ):
        m = TableMultiplier(table, "4u")
        s = discover(m)
        assert s.n_terms == n_terms
        assert s.is_exact
        assert_exact(s, m)
        assert_exact(loads(dumps(s), m, verify=True), m)


@given(
    st.lists(st.integers(-9, 9), min_size=4, max_size=4), st.sampled_from(["1u", "1s"]), st.sampled_from(["1u", "1s"])
)
def test_operands_of_one_bit(entries, a, b):
    m = TableMultiplier(np.reshape(entries, (2, 2)), a, b)
    s = discover(m)
    assert_exact(s, m)
    assert s.n_terms <= rank(m.products)


def test_factorisation_of_a_rectangular_matrix():
    generator = np.random.default_rng(3)
    matrix = generator.integers(-9, 9, size=(5, 3)) @ generator.integers(-9, 9, size=(3, 1000))
    factors = factorise(lambda i, j: matrix[i, j], matrix.shape, 10)
    np.testing.assert_array_equal(factors.left @ factors.right, matrix)
    assert factors.rank == rank(matrix)
    with pytest.raises(FitError, match="exceeds 2"):
        factorise(lambda i, j: matrix[i, j], matrix.shape, 2)


def test_discovery_is_reproducible():
    m = multipliers.get("bam8s_h0v6")
    assert dumps(discover(m)) == dumps(discover(m))


def test_the_accurate_product_is_kept_among_equals():
    s = discover(multipliers.get("bam8u_h0v2"))
    assert dict(s.provenance.options)["form"] == "product + error"
    assert s.terms[0].formula() == "a b"
    assert certify(s, multipliers.get("bam8u_h0v2")) == s


@pytest.mark.parametrize("shape", [("8u", "8u"), ("8s", "7u"), ("6u", "8s")], ids=" x ".join)
def test_nearly_full_rank_is_exact_without_reducing_a_basis(shape):
    a, b = map(OperandFormat.parse, shape)
    table = np.random.default_rng(2).integers(-(1 << 15), 1 << 15, size=(a.size, b.size))
    table[:, 5] = table[:, 6] - 2 * table[:, 7]
    table[9] = table[3]
    found = discover(TableMultiplier(table, a, b))
    rank = int(np.linalg.matrix_rank(table))
    assert rank < min(table.shape) or a.size < b.size
    assert found.is_exact
    assert found.n_terms == rank
