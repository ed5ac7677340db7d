"""Which datatype runs, and that each one that is called exact is."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
import surrogate
from surrogate import ExactnessError
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.geometry import POINTWISE, Convolution
from surrogate.nn.products import bfloat16 as bfloat16_products
from surrogate.nn.products import datatypes
from surrogate.nn.products import int8 as int8_products
from surrogate.nn.products.bfloat16 import bfloat16_product, bfloat16_products_are_exact
from surrogate.nn.products.datatypes import COSTS, Datatype, Sums, fastest
from tests.nn.engine_oracle import check, operands, planted

CPU = torch.device("cpu")


def engine_of(label, arithmetic="auto"):
    return SurrogateEngine(surrogate.discover(multipliers.get(label)), arithmetic=arithmetic)


def test_the_fastest_exact_datatype_is_chosen():
    narrow, few_bits, wide = engine_of("exact8u"), engine_of("drum8s_k4"), engine_of("exact16s")
    assert narrow.choose(64, 1, 1, CPU)[0] == "int8"
    assert narrow.choose(1, 9, 64, CPU)[0] == "float32"  # depthwise
    assert few_bits.choose(64, 1, 1, CPU)[0] == "bfloat16"  # two digits by two in int8
    assert few_bits.choose(64, 9, 1, CPU)[0] == "int8"
    assert wide.choose(64, 9, 1, CPU)[0] == "int8"
    assert wide.choose(1, 9, 64, CPU)[0] == "digits"


@pytest.mark.parametrize("arithmetic", ["bfloat16", "float16", "float32"])
def test_factors_of_too_many_significant_bits_are_refused(arithmetic):
    bits = {"bfloat16": 8, "float16": 11, "float32": 24}[arithmetic]
    largest = (1 << bits) + 1
    model, _, _ = planted("4s", "4s", 1, largest, 1)
    with pytest.raises(ExactnessError, match=f"{arithmetic} cannot hold"):
        SurrogateEngine(model, arithmetic=arithmetic)


def test_float16_is_for_gpus():
    engine = engine_of("exact8u", "float16")
    with pytest.raises(ExactnessError, match="float16 products are not exact on cpu"):
        engine.choose(8, 1, 1, CPU)


@settings(deadline=None, max_examples=40)
@given(
    rank=st.integers(1, 3),
    shifts=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    geometry=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
    channels=st.integers(1, 5),
    role=st.sampled_from(["a", "b"]),
    seed=st.integers(0, 1000),
)
def test_bfloat16_sums_of_factors_of_eight_significant_bits(rank, shifts, geometry, groups, channels, role, seed):
    model, left, right = planted("5s", "6u", rank, 255, 255, seed, scale_a=1 << shifts[0], scale_b=1 << shifts[1])
    if role == "b":
        left, right = right, left
    height, width, stride, dilation = geometry
    convolution = Convolution((height, width), (stride, 1), (1, dilation), groups)
    x, w = operands(left, right, (2, 5, 6, groups * channels), (groups * 2, height, width, channels), seed)
    engine = SurrogateEngine(model, role, "bfloat16")
    if engine._datatypes["bfloat16"].lanes_summed < height * width:
        with pytest.raises(ExactnessError, match="rounded"):
            engine.prepare(w, groups)
    else:
        check(engine, left, right, x, w, convolution)


@pytest.mark.parametrize("label", ["exact8u", "drum8s_k4", "loba8u_v1k4"])
@pytest.mark.parametrize("lanes", [256, 1031])
def test_long_bfloat16_sums_at_the_extremes(label, lanes):
    multiplier = multipliers.get(label)
    engine = engine_of(label, "bfloat16")
    a, b = multiplier.a, multiplier.b
    x, w = torch.full((300, 1, 1, lanes), a.size - 1, dtype=torch.int32), torch.full((200, 1, 1, lanes), b.size - 1)
    x[:, :, :, 0] -= 1
    w[:, :, :, 0] -= 2
    largest, other = (int(multiplier(a.maximum - i, b.maximum - j)) for i, j in ((0, 0), (1, 2)))
    sums = engine.sums(x, engine.prepare(w, 1), POINTWISE)
    assert sums.unique().tolist() == [largest * (lanes - 1) + other]


@settings(deadline=None, max_examples=25)
@given(
    rank=st.integers(1, 2),
    bits=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    multiple=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
def test_depthwise_sums_of_wide_factors_in_digits(rank, bits, kernel, multiple, seed):
    model, left, right = planted("6s", "5u", rank, 1 << bits[0], 1 << bits[1], seed)
    groups = 6
    convolution = Convolution(kernel, (1, 2), (2, 1), groups)
    x, w = operands(left, right, (2, 6, 7, groups), (groups * multiple, *kernel, 1), seed)
    check(SurrogateEngine(model), left, right, x, w, convolution)


def test_sums_in_digits_are_cut_where_float32_ends():
    model, left, right = planted("4s", "4s", 2, 1 << 15, 1 << 15)
    engine = SurrogateEngine(model)
    arithmetic, channels = engine.choose(60, 9, 5, CPU)
    assert (arithmetic, channels < 60) == ("digits", True)
    x, w = operands(left, right, (1, 3, 4, 300), (5, 3, 3, 60))
    check(engine, left, right, x, w, Convolution((3, 3), groups=5))


def test_without_int8_products_digits_go_to_float32(monkeypatch):
    monkeypatch.setattr(datatypes, "int8_products_are_exact", lambda device: False)
    model, left, right = planted("8s", "8s", 1, 30000, 200)
    engine = SurrogateEngine(model)
    x, w = operands(left, right, (2, 5, 5, 9), (3, 2, 2, 9))
    assert engine.choose(9, 4, 1, CPU)[0] in ("digits", "float64")
    check(engine, left, right, x, w, Convolution((2, 2)))
    with pytest.raises(ExactnessError, match="int8 products are not exact on cpu"):
        SurrogateEngine(model, arithmetic="int8").prepare(w, 1)


def test_the_bfloat16_probe_finds_rounding(monkeypatch):
    assert bfloat16_products_are_exact()

    def rounded(x, w):
        return bfloat16_product(x, w).bfloat16().float()  # what a product of bfloat16 tensors does

    monkeypatch.setattr(bfloat16_products, "bfloat16_product", rounded)
    assert not bfloat16_products_are_exact.__wrapped__()
    monkeypatch.setattr(datatypes, "bfloat16_products_are_exact", lambda: False)
    assert engine_of("drum8s_k4").choose(64, 1, 1, CPU)[0] == "int8"
    with pytest.raises(ExactnessError, match="bfloat16 products are not exact on cpu"):
        engine_of("drum8s_k4", "bfloat16").choose(64, 1, 1, CPU)


def test_the_precision_of_products_is_restored_after_an_error():
    owner = torch.backends.mkldnn.matmul
    before = owner.fp32_precision
    with pytest.raises(RuntimeError):
        bfloat16_product(torch.ones((1, 2, 3)), torch.ones((1, 2, 3)))
    assert owner.fp32_precision == before


SIZES = st.integers(1, 1 << 30)


@given(
    st.lists(
        st.builds(
            Datatype, st.sampled_from(["float32", "float64"]), st.integers(1, 9), st.integers(1, 5), SIZES, SIZES
        ),
        min_size=1,
    ),
    st.integers(1, 5000),
    st.integers(1, 9),
    st.integers(1, 8),
    st.booleans(),
)
def test_a_choice_is_exact_and_none_that_fits_is_cheaper(found, channels, pixels, groups, forced):
    sums = Sums(channels, pixels, groups, CPU)
    fitting = [each for each in found if sums.fit(each, forced)]
    if not fitting:
        with pytest.raises(ExactnessError):
            fastest(found, sums, forced)
        return
    name, piece = fastest(found, sums, forced)
    assert 1 <= piece <= channels
    chosen = [each for each in fitting if each.name == name and min(each.lanes_summed // pixels, channels) == piece]
    assert min(map(sums.cost, chosen)) == min(map(sums.cost, fitting))
    assert any(piece * pixels <= each.lanes_summed and channels * pixels <= each.lanes_in_all for each in chosen)


def test_every_datatype_has_a_cost():
    model, _, _ = planted("3s", "3s", 1, 3, 3)
    for name, groups in itertools.product(SurrogateEngine(model)._datatypes, (1, 9)):
        device = torch.device("cuda" if name == "float16" else "cpu")
        assert Sums(4, 9, groups, device).cost(Datatype(name, 1)) > 0
    assert set(COSTS) | {"float16"} == set(SurrogateEngine(model)._datatypes)
    assert np.isfinite(list(COSTS.values())).all()
    assert int8_products.int8_products_are_exact("cpu") == datatypes.available("int8", CPU)
