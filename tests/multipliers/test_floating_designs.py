"""Significand multipliers against slow scalar oracles written from their definitions, over all operand pairs."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, ParameterError
from multipliers.testing import check_multiplier

CORRECTION = Fraction(1, 16) + Fraction(1, 64)


def split(x):
    """Characteristic and mantissa of an integer, from its digits."""
    digits = f"{x:b}"
    return len(digits) - 1, Fraction(int(digits, 2), 2 ** (len(digits) - 1)) - 1


def afm(x, y, bits):
    """Mantissas are truncated, made odd, added and corrected as in ApproxTrain's source; then bits are cut off."""
    f = bits - 1
    (kx, mx), (ky, my) = split(x), split(y)
    total = sum(Fraction(floor(m * 2**f) | 1, 2**f) for m in (mx, my))
    carry = total >= 1
    mantissa = total - carry + (CORRECTION / 2 if carry else CORRECTION)
    if carry and mantissa >= 1:
        mantissa = total - 1
    digits = f"{floor(2 ** (kx + ky + carry) * (1 + mantissa)):b}"
    return int(digits[:bits].ljust(len(digits), "0"), 2)


def cfpu(x, y, n):
    digits = f"{y:b}"
    first = digits[1:].ljust(n, "0")[:n]
    if first == "0" * n:
        return x * 2 ** (len(digits) - 1)
    if first == "1" * n:
        return x * 2 ** len(digits)
    return x * y


def signed(core, x, y, *parameters):
    if x == 0 or y == 0:
        return 0
    product = core(abs(x), abs(y), *parameters)
    return product if (x < 0) == (y < 0) else -product


def oracle(design):
    parsed = multipliers.naming.parse_label(design.name)
    if parsed.family == "afm":
        bits = max(design.a.bits, design.b.bits)
        return lambda x, y: signed(afm, x, y, bits)
    return lambda x, y: signed(cfpu, x, y, parsed.parameters["n"])


NARROW = [
    *("afm2u", "afm3x1u", "afm4u", "afm6u", "afm8u", "afm5s", "afm4sx6u", "afm7s"),
    *("cfpu1u_n1", "cfpu4u_n1", "cfpu6u_n2", "cfpu8u_n3", "cfpu8s_n2", "cfpu3sx5u_n4", "cfpu5u_n4"),
]


@pytest.mark.parametrize("label", NARROW)
def test_oracle_exhaustively(label):
    design = multipliers.get(label)
    expected_of = oracle(design)
    expected = [[expected_of(x, y) for y in design.b.values().tolist()] for x in design.a.values().tolist()]
    np.testing.assert_array_equal(design.table(), expected)


@pytest.mark.parametrize("label", ["afm16u", "afm24u", "afm30u", "afm30s", "cfpu16u_n4", "cfpu24u_n3", "cfpu32s_n8"])
@given(data=st.data())
def test_oracle_at_wide_operands(label, data):
    design = multipliers.get(label)
    x, y = (data.draw(st.integers(f.minimum, f.maximum)) for f in (design.a, design.b))
    assert int(design(x, y)) == oracle(design)(x, y)


@pytest.mark.parametrize(
    "label", ["afm2u", "afm8u", "afm8s", "afm6sx4u", "afm30u", "cfpu8u_n3", "cfpu8s_n1", "cfpu31u_n5", "cfpu32s_n2"]
)
def test_contract(label):
    check_multiplier(multipliers.get(label))


@pytest.mark.parametrize(
    ("label", "message"),
    [("afm1u", "2 to 30 bits"), ("afm31u", "2 to 30 bits"), ("cfpu8u_n0", "tuning_bits"), ("cfpu8u_n8", "tuning_bits")],
)
def test_parameter_out_of_range_is_named(label, message):
    with pytest.raises(ParameterError, match=message):
        multipliers.get(label)


def test_afm_has_no_more_bits_out_than_in():
    products = multipliers.get("afm8u").table()
    lowest = products & -products
    assert (products < 256 * np.maximum(lowest, 1)).all()


def test_afm_at_its_full_width_is_mbm_of_one_bit_more():
    afm8, mbm = multipliers.get("afm8u"), multipliers.get("mbm9u_t1")
    values = OperandFormat(8).values()[128:]
    wide = mbm(2 * values[:, None], 2 * values) / 4
    assert ((afm8(values[:, None], values) <= wide) & (wide < 1.01 * afm8(values[:, None], values))).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_cfpu_error_range_and_share(n):
    design = multipliers.get(f"cfpu10u_n{n}")
    values = np.arange(512, 1024)
    relative = design.error(values[:, None], values) / np.multiply.outer(values, values)
    assert relative.min() == pytest.approx(512 / (512 + 2 ** (9 - n) - 1) - 1)
    assert relative.max() == pytest.approx(1 / (1 - 2.0 ** -(n + 1)) - 1)
    assert (relative != 0).any(axis=0).mean() == 2.0 ** (1 - n) - 1 / 512  # the power of two is exact
    assert not np.array_equal(design.table(), design.table().T)
    np.testing.assert_array_equal(design.table(), np.multiply.outer(design.a.values(), design.table()[1]))
