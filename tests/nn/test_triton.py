"""The table kernel of GPUs, run by Triton's interpreter: sums, layers, and what is said where it cannot run."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from multipliers import TableMultiplier
from surrogate import ExactnessError
from surrogate.nn import ApproxConfig, ApproxConv2d, ApproxLinear, calibrate
from surrogate.nn.engines import table as table_engine
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.gpu import triton_probe
from surrogate.nn.gpu.triton_kernel import WARPS, block_shape, table_kernel
from surrogate.nn.gpu.triton_probe import runs_exactly, triton_trouble
from surrogate.nn.gpu.triton_table import TritonTable, TritonWeights, table_sums
from surrogate.nn.native import library


@pytest.fixture(scope="module")
def interpreter():
    """Run the kernel by Triton's interpreter, on tensors of the processor."""
    triton = pytest.importorskip("triton", reason="Triton is not installed; pip install triton")
    if tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7):
        pytest.skip("the interpreter of Triton before 3.7 does not run with NumPy from 2.4 on")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        table_kernel.cache_clear()
        yield
    table_kernel.cache_clear()


def expected_sums(table, x, w, convolution):
    """Sums in NumPy, by windows; the index past the last value of ``x`` contributes 0."""
    table = np.pad(table, ((0, 1), (0, 0)))
    (step_y, step_x), (far_y, far_x) = convolution.stride, convolution.dilation
    span = [(k - 1) * d + 1 for k, d in zip(convolution.kernel, convolution.dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(1, 2))  # (n, y, x, channels, span, span)
    windows = windows[:, ::step_y, ::step_x, :, ::far_y, ::far_x].transpose(0, 1, 2, 4, 5, 3)
    out = []
    for channel, lanes in enumerate(w):
        group = channel // (len(w) // convolution.groups)
        inputs = slice(group * w.shape[3], (group + 1) * w.shape[3])
        out.append(table[windows[..., inputs], lanes].sum(axis=(3, 4, 5)))
    return np.stack(out, axis=3)


def random_problem(size_x, size_w, low, high, shape, out_channels, convolution, seed=0):
    """A table (f(0, 0) != 0), activations among which some are skipped, weights."""
    generator = np.random.default_rng(seed)
    table = generator.integers(low, high, (size_x, size_w), endpoint=True)
    table[0, 0] = high
    x = generator.integers(0, size_x, shape, endpoint=True)
    kernel = (out_channels, *convolution.kernel, shape[3] // convolution.groups)
    return table, x, generator.integers(0, size_w, kernel)


def sums_by_kernel(table, x, w, convolution):
    held = TritonTable.of(torch.from_numpy(table), min(0, int(table.min())), max(0, int(table.max())))
    weights = held.prepare(torch.from_numpy(w), convolution.groups)
    return held.sums(torch.from_numpy(x).to(torch.int32), weights, convolution)


def check(problem, convolution):
    table, x, w = problem
    sums = sums_by_kernel(table, x, w, convolution)
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(table, x, w, convolution))
    return sums


GEOMETRIES = {
    "linear": ((5, 1, 1, 7), 20, Convolution((1, 1))),
    "many rows": ((300, 1, 1, 9), 3, Convolution((1, 1))),
    "pointwise": ((2, 4, 5, 6), 9, Convolution((1, 1))),
    "pointwise, strided": ((2, 4, 5, 6), 4, Convolution((1, 1), (2, 3), groups=2)),
    "strided, dilated": ((3, 9, 8, 4), 5, Convolution((3, 2), (2, 1), (1, 2))),
    "grouped": ((2, 7, 7, 6), 18, Convolution((3, 3), (1, 2), (2, 1), groups=2)),
    "depthwise": ((2, 13, 13, 5), 5, Convolution((3, 3), groups=5)),
    "depthwise, multiplied": ((2, 5, 5, 3), 6, Convolution((2, 2), groups=3)),
    "one output": ((1, 3, 3, 1), 1, Convolution((3, 3))),
}

ENTRIES = {
    "of 16 bits": (256, 256, -(1 << 15), (1 << 15) - 1),
    "unsigned of 16 bits": (256, 128, 0, (1 << 16) - 1),
    "shifted down": (255, 16, -40000, 2000),
    "all negative": (16, 256, -60000, -1),
    "wide": (128, 256, -70000, 70000),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("entries", ENTRIES)
def test_random_tables_of_any_geometry(interpreter, geometry, entries):
    shape, out_channels, convolution = GEOMETRIES[geometry]
    problem = random_problem(*ENTRIES[entries], shape, out_channels, convolution)
    assert check(problem, convolution).dtype == torch.int32


@settings(max_examples=20)
@given(
    sizes=st.tuples(st.integers(1, 256), st.integers(1, 256)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
    channels=st.integers(1, 4),
    out_channels=st.integers(1, 10),
    extra=st.tuples(st.integers(1, 3), st.integers(0, 6), st.integers(0, 6)),
    bounds=st.tuples(st.integers(-70000, 0), st.integers(1, 70000)),
    seed=st.integers(0, 1000),
)
def test_any_shape(interpreter, sizes, kernel, stride, dilation, groups, channels, out_channels, extra, bounds, seed):
    convolution = Convolution(kernel, stride, dilation, groups)
    sides = [(k - 1) * d + 1 + more for k, d, more in zip(kernel, dilation, extra[1:], strict=True)]
    shape = (extra[0], *sides, groups * channels)
    check(random_problem(*sizes, *bounds, shape, groups * out_channels, convolution, seed), convolution)


def test_sums_beyond_int32_are_taken_in_pieces(interpreter):
    largest = (1 << 31) - 1
    for convolution, low, high in ((Convolution((1, 1)), -largest, largest), (Convolution((2, 3)), 0, largest // 6)):
        table, x, w = random_problem(16, 16, low, high, (2, 4, 4, 5), 3, convolution)
        table[:, 0], w[0] = high, 0  # every sum of the first channel exceeds int32
        assert check((table, x, w), convolution).dtype == torch.float64
    with pytest.raises(ExactnessError, match="exact surrogate"):
        check(random_problem(4, 4, -largest, largest, (1, 2, 2, 1), 1, Convolution((2, 2))), Convolution((2, 2)))


def test_sums_that_just_fit_int32_are_not(interpreter):
    table = np.full((2, 2), ((1 << 31) - 1) // 7)
    x, w = np.zeros((3, 1, 1, 7), dtype=np.int64), np.zeros((2, 1, 1, 7), dtype=np.int64)
    sums = check((table, x, w), Convolution((1, 1)))
    assert sums.dtype == torch.int32
    assert int(sums.max()) == (1 << 31) - 1 - 1  # 2**31 - 1 is 1 modulo 7


def test_empty_batches_and_indices_outside(interpreter):
    convolution = Convolution((3, 3))
    table, x, w = random_problem(16, 8, -9, 9, (2, 5, 5, 4), 6, convolution)
    assert sums_by_kernel(table, x[:0], w, convolution).shape == (0, 3, 3, 6)
    assert sums_by_kernel(table, x[:0], w[:, :1, :1], Convolution((1, 1))).shape == (0, 5, 5, 6)
    for wrong in (-1, 17):
        x[1, 2, 3, 1] = wrong
        with pytest.raises(RuntimeError, match=r"activation indices must be in \[0, 16\]"):
            sums_by_kernel(table, x, w, convolution)
    w[0, 0, 0, 0] = 8
    with pytest.raises(RuntimeError, match=r"weight indices must be in \[0, 7\]"):
        sums_by_kernel(table, x, w, convolution)


def test_it_is_launched_on_the_device_of_its_operands(interpreter, monkeypatch):
    entered = []

    @contextmanager
    def record(tensor):
        entered.append(tensor)
        yield

    monkeypatch.setattr(torch.cuda, "device_of", record)
    x, *rest = table_operands(Convolution((1, 1)))
    table_sums(x, *rest)
    assert [each.data_ptr() for each in entered] == [x.data_ptr()]


def test_tables_that_it_holds():
    assert TritonTable.holds((256, 256), -(1 << 31), (1 << 31) - 1)
    assert not TritonTable.holds((257, 2), 0, 1)
    assert not TritonTable.holds((2, 2), 0, 1 << 31)
    narrow = TritonTable.of(torch.zeros((256, 4), dtype=torch.int64), -1, 65534)
    wide = TritonTable.of(torch.zeros((256, 4), dtype=torch.int64), -1, 65535)
    assert (narrow.entries.dtype, wide.entries.dtype) == (torch.int16, torch.int32)
    for table in (narrow, wide):
        assert table.entries.stride(0) * table.entries.element_size() % 128 == 0  # a row starts a cache line


@pytest.mark.parametrize("out_channels", [1, 3, 8, 100])
@pytest.mark.parametrize("positions", [1, 100, 129, 5000])
def test_a_thread_has_at_most_32_sums_and_no_warp_is_idle(out_channels, positions):
    channels, width = block_shape(out_channels, positions)
    assert channels * width <= 32 * 32 * WARPS
    assert width >= 32 * WARPS
    assert width < 2 * max(positions, 32 * WARPS)
    assert channels < 2 * out_channels


def table_operands(convolution, device="cpu"):
    """Arguments of the operator."""
    table = TritonTable.of(torch.zeros((9, 4), dtype=torch.int64, device=device), 0, 70000)
    weights = table.prepare(torch.zeros((6, *convolution.kernel, 2), dtype=torch.int64, device=device), 2)
    x = torch.zeros((3, 4, 7, 8), dtype=torch.uint8, device=device)
    geometry = (convolution.kernel, convolution.stride, convolution.dilation)
    return x, weights.offsets, table.entries, *geometry, table.shift, 0, 2


@pytest.mark.parametrize("convolution", [Convolution((3, 2), (2, 1)), Convolution((1, 1))])
def test_the_operator_is_well_formed(interpreter, convolution):
    torch.library.opcheck(table_sums, table_operands(convolution))


def test_a_traced_model_needs_no_gpu():
    """Fake tensors of a GPU go through the path of GPUs: shapes, datatypes and devices, without a kernel."""
    with FakeTensorMode():
        sums = table_sums(*table_operands(Convolution((3, 2), (2, 1)), "cuda"))
        table = TritonTable.of(torch.empty((256, 256), dtype=torch.int64, device="cuda"), 0, 65025)
        rows = table.sums(
            torch.empty((5, 1, 1, 9), dtype=torch.int32, device="cuda"),
            table.prepare(torch.empty((4, 1, 1, 9), dtype=torch.int64, device="cuda"), 1),
            Convolution((1, 1)),
        )
    assert (sums.shape, sums.dtype, sums.device.type) == ((3, 3, 7, 6), torch.int32, "cuda")
    assert sums.permute(0, 3, 1, 2).is_contiguous()  # positions innermost
    assert (rows.shape, rows.dtype, rows.device.type) == ((5, 1, 1, 4), torch.int32, "cuda")
    assert rows.is_contiguous()


@pytest.mark.parametrize("skip_padding", [False, True])
def test_layers_of_a_table_run_on_the_kernel(interpreter, monkeypatch, skip_padding):
    """Outputs equal those of plain torch to the digit; the processor stands in for a GPU."""
    monkeypatch.setenv(library.VARIABLE, "torch")
    generator = np.random.default_rng(1)
    multiplier = TableMultiplier(generator.integers(-50000, 15000, (256, 64)), "8u", "6s", name="random")
    config = ApproxConfig(multiplier=multiplier, backend="table", skip_padding=skip_padding)
    torch.manual_seed(0)
    layers = {
        ApproxConv2d(4, 6, 3, padding=1, stride=2, groups=2, config=config): torch.randn(2, 4, 6, 7),
        ApproxLinear(9, 5, config=config): torch.randn(3, 2, 9),
    }
    for layer, x in layers.items():
        calibrate(layer, [x])
        layer.eval()
        expected, sums = layer(x), layer.accumulate(x)
        layer._cache = None
        with monkeypatch.context() as patch:
            patch.setattr(table_engine, "triton_trouble", lambda device: None)
            prepared = layer.engine.prepare(torch.zeros((1, 1, 1, 1), dtype=torch.int64), 1)
            assert isinstance(prepared, TritonWeights)
            assert torch.equal(layer(x), expected)
            assert torch.equal(layer.accumulate(x), sums)


def test_a_compiled_model_calls_the_kernel(interpreter, monkeypatch):
    """One graph, with the kernel's operator in it; the processor stands in for a GPU."""
    monkeypatch.setenv(library.VARIABLE, "torch")
    monkeypatch.setattr(table_engine, "triton_trouble", lambda device: None)
    convolution = Convolution((3, 2), (2, 1), groups=2)
    table, x, w = random_problem(16, 16, -99, 70000, (2, 7, 6, 4), 6, convolution)
    engine = TableEngine(TableMultiplier(table, "4u"))

    def sums(x, w):
        return engine.sums(x, engine.prepare(w, 2), convolution) + 1

    compiled = torch.compile(sums, fullgraph=True, backend="aot_eager")
    found = compiled(torch.from_numpy(x).to(torch.int32), torch.from_numpy(w))
    np.testing.assert_array_equal(found.numpy(), expected_sums(table, x, w, convolution) + 1)
    assert engine._triton_table is None  # nothing of the trace is kept


def test_the_table_follows_the_engine():
    engine = TableEngine(TableMultiplier(np.arange(16).reshape(4, 4), "2u"))
    first = engine._on_gpu()
    assert engine._on_gpu() is first
    engine.to("meta")
    assert engine._on_gpu().entries.device.type == "meta"


def test_why_it_does_not_run(monkeypatch):
    assert "this device is a cpu" in triton_trouble(torch.device("cpu"))
    if not torch.cuda.is_available():
        assert triton_trouble(torch.device("cuda")) == "PyTorch finds no CUDA device"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert "compute capability 7.0" in triton_trouble(torch.device("cuda", 100))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))

    def fails(error):
        def run(device):
            raise error

        return run

    outcomes = [
        (fails(ImportError("no triton")), "pip install triton"),
        (fails(RuntimeError("no C compiler")), "RuntimeError: no C compiler"),
        (lambda device: False, "wrong"),
    ]
    for number, (run, words) in enumerate(outcomes, 101):
        monkeypatch.setattr(triton_probe, "runs_exactly", run)
        device = torch.device("cuda", number)
        assert words in triton_trouble(device)
        monkeypatch.setattr(triton_probe, "runs_exactly", lambda device: True)
        assert words in triton_trouble(device)  # each device is examined once
    assert triton_trouble(torch.device("cuda", 110)) is None


def test_the_probe_finds_wrong_sums(interpreter, monkeypatch):
    assert runs_exactly(torch.device("cpu"))
    right = TritonTable.sums
    monkeypatch.setattr(TritonTable, "sums", lambda *arguments: right(*arguments) + (arguments[1].sum() > 0))
    assert not runs_exactly(torch.device("cpu"))
