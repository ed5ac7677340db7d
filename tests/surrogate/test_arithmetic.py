"""Exactness bounds against machine arithmetic itself, representable factors against the datatypes' definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import multipliers
from multipliers import CallableMultiplier, OperandFormat
from surrogate import ARITHMETICS, Factors, SurrogateError, discover, exact_lengths, longest_exact_dot_product
from surrogate.arithmetic import FactorReport, Width, narrowest
from surrogate.testing import surrogates

INTEGERS = {"int8": np.int8, "int32": np.int32, "int64": np.int64}
FLOAT_BITS = {"bfloat16": 8, "float16": 11, "tfloat32": 11, "float32": 24, "float64": 53}


def representable(value, name):
    """Whether a Python integer is a value of the datatype, by its definition."""
    if name in INTEGERS:
        return np.iinfo(INTEGERS[name]).min <= value <= np.iinfo(INTEGERS[name]).max
    if name == "float16":
        return abs(value) <= 65504 and int(np.float16(value)) == value
    digits = bin(abs(value))[2:].rstrip("0")
    return len(digits) <= FLOAT_BITS[name]


@given(st.sampled_from(sorted(ARITHMETICS)), st.integers(-(1 << 40), 1 << 40) | st.integers(-70000, 70000))
def test_representable_factors(name, value):
    assert ARITHMETICS[name].holds(np.array([value])) == representable(value, name)


@pytest.mark.parametrize("name", sorted(ARITHMETICS))
def test_every_small_factor(name):
    for value in range(-1100, 1100):
        assert ARITHMETICS[name].holds(np.array([0, value])) == representable(value, name)


@pytest.mark.parametrize(("name", "limit"), [("int8", 2**31), ("float32", 2**24), ("float64", 2**53), ("int64", 2**63)])
@given(data=st.data())
def test_the_longest_sum_stays_below_the_limit_and_one_more_may_not(name, limit, data):
    values = st.integers(-127, 127)
    k = data.draw(st.integers(1, 3))
    left = np.array(data.draw(st.lists(st.lists(values, min_size=k, max_size=k), min_size=2, max_size=4)))
    right = np.array(data.draw(st.lists(st.lists(values, min_size=k, max_size=k), min_size=2, max_size=4)))
    length = longest_exact_dot_product(Factors(left, right), ARITHMETICS[name])
    worst = max(
        1, max(sum(abs(g * h) for g, h in zip(x, y, strict=True)) for x in left.tolist() for y in right.tolist())
    )
    assert length * worst < limit
    assert (length + 1) * worst >= limit or worst * limit >= 2**52


def test_float32_sums_at_the_bound_are_exact_in_the_worst_order():
    factors = Factors(np.array([[127, 100]]), np.array([[127, -3]]))
    length = exact_lengths(factors)["float32"]
    assert length == (2**24 - 1) // (127 * 127 + 300)
    terms = np.tile(np.array([127 * 127, -300], dtype=np.float32), length)
    ordered = np.sort(terms)  # all negative ones first
    assert float(np.cumsum(ordered, dtype=np.float32)[-1]) == length * (127 * 127 - 300)


def test_sums_near_63_bits_are_bounded_from_above():
    for value in (2**31 + 1, 2**31 - 1, 3**19):
        factors = Factors(np.full((1, 2), value), np.full((1, 2), value))
        length = exact_lengths(factors)["int64"]
        assert length * 2 * value * value < 2**63
    wide = Factors(np.full((1 << 12, 1), 2**30 - 1), np.full((1 << 12, 1), 2**30 - 1))
    assert exact_lengths(wide)["int64"] * (2**30 - 1) ** 2 < 2**63


@given(surrogates(integer=False))
def test_models_of_floats_have_no_exact_length(s):
    if not s.is_integer:
        assert set(exact_lengths(s.factors()).values()) == {0}


def test_known_lengths():
    lengths = exact_lengths(discover(multipliers.get("exact8s")).factors())
    assert lengths["int8"] == (2**31 - 1) // 2**14
    assert lengths["bfloat16"] == lengths["tfloat32"] == lengths["float32"] == (2**24 - 1) // 2**14
    unsigned = exact_lengths(discover(multipliers.get("exact8u")).factors())
    assert unsigned["int8"] == 0
    assert unsigned["bfloat16"] == (2**24 - 1) // 255**2


def test_no_terms_and_no_products():
    empty = Factors(np.zeros((4, 0), dtype=np.int64), np.zeros((4, 0), dtype=np.int64))
    assert all(length > 1 << 20 for length in exact_lengths(empty).values())
    assert math.isfinite(empty.product_bound())


# ---------------------------------------------------------------- reports


@given(st.lists(st.integers(-(1 << 62), 1 << 62) | st.integers(-300, 300), min_size=1, max_size=5))
def test_widths_are_the_narrowest_integers_that_hold_the_values(values):
    width = Width.of(np.array(values))

    def held(bits):
        low, high = (-(1 << bits) // 2, (1 << bits) // 2 - 1) if width.signed else (0, (1 << bits) - 1)
        return all(low <= v <= high for v in values)

    assert width.signed == (min(values) < 0)
    assert held(width.bits)
    assert width.bits == 0 or not held(width.bits - 1)


def test_report_of_a_surrogate_with_additive_parts():
    operand = OperandFormat(8)
    m = CallableMultiplier(lambda a, b: a * b + 300 * (a > 7) - (b % 7) ** 2, operand, operand, name="shifted")
    s = discover(m)
    report = FactorReport.of(s.factors())
    assert (s.n_products, list(map(str, report.a)), list(map(str, report.b))) == (1, ["8u"], ["8u"])
    assert (str(report.additive_a), str(report.additive_b)) == ("9u", "7s")
    assert report.datatypes == ("bfloat16", "float16", "tfloat32", "float32", "int32", "float64", "int64")
    assert report.exact_lengths == exact_lengths(s.factors())
    assert report.to_dict() == {
        "a": ["8u"],
        "b": ["8u"],
        "additive_a": "9u",
        "additive_b": "7s",
        "datatypes": list(report.datatypes),
        "exact_lengths": report.exact_lengths,
    }


def test_reports_of_no_products_and_of_floats():
    empty = Factors(np.zeros((4, 0), dtype=np.int64), np.zeros((4, 0), dtype=np.int64))
    report = FactorReport.of(empty)
    assert (report.a, report.b, report.additive_a, report.datatypes) == ((), (), None, tuple(ARITHMETICS))
    with pytest.raises(SurrogateError, match="the factors are floats; take a surrogate of integers"):
        FactorReport.of(Factors(np.ones((4, 1)), np.ones((4, 1))))


@pytest.mark.parametrize(("value", "name"), [(127, "int8"), (255, "bfloat16"), (257, "float16"), (65537, "float32")])
def test_the_narrowest_datatype(value, name):
    factors = Factors(np.array([[value]]), np.array([[1]]))
    assert list(ARITHMETICS)[narrowest(factors)] == name
