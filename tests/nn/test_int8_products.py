"""Sums of wide integer factors in int8, digit by digit, against NumPy integers over the planted factors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
import surrogate
from multipliers import CallableMultiplier, OperandFormat
from surrogate import ExactnessError
from surrogate.basis import Table
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.geometry import POINTWISE, Convolution
from tests.nn.engine_oracle import check, expected_sums, operands, planted

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=60)
@given(
    formats=st.sampled_from([("5s", "6u"), ("8u", "8s"), ("4u", "7s"), ("6s", "3u")]),
    rank=st.integers(1, 4),
    bits=st.tuples(st.integers(0, 17), st.integers(0, 17)),
    geometry=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
    channels=st.integers(1, 5),
    role=st.sampled_from(["a", "b"]),
    arithmetic=st.sampled_from(["auto", "int8"]),
    seed=st.integers(0, 1000),
)
def test_sums_equal_those_of_the_factors(formats, rank, bits, geometry, groups, channels, role, arithmetic, seed):
    model, left, right = planted(*formats, rank, 1 << bits[0], 1 << bits[1], seed)
    if role == "b":
        left, right = right, left
    height, width, stride, dilation = geometry
    convolution = Convolution((height, width), (stride, 1), (1, dilation), groups)
    x, w = operands(left, right, (2, 5, 6, groups * channels), (groups * 2, height, width, channels), seed)
    check(SurrogateEngine(model, role, arithmetic), left, right, x, w, convolution)


@pytest.mark.parametrize("formats", [("16s", "16s"), ("16u", "16u"), ("12s", "16u")], ids=" x ".join)
@pytest.mark.parametrize("role", ["a", "b"])
def test_sixteen_bits(formats, role):
    model, left, right = planted(*formats, 2, 1 << 15, 1 << 16)
    if role == "b":
        left, right = right, left
    x, w = operands(left, right, (2, 5, 4, 6), (5, 3, 2, 6))
    engine = SurrogateEngine(model, role)
    assert engine.choose(6, 6, 1, CPU) == ("int8", 6)
    check(engine, left, right, x, w, Convolution((3, 2)))


SLOW = [pytest.param(label, marks=pytest.mark.slow) for label in ("drum16s_k6", "roba16s_c2", "tosam16u_h0t2")]


@pytest.mark.parametrize("label", ["exact16s", "exact16u", "exact16x8u", *SLOW])
def test_circuits_of_sixteen_bits_at_their_extremes(label):
    multiplier = multipliers.get(label)
    engine = SurrogateEngine(surrogate.discover(multiplier), arithmetic="int8")
    generator = np.random.default_rng(0)
    a, b = (
        generator.choice([f.minimum, f.minimum + 1, f.maximum - 1, f.maximum], size=(40, 33))
        for f in (multiplier.a, multiplier.b)
    )
    x = torch.from_numpy(a - multiplier.a.minimum).to(torch.int32)[:, None, None]
    w = torch.from_numpy(b - multiplier.b.minimum)[:, None, None]
    sums = engine.sums(x, engine.prepare(w, 1), POINTWISE).squeeze((1, 2)).numpy()
    np.testing.assert_array_equal(sums, multiplier(a[:, None], b[None]).sum(axis=2))


@pytest.mark.parametrize("extra", [0, 1, 700])
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_at_the_end_of_int32(extra, sign):
    """All products of one sign: the longest sum that int32 holds, and longer ones, in pieces."""
    form = OperandFormat(2, True)
    multiplier = CallableMultiplier(lambda a, b: a * b * 64 * 64 * sign, form, form, name="large")
    factor = Table(form, form.values() * 64)
    model = Surrogate([Term(sign, factor, factor)], MultiplierReference.of(multiplier), Provenance("planted"))
    engine = SurrogateEngine(surrogate.certify(model, multiplier), arithmetic="int8")
    longest = engine.choose(1 << 20, 1, 1, CPU)[1]
    lanes = longest + extra
    assert engine.choose(lanes, 1, 1, CPU) == ("int8", longest)
    x, w = torch.zeros((3, 1, 1, lanes), dtype=torch.int32), torch.zeros((2, 1, 1, lanes), dtype=torch.int64)
    w[1, :, :, -1] = 1  # -1 in place of -2
    sums = engine.sums(x, engine.prepare(w, 1), POINTWISE)
    largest = 128 * 128 * sign
    assert sums[0].flatten().tolist() == [largest * lanes, largest * lanes - largest // 2]


def test_longer_sums_than_float64_holds_are_refused():
    model, _, _ = planted("8s", "8s", 1, 1 << 20, 1 << 20)
    engine = SurrogateEngine(model)
    lanes = (1 << 53) // (1 << 40)
    assert engine.choose(lanes - 1, 1, 1, CPU)[1] <= lanes
    with pytest.raises(ExactnessError, match=r"2\*\*53"):
        engine.choose(lanes + 1, 1, 1, CPU)


@pytest.mark.parametrize("coefficients", [(0.0123, -1.7), (0.1, -0.1), (3, 0.5)])
def test_scaled_integers_are_rounded_once(coefficients):
    """Integer products are exact; what float64 rounds is their weighted sum."""
    model, left, right = planted("8s", "8u", 2, 300, 100, coefficients=coefficients)
    engine = SurrogateEngine(model)
    assert engine.choose(64, 9, 1, CPU)[0] == "int8"
    assert not engine.exact
    assert not engine.integer
    x, w = operands(left, right, (2, 6, 6, 64), (3, 3, 3, 64))
    sums = engine.sums(x, engine.prepare(w, 1), Convolution((3, 3))).numpy()
    parts = [expected_sums(left[:, [j]], right[:, [j]], x, w, Convolution((3, 3))) for j in range(2)]
    expected = sum(c * part for c, part in zip(coefficients, parts, strict=True))
    size = sum(abs(c) * np.abs(part) for c, part in zip(coefficients, parts, strict=True))
    assert (np.abs(sums - expected) <= 8 * np.finfo(np.float64).eps * size).all()


@pytest.mark.parametrize("groups", [1, 6])
def test_a_circuit_that_is_always_zero(groups):
    form = OperandFormat(3)
    multiplier = CallableMultiplier(lambda a, b: 0 * a * b, form, form, name="nothing")
    engine = SurrogateEngine(surrogate.discover(multiplier))
    x, w = torch.zeros((2, 3, 3, 4 * groups), dtype=torch.int32), torch.zeros((5 * groups, 2, 2, 4), dtype=torch.int64)
    sums = engine.sums(x, engine.prepare(w, groups), Convolution((2, 2), groups=groups))
    assert sums.shape == (2, 2, 2, 5 * groups)
    assert not sums.any()
