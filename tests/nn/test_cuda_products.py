"""Products on the matrix units of GPUs: what needs none of them. Stand-ins on the processor keep the GPU's rules."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from functorch.compile import make_boxed_func
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.backends.common import aot_autograd

import multipliers
import surrogate
from surrogate.nn import ApproxConfig, approximate_, calibrate
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.products import cuda as cuda_products
from surrogate.nn.products import datatypes
from surrogate.nn.products import floats as float_products
from surrogate.nn.products import int8 as int8_products
from surrogate.nn.products.cuda import HALVES, half_products_are_exact, int8_product
from surrogate.nn.products.precision import full_precision

CPU = torch.device("cpu")
MATMUL = torch.backends.cuda.matmul
REDUCTIONS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")


@pytest.fixture(scope="module")
def int8_rules():
    """Let the processor refuse what CUDA does: PyTorch's rules, and layouts that cuBLAS has no fast kernels for."""
    on_processor = torch._int_mm

    def int_mm(x, w):
        assert x.dtype == w.dtype == torch.int8
        assert x.shape[0] > 16
        assert x.shape[1] % 8 == w.shape[1] % 8 == 0
        assert min(*x.shape, *w.shape) > 0
        assert x.is_contiguous()
        assert w.T.is_contiguous()
        return on_processor(x, w.contiguous())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "_int_mm", int_mm)
        yield


def exact_sums(x, w):
    return torch.matmul(x.float(), w.float())


@pytest.fixture
def matrix_unit(monkeypatch):
    """Let the processor multiply 16-bit floats into float32, by the function that a test sets."""
    unit = SimpleNamespace(multiply=exact_sums, calls=0)
    plain = {name: getattr(torch, name) for name in ("mm", "bmm")}

    def stand_in(name, dimensions):
        def product(x, w, out_dtype=None):
            if x.dtype not in HALVES.values():
                return plain[name](x, w)
            assert out_dtype == torch.float32  # else the result would be rounded
            assert x.ndim == w.ndim == dimensions
            assert not any(getattr(MATMUL, each) for each in REDUCTIONS)
            unit.calls += 1
            return unit.multiply(x, w)

        return product

    for name, dimensions in (("mm", 2), ("bmm", 3)):
        monkeypatch.setattr(torch, name, stand_in(name, dimensions))
    monkeypatch.setattr(float_products, "bfloat16_product", cuda_products.half_product)
    original = full_precision
    for module in (cuda_products, float_products):
        monkeypatch.setattr(module, "full_precision", lambda device: original(torch.device("cuda")))
    return unit


@given(st.tuples(st.integers(0, 70), st.integers(0, 40), st.integers(1, 40)), st.integers(0, 1000))
def test_int8_matrices_of_any_shape(int8_rules, shape, seed):
    rows, length, columns = shape
    generator = np.random.default_rng(seed)
    x = generator.integers(-128, 128, (rows, length))
    w = generator.integers(-128, 128, (length, columns))
    left, right = torch.from_numpy(x).to(torch.int8), torch.from_numpy(w).to(torch.int8)
    for each in (right, right.T.contiguous().T):
        product = int8_product(left, each)
        assert product.dtype == torch.int32
        np.testing.assert_array_equal(product.numpy(), x @ w)


@pytest.mark.parametrize("name", HALVES)
def test_probes_of_16_bit_floats(matrix_unit, name):
    """Exact units pass; units that lose the last bit of a long sum, or the settings that allow it, do not."""
    probe = half_products_are_exact.__wrapped__
    assert probe(name, CPU)
    assert matrix_unit.calls == 6

    def rounds_to_23_bits(x, w):
        sums = exact_sums(x, w)
        return torch.where(sums.abs() >= 1 << 23, 2 * torch.round(sums / 2), sums)

    def rounds_halves_of_a_sum(x, w):
        middle = x.shape[-1] // 2
        parts = exact_sums(x[..., :middle], w[..., :middle, :]), exact_sums(x[..., middle:], w[..., middle:, :])
        return sum(part.to(torch.bfloat16).float() for part in parts)

    for wrong in (rounds_to_23_bits, rounds_halves_of_a_sum):
        matrix_unit.multiply = wrong
        assert not probe(name, CPU)


