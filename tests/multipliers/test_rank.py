import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Matrix

from multipliers import TableError
from multipliers.rank import PRIMES, error_and_product_ranks, integer_rank


@st.composite
def products_of_known_width(draw):
    n, m, k = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(0, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1, 3, 1000, 2**20]))
    return rng.integers(-size, size + 1, (n, k)) @ rng.integers(-size, size + 1, (k, m))


def bits(x):
    """Columns that designs are made of: bits, truncations and signs of operand values."""
    return np.stack([x & 1, (x >> 1) & 1, x & -4, np.sign(x), np.abs(x), np.ones_like(x)], axis=1)


@st.composite
def circuits(draw):
    """Error matrices made of few separable terms, with operand values that are terms themselves, or are not."""
    n, m = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a, b = (rng.integers(-6, 7, size) for size in (n, m))
    mixing = rng.integers(-2, 3, (6, 6)) * (rng.random((6, 6)) < draw(st.floats(0, 0.5)))
    errors = bits(a) @ mixing @ bits(b).T
    return errors - draw(st.integers(0, 1)) * np.multiply.outer(a, b), a, b


@given(products_of_known_width())
def test_rank_against_sympy(matrix):
    assert integer_rank(matrix) == Matrix(matrix.tolist()).rank()


@given(circuits())
def test_rank_of_errors_and_products_against_sympy(circuit):
    errors, a, b = circuit
    products = errors + np.multiply.outer(a, b)
    ranks = Matrix(errors.tolist()).rank(), Matrix(products.tolist()).rank()
    assert error_and_product_ranks(errors, a, b) == ranks
    assert (integer_rank(errors), integer_rank(products)) == ranks


@given(products_of_known_width(), st.integers(0, 2**32 - 1))
def test_multiples_of_rows_and_columns_add_no_rank(matrix, seed):
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(-3, 4, (2 * size, size)) for size in matrix.shape)
    rows[rng.random(rows.shape) < 0.7] = 0
    wide = np.vstack([matrix, rows @ matrix])
    wide = np.hstack([wide, wide @ columns.T])
    assert integer_rank(wide) == integer_rank(matrix)


def test_zero_and_empty():
    assert integer_rank(np.zeros((3, 5), int)) == 0
    assert integer_rank(np.zeros((0, 4), int)) == 0
    assert error_and_product_ranks(np.zeros((3, 2), int), [0, 0, 0], [1, 2]) == (0, 0)
    assert error_and_product_ranks(np.zeros((3, 2), int), [0, 1, 0], [1, 2]) == (0, 1)


def test_multiples_of_one_prime_are_seen_by_the_other():
    p, q = PRIMES
    assert integer_rank([[p + 2, 1], [2, 1]]) == 2  # the determinant is p
    assert integer_rank([[q + 2, 1], [2, 1]]) == 2
    assert error_and_product_ranks([[p + 2, 1], [2, 1]], [1, 3], [1, 5])[0] == 2


def test_the_documented_blind_spot():
    p, q = PRIMES
    assert integer_rank([[p * q + 2, 1], [2, 1]]) == 1
    assert integer_rank([[p * q]]) == 1  # common factors of a row are taken out before


def test_int64_extremes():
    assert integer_rank([[-(2**63), 2**63 - 1], [2**63 - 1, -(2**63)]]) == 2
    assert integer_rank(np.array([[-(2**63), -(2**63)], [-(2**63), -(2**63)]])) == 1
    assert integer_rank([[-(2**63), -3], [-(2**63), 3]]) == 2
    assert integer_rank([[-3, -(2**63)], [3, -(2**63)], [-3, 2**63 - 1]]) == 2


def test_refuses_what_is_not_an_integer_matrix():
    with pytest.raises(TableError):
        integer_rank([[0.5]])
    with pytest.raises(TableError):
        integer_rank([1, 2])
    with pytest.raises(TableError):
        error_and_product_ranks([[0.5]], [1], [1])


@pytest.mark.parametrize("rank", [1, 100, 255, 256])
def test_rank_of_256_by_256(rank):
    rng = np.random.default_rng(0)
    matrix = rng.integers(-(2**20), 2**20, (256, rank)) @ rng.integers(-(2**20), 2**20, (rank, 256))
    assert integer_rank(matrix) == rank
    a, b = np.arange(256), np.arange(-128, 128)
    assert error_and_product_ranks(matrix, a, b) == (rank, min(256, rank + 1))
    assert error_and_product_ranks(matrix - np.multiply.outer(a, b), a, b) == (min(256, rank + 1), rank)


def test_published_circuits(shared):
    for entry in json.loads((shared / "evoapprox" / "index.json").read_text()):
        F = np.load(shared / "evoapprox" / f"{entry['name']}.npz")["table"].astype(np.int64)
        a, b = (np.arange(n) - (n // 2 if entry["signed"] else 0) for n in F.shape)
        E = F - np.multiply.outer(a, b)
        assert integer_rank(F) == entry["rank_table"], entry["name"]
        assert integer_rank(E) == entry["rank_error"], entry["name"]
        assert error_and_product_ranks(E, a, b) == (entry["rank_error"], entry["rank_table"]), entry["name"]
