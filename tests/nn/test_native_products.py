"""Products of factors in the compiled library: byte factors, sums and whole layers, against NumPy integers."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
import surrogate
from surrogate.nn import ApproxConfig, approximate_, calibrate
from surrogate.nn.compiled.layer import CompiledLayer
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.geometry import POINTWISE, Convolution
from surrogate.nn.native import NativeProducts, NativeTable, library
from surrogate.nn.native.products import MOST_TERMS, ByteFactors
from surrogate.nn.native.quantised import SLACK
from surrogate.nn.native.sums import run
from tests.nn.conftest import asymmetric_table, exact_surrogate
from tests.nn.engine_oracle import expected_sums, planted
from tests.nn.test_compiled_layers import CONFIGURATIONS, LAYERS, results

needs_dot_products = pytest.mark.skipif(
    not library.has_dot_products(), reason="this processor has no int8 dot products beside the table kernel"
)


@pytest.fixture(autouse=True)
def nothing_forced(monkeypatch):
    monkeypatch.delenv(library.VARIABLE, raising=False)


@settings(deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 256), st.integers(1, 256)),
    terms=st.integers(1, 4),
    bits=st.tuples(st.integers(0, 10), st.integers(0, 10)),
    scales=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 1000),
)
def test_byte_factors_are_bytes_of_the_same_products(sizes, terms, bits, scales, seed):
    generator = np.random.default_rng(seed)
    left, right = (
        scale * generator.integers(-(1 << b) // 3, (1 << b) + 1, size=(size, terms))
        for size, b, scale in zip(sizes, bits, scales, strict=True)
    )
    found = ByteFactors.of(left, right)
    if found is None:
        assert max(np.ptp(left), np.ptp(right)) > 255
        return
    assert found.terms <= MOST_TERMS
    assert 0 <= found.left.min() <= found.left.max() <= 255
    assert -128 <= found.right.min() <= found.right.max() <= 127
    np.testing.assert_array_equal(
        found.left @ found.right.T + found.of_x[:, None] + found.of_w,
        left @ right.T,
    )


def test_common_divisors_go_where_they_cost_least():
    """Eight times the left factor spans two bytes; of the right one it would take eight."""
    left, right = np.arange(-17, 32)[:, None], 8 * np.arange(253)[:, None]
    assert ByteFactors.of(left, right).terms == ByteFactors.of(8 * left, right // 8).terms == 2
    assert ByteFactors.of(32 * left, right // 8).terms == 7
    assert ByteFactors.of(64 * left, right // 8) is None


def sums_of(native, x, w, convolution):
    """Integer sums; indices as `Engine.sums` takes them."""
    n, height, width, channels = x.shape
    lanes = w.permute(0, 3, 1, 2).to(torch.uint8)
    codes = lanes.reshape(convolution.groups, len(w) // convolution.groups, -1).contiguous()
    packed = torch.zeros(x.numel() + SLACK, dtype=torch.uint8)
    packed[: x.numel()] = x.permute(0, 3, 1, 2).flatten()
    problem = native.problem(packed, codes, convolution, (n, channels, height, width), int(x.min()), int(x.max()))
    out = torch.empty(n, len(w), *convolution.output_size(height, width), dtype=torch.int32)
    return run(problem, out).permute(0, 2, 3, 1)


def products_of(left, right, of_x, of_w):
    """The factors' products for compiled code, and their table."""
    table = left @ right.T + (0 if of_x is None else of_x[:, None]) + (0 if of_w is None else of_w)
    parts = (None if part is None else torch.from_numpy(part) for part in (left, right, of_x, of_w))
    return NativeProducts.of(*parts, NativeTable(torch.from_numpy(table), "avx512-vbmi")), table


