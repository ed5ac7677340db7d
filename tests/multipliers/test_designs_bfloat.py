"""bfloat16 as a multiplier of fixed-point operands, against the upper halves of float32 words."""

import numpy as np
import pytest

import multipliers
from multipliers.floating import FloatFormat
from multipliers.testing import check_multiplier, check_products


def truncated(x):
    """The integer that is left of ``x`` in bfloat16: a float32 word without its lower 16 bits."""
    word = np.float32(x).view(np.uint32) & np.uint32(0xFFFF0000)
    return int(word.view(np.float32))


@pytest.mark.parametrize("label", ["bfloat8u", "bfloat10s", "bfloat9ux4s"])
def test_products_of_all_operands(label):
    check_products(multipliers.get(label), lambda a, b: truncated(a) * truncated(b))


@pytest.mark.parametrize("label", ["bfloat12s", "bfloat16s", "bfloat16u", "bfloat24s"])
def test_products_of_wide_operands(label):
    check_products(multipliers.get(label), lambda a, b: truncated(a) * truncated(b), max_pairs=3000)
    check_multiplier(multipliers.get(label))


def test_conversion_is_that_of_the_floating_point_format():
    x = np.arange(-(1 << 15), 1 << 15)
    one = np.ones_like(x)
    assert np.array_equal(multipliers.get("bfloat16s")(x, one), FloatFormat.parse("bfloat16").truncate(x.astype(float)))


def test_relative_error_is_within_that_of_two_truncations():
    metrics = multipliers.error_metrics(multipliers.get("bfloat16u"), sample=1 << 16)
    assert (1 + 2**-7) ** -2 - 1 < metrics.min_relative_error < -0.014
    assert metrics.max_relative_error == 0
    assert metrics.relative_bias == pytest.approx(-0.0052, abs=1e-4)
