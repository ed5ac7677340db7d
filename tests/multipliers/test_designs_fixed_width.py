"""Fixed-width truncated multipliers against scalar oracles: dots one by one, constants in exact fractions."""

from fractions import Fraction

import pytest

import multipliers
from multipliers import ParameterError
from multipliers.testing import check_multiplier, check_products

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


def oracle_of(design):
    return lambda x, y: ORACLES[design.family](x, y, design.a.bits, design.extra_columns)


@pytest.mark.parametrize("family", ORACLES)
@pytest.mark.parametrize("bits", [2, 3, 5])
def test_oracle_exhaustively_at_small_widths(family, bits):
    for k in range(1, bits):
        design = multipliers.get(f"{family}{bits}u_k{k}")
        check_products(design, oracle_of(design))


EIGHT = ["cct8u_k2", "vct8u_k3"]


def test_oracle_exhaustively_at_8_bits(eight_bit_label):
    design = multipliers.get(eight_bit_label)
    check_products(design, oracle_of(design))


@pytest.mark.parametrize("family", ORACLES)
@pytest.mark.parametrize("bits", [12, 16, 31])
def test_oracle_at_operands_of_wide_formats(family, bits):
    for k in (1, 2, bits // 2, bits - 1):
        design = multipliers.get(f"{family}{bits}u_k{k}")
        check_products(design, oracle_of(design), max_pairs=40)


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