@needs_dot_products
@settings(deadline=None, max_examples=80)
@given(
    bits=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    terms=st.integers(1, 5),
    largest=st.tuples(st.sampled_from([1, 100, 128, 200]), st.sampled_from([1, 127, 128, 300])),
    additive=st.tuples(st.booleans(), st.booleans()),
    geometry=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
    channels=st.integers(1, 50),
    out_channels=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_sums_of_any_shape(bits, terms, largest, additive, geometry, groups, channels, out_channels, seed):
    generator = np.random.default_rng(seed)
    left, right = (
        generator.integers(-most, most + 1, size=(1 << b, terms)) for b, most in zip(bits, largest, strict=True)
    )
    of_x, of_w = (
        generator.integers(-5000, 5000, size=1 << b) if some else None for b, some in zip(bits, additive, strict=True)
    )
    native, table = products_of(left, right, of_x, of_w)
    if native is None:
        assert ByteFactors.of(left, right) is None
        return
    kernel_h, kernel_w, stride, dilation = geometry
    convolution = Convolution((kernel_h, kernel_w), (stride, 1), (1, dilation), groups)
    low = generator.integers(len(left))
    x = torch.from_numpy(generator.integers(low, len(left), (2, 6, 5, groups * channels)))
    w = torch.from_numpy(generator.integers(len(right), size=(groups * out_channels, kernel_h, kernel_w, channels)))
    every = np.eye(len(right), dtype=np.int64)  # the table itself as factors: nothing of theirs is shared
    np.testing.assert_array_equal(sums_of(native, x, w, convolution), expected_sums(table, every, x, w, convolution))


@needs_dot_products
@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize(("lanes", "positions"), [(1, 300), (127, 63), (128, 64), (129, 65), (65000, 5)])
@pytest.mark.parametrize("out_channels", [5, 8])
def test_sums_at_the_end_of_int32(weight, lanes, positions, out_channels):
    """Nearly all products are of one sign, and as large as bytes allow."""
    left, right = np.array([[255, 255], [0, 3]]), np.array([[weight, 0], [3, -128]])
    native, table = products_of(left, right, None, None)
    assert native.terms == 2
    x, w = np.zeros((positions, lanes), dtype=np.int64), np.zeros((out_channels, lanes), dtype=np.int64)
    x[1:, 0] = w[-1, -1] = 1
    expected = table[x[:, None], w].sum(axis=2)
    found = sums_of(native, *(torch.from_numpy(each)[:, None, None] for each in (x, w)), POINTWISE)
    np.testing.assert_array_equal(found.squeeze((1, 2)), expected)


@needs_dot_products
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_layers(monkeypatch, layer, configuration):
    """To the digit what the step-by-step way gives, for activations and weights with and without zero points."""
    (build, shape), (a, b, options) = LAYERS[layer], CONFIGURATIONS[configuration]
    torch.manual_seed(0)
    layer = build()
    approximate_(layer, ApproxConfig(surrogate=exact_surrogate(asymmetric_table(a, b)), **options))
    calibrate(layer, [0.7 * torch.randn(shape)])
    monkeypatch.setattr("surrogate.nn.layers.layer.fastest", lambda ways, _: ways["dot"]())
    x = torch.randn(shape)
    found, expected = (results(layer, x, monkeypatch, kernel) for kernel in ("", "torch"))
    assert torch.equal(found[0], expected[0])
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@needs_dot_products
def test_the_products_of_a_layer_are_multiplied(monkeypatch):
    """Else the tests above would compare a thing with itself."""
    layer = torch.nn.Linear(5, 3)
    approximate_(layer, ApproxConfig(surrogate=surrogate.discover(multipliers.get("trunc8s_t2"))))
    calibrate(layer, [torch.randn(4, 5)])
    used = []
    output = CompiledLayer.output
    monkeypatch.setattr(CompiledLayer, "output", lambda self, *args: used.append(self.native) or output(self, *args))
    monkeypatch.setattr("surrogate.nn.layers.layer.fastest", lambda ways, _: ways["dot"]())
    layer(torch.randn(4, 5))
    assert used == [layer.running.native_products()]


@needs_dot_products
@pytest.mark.parametrize("threads", [1, 2])
def test_threads(monkeypatch, threads):
    before = torch.get_num_threads()
    layer = torch.nn.Conv2d(8, 130, 3, padding=1)
    approximate_(layer, ApproxConfig(surrogate=exact_surrogate(asymmetric_table("8u", "8u"))))
    x = torch.randn(6, 8, 20, 20)
    calibrate(layer, [x])
    monkeypatch.setattr("surrogate.nn.layers.layer.fastest", lambda ways, _: ways["dot"]())
    expected = results(layer, x, monkeypatch, "torch")[0]
    try:
        torch.set_num_threads(threads)
        assert torch.equal(results(layer, x, monkeypatch, "")[0], expected)
    finally:
        torch.set_num_threads(before)


@needs_dot_products
def test_where_factors_are_not_multiplied(monkeypatch):
    many, *_ = planted("8s", "8s", MOST_TERMS + 1, 5, 5)
    wide, *_ = planted("8s", "8s", 2, 255 * 5, 3)
    wider, *_ = planted("9s", "8s", 1, 5, 5)
    assert [SurrogateEngine(model).native_products() for model in (many, wide, wider)] == [None] * 3
    few = SurrogateEngine(planted("8s", "8s", 2, 5, 5)[0])
    assert few.native_products().terms == 2
    for kernel in ("avx2", "portable", "torch"):
        monkeypatch.setenv(library.VARIABLE, kernel)
        assert few.native_products() is None


@needs_dot_products
def test_copies_make_products_of_their_own():
    engine = SurrogateEngine(planted("8s", "8s", 2, 5, 5)[0])
    native = engine.native_products()
    assert native is engine.native_products()
    other = copy.deepcopy(engine).native_products()
    assert other is not native
    assert torch.equal(other.right, native.right)


@needs_dot_products
def test_weights_are_transformed_once_and_kept_as_long_as_their_indices():
    native = SurrogateEngine(planted("8s", "8s", 3, 5, 5)[0]).native_products()
    weights, x = torch.zeros((1, 2, 3), dtype=torch.uint8), torch.zeros(3 + SLACK, dtype=torch.uint8)
    problems = [native.problem(x, weights, POINTWISE, (1, 3, 1, 1)) for _ in range(2)]
    assert problems[0].w == problems[1].w
    assert problems[0].depth == 12  # nine bytes, in words of four
    kept = weakref.ref(native._weights(weights)[0])
    assert kept() is not None
    del weights
    gc.collect()
    assert kept() is None
