"""Sums of approximate layers on a GPU, beside torch's own float32 operation of the same shape (without TF32).

Every sum is compared with the processor's before it is timed. ``python -m pytest benchmarks/test_bench_cuda.py``.
"""

import pytest
import torch

import multipliers
import surrogate
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.products.precision import full_precision

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU here")

GPU = torch.device("cuda")

SHAPES = {  # activations (padded), weights, groups; enough for a GPU to be busy
    "product of 4096 x 4096 matrices": ((4096, 1, 1, 4096), (4096, 1, 1, 4096), 1),
    "convolution 3 x 3, 128 channels, 256 images of 32 x 32": ((256, 34, 34, 128), (128, 3, 3, 128), 1),
    "depthwise convolution 3 x 3, 128 channels, 256 images of 32 x 32": ((256, 34, 34, 128), (128, 3, 3, 1), 128),
}

ENGINES = {  # by what they run
    "float32": lambda: None,
    "table, any rank": lambda: TableEngine(multipliers.get("mitchell8u")),
    "surrogate, 1 product": lambda: SurrogateEngine(surrogate.discover(multipliers.get("trunc8s_t2"))),
    "surrogate, 3 products": lambda: SurrogateEngine(surrogate.discover(multipliers.get("bam8s_h0v2"))),
}


def cases():
    for shape in SHAPES:
        for engine in ENGINES:
            yield pytest.param(shape, engine, marks=pytest.mark.benchmark(group=shape), id=f"{shape}: {engine}")


def float32_operation(x, w, groups):
    images, filters = (each.float().permute(0, 3, 1, 2).contiguous() for each in (x, w))

    def run():
        with full_precision(GPU):
            if w.shape[1:3] == (1, 1):
                torch.nn.functional.linear(images.flatten(1), filters.flatten(1))
            else:
                torch.conv2d(images, filters, groups=groups)
        torch.cuda.synchronize()

    return run


@pytest.mark.parametrize(("shape", "name"), list(cases()))
def test_sums(benchmark, shape, name):
    shape_x, shape_w, groups = SHAPES[shape]
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, shape_x, generator=generator, dtype=torch.int32)
    w = torch.randint(0, 256, shape_w, generator=generator)
    convolution, engine = Convolution(shape_w[1:3], groups=groups), ENGINES[name]()
    if engine is None:
        benchmark.pedantic(float32_operation(x.to(GPU), w.to(GPU), groups), rounds=20, warmup_rounds=3)
        return
    few = slice(0, 2)
    expected = engine.sums(x[few], engine.prepare(w, groups), convolution).long()
    engine.to(GPU)
    x, prepared = x.to(GPU), engine.prepare(w.to(GPU), groups)
    assert torch.equal(engine.sums(x, prepared, convolution)[few].cpu().long(), expected)

    def run():
        engine.sums(x, prepared, convolution)
        torch.cuda.synchronize()

    benchmark.pedantic(run, rounds=20, warmup_rounds=3)
