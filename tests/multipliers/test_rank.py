import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Matrix

from multipliers import TableError
from multipliers.rank import PRIMES, RankProfile, integer_rank, rank_profile


@st.composite
def products_of_known_width(draw):
    n, m, k = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(0, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1, 3, 1000, 2**20]))
    return rng.integers(-size, size + 1, (n, k)) @ rng.integers(-size, size + 1, (k, m))


@given(products_of_known_width())
def test_rank_against_sympy(matrix):
    assert integer_rank(matrix) == Matrix(matrix.tolist()).rank()


@given(products_of_known_width())
def test_pivots_are_independent_and_span(matrix):
    profile = rank_profile(matrix)
    assert len(profile.rows) == len(profile.columns) == profile.rank
    assert list(profile.rows) == sorted(set(profile.rows))
    assert list(profile.columns) == sorted(set(profile.columns))
    if profile.rank:
        inner = Matrix(matrix[np.ix_(profile.rows, profile.columns)].tolist())
        assert inner.det() != 0


def test_zero_and_empty():
    assert rank_profile(np.zeros((3, 5), int)) == RankProfile((), ())
    assert integer_rank(np.zeros((0, 4), int)) == 0


def test_multiples_of_one_prime_are_seen_by_the_other():
    assert integer_rank(np.diag([PRIMES[0], 1])) == 2
    assert integer_rank(np.diag([PRIMES[1], 1])) == 2


def test_the_documented_blind_spot():
    assert integer_rank([[PRIMES[0] * PRIMES[1]]]) == 0


def test_int64_extremes():
    assert integer_rank([[-(2**63), 2**63 - 1], [2**63 - 1, -(2**63)]]) == 2
    assert integer_rank(np.array([[-(2**63), -(2**63)], [-(2**63), -(2**63)]])) == 1


def test_refuses_what_is_not_an_integer_matrix():
    with pytest.raises(TableError):
        integer_rank([[0.5]])
    with pytest.raises(TableError):
        integer_rank([1, 2])


def test_full_rank_256():
    matrix = np.random.default_rng(0).integers(-(2**40), 2**40, (256, 256))
    assert integer_rank(matrix) == 256


def test_published_circuits(shared):
    for entry in json.loads((shared / "evoapprox" / "index.json").read_text()):
        F = np.load(shared / "evoapprox" / f"{entry['name']}.npz")["table"].astype(np.int64)
        a, b = (np.arange(n) - (n // 2 if entry["signed"] else 0) for n in F.shape)
        assert integer_rank(F) == entry["rank_table"], entry["name"]
        assert integer_rank(F - np.multiply.outer(a, b)) == entry["rank_error"], entry["name"]
