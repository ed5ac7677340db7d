"""Fixed-width truncated multipliers against scalar oracles: dots one by one, constants in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import ParameterError
from multipliers.testing import check_multiplier

# ---------------------------------------------------------------- oracles


def columns_of(x, y, n):
    """Number of dots that are 1 in each column."""
    counts = [0] * (2 * n)
    for i in range(n):
        for j in range(n):
            counts[i + j] += (x // 2**i % 2) * (y // 2**j % 2)
    return counts


def cct(x, y, n, k):
    first = n - k
    mean = sum(Fraction((c + 1) * 2**c, 4) for c in range(first)) + Fraction(2**n - 2**first, 2)
    kept = sum(count * 2**c for c, count in enumerate(columns_of(x, y, n)) if c >= first)
    return (kept + round(mean / 2**first) * 2**first) // 2**n * 2**n


def vct(x, y, n, k):
    counts, first = columns_of(x, y, n), n - k
    counts[first] += counts[first - 1]
    for c in range(first, n - 1):
        counts[c] += 1
    return sum(count * 2**c for c, count in enumerate(counts) if c >= first) // 2**n * 2**n


ORACLES = {
    "cct": cct,
    "vct": vct,
}


def expected(design):
    n, k, core = design.a.bits, design.extra_columns, ORACLES[design.family]
    return [[core(x, y, n, k) for y in range(2**n)] for x in range(2**n)]


@pytest.mark.parametrize("family", ORACLES)
@pytest.mark.parametrize("bits", [2, 3, 5])
def test_oracle_exhaustively_at_small_widths(family, bits):
    for k in range(1, bits):
        design = multipliers.get(f"{family}{bits}u_k{k}")
        np.testing.assert_array_equal(design.table(), expected(design), err_msg=design.name)


@pytest.mark.parametrize("family", ORACLES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_oracle_at_random_operands_of_wide_formats(family, data):
    n = data.draw(st.sampled_from([8, 12, 16, 31]))
    k = data.draw(st.integers(family == "vct", n - 1))
    operand = st.one_of(st.integers(0, 2**n - 1), st.sampled_from([0, 1, 2**n - 1]))
    x, y = data.draw(operand), data.draw(operand)
    assert int(multipliers.get(f"{family}{n}u_k{k}")(x, y)) == ORACLES[family](x, y, n, k)


@pytest.mark.parametrize("label", ["cct1u_k0", "cct8u_k0", "vct2u_k1", "vct8u_k3", "vct16u_k4"])
def test_contract(label):
    check_multiplier(multipliers.get(label))


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("cct8s_k2", "unsigned"),
        ("vct8x6u_k2", "one width"),
        ("cct8u_k8", "extra_columns"),
        ("vct8u_k0", "extra_columns"),
        ("cct32u_k1", "do not fit int64"),
    ],
)
def test_parameter_out_of_range_is_named(label, named):
    with pytest.raises(ParameterError, match=named):
        multipliers.get(label)


def test_constant_correction_of_zero():
    assert [int(multipliers.get(f"cct8u_k{k}")(0, 0)) for k in range(4)] == [512, 256, 0, 0]