def test_where_there_are_none_the_probe_says_so():
    assert not half_products_are_exact("float16", CPU)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("groups", [1, 2])
def test_sums_in_16_bit_floats(matrix_unit, name, channels, groups):
    """Also where channels are cut into pieces."""
    generator = np.random.default_rng(channels)
    largest = {"float16": (2047, 113), "bfloat16": (255, 255)}[name]
    left, right = (generator.integers(-m, m + 1, (n, 2)) for m, n in zip(largest, (17, 9), strict=True))
    left[3], right[4] = largest[0], largest[1]
    convolution = Convolution((3, 2), (2, 1), (1, 2), groups)
    x = generator.integers(0, 18, (2, 9, 8, 6 * groups))  # 17 marks skipped lanes
    w = generator.integers(0, 9, (4 * groups, 3, 2, 6))
    weights = float_products.prepare(torch.from_numpy(right), torch.from_numpy(w), groups, HALVES[name], channels)
    assert len(weights.pieces) == 6 // channels
    assert not weights.direct
    sums = float_products.sums(torch.from_numpy(left), torch.from_numpy(x).int(), weights, convolution)
    assert sums.dtype == (torch.float32 if channels == 6 else torch.float64)
    patches = convolution.patches(torch.from_numpy(x)).numpy()
    factors = np.pad(left, ((0, 1), (0, 0)))[patches]  # (n, y, x, 3, 2, channels, terms)
    expected = [
        (factors[..., 6 * (out // 4) : 6 * (out // 4) + 6, :] * right[w[out]]).sum(axis=(3, 4, 5, 6))
        for out in range(4 * groups)
    ]
    np.testing.assert_array_equal(sums.numpy(), np.stack(expected, axis=3))
    assert matrix_unit.calls == len(weights.pieces)


def fail_in_full_precision(split):
    with full_precision(torch.device("cuda")):
        assert MATMUL.fp32_precision == "ieee"
        assert not MATMUL.allow_fp16_accumulation
        for name in REDUCTIONS:
            assert not getattr(MATMUL, name)
            assert getattr(MATMUL, f"{name}_split_k") == split
        raise KeyError


@pytest.mark.parametrize("before", [(False, True), (False, False), (True, True)])
def test_settings_of_gpus_are_restored(before):
    fresh = {name: getattr(MATMUL, name) for name in ("allow_fp16_accumulation", "fp32_precision")}
    try:
        MATMUL.allow_fp16_accumulation, MATMUL.fp32_precision = before[1], "tf32"
        for name in REDUCTIONS:
            setattr(MATMUL, name, before)
        with pytest.raises(KeyError):
            fail_in_full_precision(before[1])
        assert (MATMUL.fp32_precision, MATMUL.allow_fp16_accumulation) == ("tf32", before[1])
        for name in REDUCTIONS:
            assert (getattr(MATMUL, name), getattr(MATMUL, f"{name}_split_k")) == before
        with full_precision(CPU):
            assert MATMUL.fp32_precision == "tf32"  # no concern of the processor's
    finally:
        for name, value in fresh.items():
            setattr(MATMUL, name, value)
        for name in REDUCTIONS:
            setattr(MATMUL, name, (True, True))


@pytest.mark.parametrize(
    ("label", "absent", "chosen"),
    [
        ("exact8u", [], ("int8", 64)),
        ("exact8u", ["int8"], ("bfloat16", 28)),  # 28 channels of 9 pixels stay below 2**24
        ("exact8u", ["int8", "bfloat16"], ("float16", 28)),
        ("exact8u", ["int8", "bfloat16", "float16"], ("float32", 28)),
        ("drum8s_k4", [], ("bfloat16", 64)),  # in int8 its factors have two digits each
        ("exact16s", [], ("int8", 64)),
    ],
)
def test_the_datatype_on_a_gpu(monkeypatch, label, absent, chosen):
    """Matrix units first, and in a datatype that has passed its probe there."""
    monkeypatch.setattr(datatypes, "available", lambda name, device: device.type == "cuda" and name not in absent)
    engine = SurrogateEngine(surrogate.discover(multipliers.get(label)))
    assert engine.choose(64, 9, 1, torch.device("cuda")) == chosen


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_no_probe_of_it_passes():
    gpu = torch.device("cuda")
    names = ("int8", "float16", "bfloat16", "float32")
    assert [datatypes.available(name, gpu) for name in names] == [False, False, False, True]


def test_blocks_of_images_are_larger_on_a_gpu():
    convolution = Convolution((3, 3))
    blocks = {}
    for device in ("cpu", "cuda"):
        x = SimpleNamespace(shape=(64, 34, 34, 64), device=torch.device(device))
        blocks[device] = list(convolution.blocks(x, 4, 1 << 24))
        assert [i for block in blocks[device] for i in range(block.start, block.stop)] == list(range(64))
    assert len(blocks["cuda"]) < len(blocks["cpu"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_tensor_stays_behind_on_the_processor(dtype):
    """Tensors without values, of device meta, go through the path of GPUs: one on the processor would be refused."""
    left, right = (torch.zeros((n, 2), dtype=torch.int64, device="meta") for n in (17, 9))
    x = torch.zeros((2, 9, 8, 4), dtype=torch.int32, device="meta")
    weights = float_products.prepare(right, torch.zeros((6, 3, 2, 2), dtype=torch.int64, device="meta"), 2, dtype, 2)
    sums = float_products.sums(left, x, weights, Convolution((3, 2), groups=2))
    assert sums.device.type == "meta"
    assert sums.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert sums.shape == (2, 7, 7, 6)


def test_an_engine_moves_as_a_whole():
    engine = SurrogateEngine(surrogate.discover(multipliers.get("bam8s_h0v4"))).to("meta")
    x = torch.zeros((2, 9, 8, 4), dtype=torch.int32, device="meta")
    w = torch.zeros((6, 3, 2, 2), dtype=torch.int64, device="meta")
    sums = engine.sums(x, engine.prepare(w, 2), Convolution((3, 2), groups=2))
    assert (sums.shape, sums.device.type) == ((2, 7, 7, 6), "meta")


def test_gpus_have_an_int8_product_of_their_own(monkeypatch):
    monkeypatch.setattr(cuda_products, "int8_product", lambda x, w: "padded")
    on_gpu = SimpleNamespace(device=torch.device("cuda"))
    assert int8_products.multiply(on_gpu, on_gpu) == "padded"


def test_a_compiled_layer_leaves_only_products_to_operators(monkeypatch):
    """As on a GPU, where convolutions copy patches: quantising, lookups and patches are in the graph, to be fused."""
    monkeypatch.setattr(float_products, "convolutions_are_exact", lambda device: False)
    model = surrogate.discover(multipliers.get("bam8s_h0v2"))
    layer = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, padding=1))
    approximate_(layer, ApproxConfig(surrogate=model, arithmetic="float32"))
    x = torch.randn(3, 4, 8, 8)
    calibrate(layer, [x])
    layer.eval()
    called = []

    def record(graph, inputs):
        called.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return make_boxed_func(graph.forward)

    with torch.no_grad():
        compiled = torch.compile(layer, fullgraph=True, backend=aot_autograd(fw_compiler=record))
        assert torch.equal(compiled(x), layer(x))
    ours = {name for name in called if name.startswith("axsurrogate")}
    assert ours == {"axsurrogate.float_product.default", "axsurrogate.observed_range.default"}
    assert called.count("axsurrogate.float_product.default") == 1
    assert {"aten.round.default", "aten.index_select.default"} <= set(called)
