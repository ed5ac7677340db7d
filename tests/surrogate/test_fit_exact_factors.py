"""What integer factorisations look like: few products beside additive parts, small factors on both sides."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, TableMultiplier
from surrogate import discover
from surrogate.fit.exact import separate
from surrogate.fit.integer_factors import factorise
from surrogate.fit.pair_reduction import reduce_pairs
from surrogate.testing import assert_exact


def entries_of(matrix):
    return lambda i, j: matrix[i, j]


def products_needed(matrix):
    """Rank of the doubly differenced matrix, by floats: the products beside any additive part."""
    return int(np.linalg.matrix_rank(np.diff(np.diff(matrix, axis=0), axis=1)))


matrices = st.tuples(
    st.integers(2, 12), st.integers(2, 12), st.integers(0, 4), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1)
)


@settings(max_examples=200)
@given(matrices)
def test_additive_parts_save_products_and_never_add_terms(drawn):
    n, m, rank, of_a, of_b, seed = drawn
    generator = np.random.default_rng(seed)
    matrix = generator.integers(-9, 9, (n, rank)) @ generator.integers(-9, 9, (rank, m))
    matrix += of_a * generator.integers(-99, 99, (n, 1)) + of_b * generator.integers(-99, 99, (1, m))
    whole = factorise(entries_of(matrix), matrix.shape, 16)
    anchor = (int(generator.integers(n)), int(generator.integers(m)))
    parts = separate(entries_of(matrix), matrix.shape, 16, anchor=anchor)
    model = parts.factors.left @ parts.factors.right
    model = model + (0 if parts.of_a is None else parts.of_a[:, None])
    model = model + (0 if parts.of_b is None else parts.of_b)
    np.testing.assert_array_equal(model, matrix)
    additive = (parts.of_a is not None) + (parts.of_b is not None)
    assert parts.factors.rank + additive <= whole.rank == np.linalg.matrix_rank(matrix)
    assert products_needed(matrix) <= parts.factors.rank
    assert parts.factors.rank == products_needed(matrix) or whole.datatype <= 1  # or a wider datatype was the price
    assert parts.factors.datatype <= whole.datatype


@pytest.mark.parametrize(
    ("offset", "products", "terms"),
    [
        (lambda a, b: 0 * a + 0 * b, 1, 1),
        (lambda a, b: 13 + 0 * a + 0 * b, 1, 2),
        (lambda a, b: (b % 7) ** 2 + 0 * a, 1, 2),
        (lambda a, b: 5 * (a > 3) - 4 + 0 * b, 1, 2),
        (lambda a, b: (b % 7) ** 2 - 5 * (a > 3) * 3 + 1, 1, 3),
        (lambda a, b: (b % 7) ** 2 * (1 + (a % 5)), 2, 2),
    ],
)
@pytest.mark.parametrize("formats", [("6u", "5u"), ("5s", "6s"), ("4u", "6s")], ids=" x ".join)
def test_sums_of_one_operand_cost_no_product(offset, products, terms, formats):
    a, b = map(OperandFormat.parse, formats)
    x, y = a.values()[:, None], b.values()
    m = TableMultiplier(x * y + offset(x, y), a, b)
    s = discover(m)
    assert_exact(s, m)
    assert (s.n_products, s.n_terms) == (products, terms)
    factors = s.factors()
    assert factors.n_products == products
    rebuilt = factors.as_products()
    np.testing.assert_array_equal(rebuilt.left @ rebuilt.right.T, m.products)


def test_a_published_circuit_needs_one_product_instead_of_three(circuits):
    m, fewest = circuits["mul8u_1SX"]
    s = discover(m)
    assert (fewest, s.n_terms, s.n_products) == (3, 3, 1)
    assert_exact(s, m)


# ---------------------------------------------------------------- both factors at once


@settings(max_examples=200)
@given(
    st.integers(2, 9), st.integers(2, 9), st.integers(1, 5), st.integers(0, 2**32 - 1), st.sampled_from([3, 99, 9999])
)
def test_reducing_pairs_keeps_the_product_and_lowers_the_sum(n, m, k, seed, largest):
    generator = np.random.default_rng(seed)
    left, right = generator.integers(-largest, largest, (n, k)), generator.integers(-largest, largest, (k, m))
    assume(np.linalg.matrix_rank(left) == np.linalg.matrix_rank(right) == k)

    def energy(x, y):
        return int((np.square(x).sum(axis=0) * np.square(y).sum(axis=1)).sum())

    x, y = reduce_pairs(left, right)
    np.testing.assert_array_equal(x @ y, left @ right)
    assert energy(x, y) <= energy(left, right)
    again = reduce_pairs(x, y)
    np.testing.assert_array_equal(again[0], x)  # a local minimum is found as it is
    np.testing.assert_array_equal(again[1], y)


def test_a_skewed_basis_is_straightened():
    generator = np.random.default_rng(0)
    left, right = generator.integers(-3, 4, (40, 6)), generator.integers(-3, 4, (6, 50))
    skew = np.triu(generator.integers(-9, 9, (6, 6)), 1) + np.eye(6, dtype=int)
    inverse = np.rint(np.linalg.inv(skew)).astype(int)
    x, y = reduce_pairs(left @ skew, inverse @ right)
    np.testing.assert_array_equal(x @ y, left @ right)
    assert max(abs(left @ skew).max(), abs(inverse @ right).max()) > 1000
    assert max(abs(x).max(), abs(y).max()) < 12


def test_factors_that_do_not_fit_are_left_alone():
    left, right = np.full((2, 1), 1 << 40), np.full((1, 2), 1 << 40)
    x, y = reduce_pairs(left, right)
    assert x is left
    assert y is right


@pytest.mark.parametrize(("name", "largest"), [("mul8s_1KVA", 128), ("mul8s_1KX5", 128), ("mul8u_1DMU", 352)])
def test_factors_of_published_circuits_are_small(circuits, name, largest):
    factors = discover(circuits[name][0]).factors()
    assert max(abs(factors.left).max(), abs(factors.right).max()) <= largest


def test_the_error_of_a_broken_array_has_factors_of_few_bits():
    s = discover(multipliers.get("bam8s_h0v6"))
    for term in s.terms[1:]:
        assert max(term.a.largest(s.a), term.b.largest(s.b)) <= 64
