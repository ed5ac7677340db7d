"""Table kernels beside torch's own float32 operation of the same shape, one thread: the sums alone, no quantisation.

Every kernel's sums are compared with those of plain torch before they are timed.
"""

import pytest
import torch

import multipliers
from surrogate.nn.geometry import Convolution
from surrogate.nn.native import KERNELS, available_kernels, library
from surrogate.nn.table_engine import TableEngine

MULTIPLIER = "mitchell8u"  # its table has full rank: nothing but a lookup simulates it exactly

SHAPES = {  # activations (padded), weights, groups
    "product of 1024 x 1024 matrices": ((1024, 1, 1, 1024), (1024, 1, 1, 1024), 1),
    "convolution 3 x 3, 64 channels, 32 images of 32 x 32": ((32, 34, 34, 64), (64, 3, 3, 64), 1),
    "convolution 3 x 3, 128 channels, 32 images of 32 x 32": ((32, 34, 34, 128), (128, 3, 3, 128), 1),
    "depthwise convolution 3 x 3, 64 channels, 32 images of 32 x 32": ((32, 34, 34, 64), (64, 3, 3, 1), 64),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def operands(shape):
    shape_x, shape_w, groups = SHAPES[shape]
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, shape_x, generator=generator, dtype=torch.int32)
    w = torch.randint(0, 256, shape_w, generator=generator)
    return x, w, Convolution(shape_w[1:3], groups=groups)


def cases():
    for shape in SHAPES:
        for kernel in ("float32", *KERNELS):
            yield pytest.param(shape, kernel, marks=pytest.mark.benchmark(group=shape), id=f"{shape}: {kernel}")


@pytest.mark.parametrize(("shape", "kernel"), list(cases()))
def test_sums(benchmark, monkeypatch, shape, kernel):
    x, w, convolution = operands(shape)
    if kernel == "float32":
        images, filters = x.float().permute(0, 3, 1, 2).contiguous(), w.float().permute(0, 3, 1, 2).contiguous()
        if convolution.kernel == (1, 1):
            benchmark(torch.nn.functional.linear, images.flatten(1), filters.flatten(1))
        else:
            benchmark(torch.conv2d, images, filters, groups=convolution.groups)
        return
    if kernel not in available_kernels():
        pytest.skip(f"kernel {kernel} cannot run here; `axsurrogate doctor` says why")
    engine = TableEngine(multipliers.get(MULTIPLIER))
    monkeypatch.setenv(library.VARIABLE, "torch")
    few = x[:2]
    expected = engine.sums(few, engine.prepare(w, convolution.groups), convolution).long()
    monkeypatch.setenv(library.VARIABLE, kernel)
    prepared = engine.prepare(w, convolution.groups)
    assert torch.equal(engine.sums(few, prepared, convolution).long(), expected)
    rounds = 2 if kernel == "torch" else 5
    benchmark.pedantic(engine.sums, (x, prepared, convolution), rounds=rounds, warmup_rounds=1)
