"""Layers on a GPU: the integers of a NumPy oracle, and the outputs of the processor. Runs where there is one."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import surrogate
from multipliers import TableMultiplier
from surrogate.nn import ApproxConfig, approximate_, calibrate
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.gpu.triton_probe import triton_trouble
from surrogate.nn.gpu.triton_table import TritonWeights
from surrogate.nn.products.cuda import HALVES, half_products_are_exact
from surrogate.nn.products.int8 import int8_products_are_exact

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU here")

GPU = torch.device("cuda")

GEOMETRIES = {
    "linear": ((300, 1, 1, 200), 130, Convolution((1, 1))),
    "few rows": ((3, 1, 1, 65), 7, Convolution((1, 1))),
    "plain": ((4, 13, 12, 16), 33, Convolution((3, 3))),
    "strided, dilated": ((3, 9, 8, 4), 5, Convolution((3, 2), (2, 1), (1, 2))),
    "grouped": ((2, 7, 7, 6), 18, Convolution((3, 3), (1, 2), (2, 1), groups=2)),
    "depthwise": ((2, 40, 40, 24), 24, Convolution((3, 3), groups=24)),
}


def random_multiplier(low, high, rank=None):
    """Asymmetric, f(0, 0) != 0; of factors from ``low`` to ``high`` if it has a rank, else of such products."""
    generator = np.random.default_rng(0)
    if rank is None:
        table = generator.integers(low, high, (256, 128), endpoint=True)
    else:
        left, right = (generator.integers(low, high, (n, rank), endpoint=True) for n in (256, 128))
        table = left @ right.T
    return TableMultiplier(table, "8u", "7s", name="random")


def expected_sums(table, x, w, convolution):
    """Sums in NumPy; the index past the last value of ``x`` contributes 0."""
    table = np.pad(table, ((0, 1), (0, 0)))
    span = [(k - 1) * d + 1 for k, d in zip(convolution.kernel, convolution.dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(1, 2))
    windows = windows[:, :: convolution.stride[0], :: convolution.stride[1]]
    windows = windows[..., :: convolution.dilation[0], :: convolution.dilation[1]].transpose(0, 1, 2, 4, 5, 3)
    out = []
    for channel, lanes in enumerate(w):
        first = channel // (len(w) // convolution.groups) * w.shape[3]
        out.append(table[windows[..., first : first + w.shape[3]], lanes].sum(axis=(3, 4, 5)))
    return np.stack(out, axis=3)


def check(engine, table, geometry):
    shape, out_channels, convolution = GEOMETRIES[geometry]
    generator = np.random.default_rng(1)
    x = generator.integers(0, 257, shape)
    w = generator.integers(0, 128, (out_channels, *convolution.kernel, shape[3] // convolution.groups))
    engine.to(GPU)
    prepared = engine.prepare(torch.from_numpy(w).to(GPU), convolution.groups)
    sums = engine.sums(torch.from_numpy(x).to(GPU, torch.int32), prepared, convolution)
    assert sums.device.type == "cuda"
    np.testing.assert_array_equal(sums.cpu().numpy().astype(np.int64), expected_sums(table, x, w, convolution))
    return prepared


def test_the_kernel_runs_and_products_are_exact():
    if torch.cuda.get_device_capability() >= (8, 0):
        assert triton_trouble(GPU) is None
        assert int8_products_are_exact("cuda")
        assert all(half_products_are_exact(name, GPU) for name in HALVES)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("low", "high"), [(-(1 << 15), (1 << 15) - 1), (0, (1 << 16) - 1), (-70000, 70000)])
def test_tables(geometry, low, high):
    multiplier = random_multiplier(low, high)
    prepared = check(TableEngine(multiplier), multiplier.table(), geometry)
    assert isinstance(prepared, TritonWeights) == (triton_trouble(GPU) is None)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("factor", [40, 127, 255, 2047])
def test_exact_surrogates(geometry, factor):
    multiplier = random_multiplier(-factor, factor, rank=3)
    model = surrogate.discover(multiplier)
    assert model.is_exact
    for arithmetic in ("auto", "float64"):
        check(SurrogateEngine(model, arithmetic=arithmetic), multiplier.table(), geometry)


@pytest.mark.parametrize("backend", ["table", "surrogate"])
def test_models_equal_those_of_the_processor(backend):
    """Forward to the digit (up to the order of float operations around exact sums), backward to rounding."""
    multiplier = random_multiplier(-30, 30, rank=3)
    options = {"backend": "table", "multiplier": multiplier}
    if backend == "surrogate":
        options = {"surrogate": surrogate.discover(multiplier)}
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(8 * 36, 5)
    )
    x = torch.rand(6, 3, 8, 8)
    approximate_(model, ApproxConfig(**options))
    calibrate(model, [x])
    on_gpu = copy.deepcopy(model).to(GPU)
    assert torch.equal(on_gpu[0].accumulate(x.to(GPU)).cpu(), model[0].accumulate(x))
    results = []
    for each, batch in ((model, x), (on_gpu, x.to(GPU))):
        each.eval()
        y = each(batch)
        y.square().sum().backward()
        results.append([y.detach().cpu(), *(p.grad.cpu() for p in each.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # in torch itself
@pytest.mark.parametrize("backend", ["table", "surrogate"])
def test_compiled_models_equal_those_that_are_not(backend):
    multiplier = random_multiplier(-30, 30, rank=3)
    config = ApproxConfig(multiplier=multiplier, surrogate=surrogate.discover(multiplier), backend=backend)
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1)).to(GPU).eval()
    x = torch.rand(6, 3, 8, 8, device=GPU)
    approximate_(layer, config)
    calibrate(layer, [x])
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(layer, fullgraph=True)(x), layer(x))
