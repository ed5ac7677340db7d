"""Layers with exact approximate products, beside torch's own float32 operation, forward and training step."""

import pytest
import torch
from torch import nn

import multipliers
import surrogate
from surrogate.nn import ApproxConfig, approximate_, calibrate
from surrogate.nn.networks import LeNet5

MULTIPLIERS = {1: "trunc8s_t2", 3: "bam8s_h0v2", 5: "bam8s_h0v4"}  # by number of products


def configurations():
    yield "float32", None
    for products, label in MULTIPLIERS.items():
        multiplier = multipliers.get(label)
        model = surrogate.discover(multiplier)
        assert model.is_exact
        assert model.n_products == products
        yield f"exact surrogate, {products} products", ApproxConfig(surrogate=model)
    yield "table", ApproxConfig(multiplier=multiplier, backend="table")


CONFIGURATIONS = dict(configurations())


@pytest.fixture(params=CONFIGURATIONS)
def config(request):
    return CONFIGURATIONS[request.param]


def converted(layer, config, x):
    torch.manual_seed(0)
    if config is not None:
        approximate_(layer, config)
        calibrate(layer, [x])
    return layer


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.benchmark(group="linear 1024 x 1024, 1024 rows, forward")
def test_linear(benchmark, config):
    x = torch.randn(1024, 1024)
    layer = converted(nn.Linear(1024, 1024), config, x).eval()
    with torch.no_grad():
        benchmark(layer, x)


@pytest.mark.benchmark(group="convolution 3 x 3, 64 channels, 32 images of 16 x 16, forward")
def test_convolution(benchmark, config):
    x = torch.randn(32, 64, 16, 16)
    layer = converted(nn.Conv2d(64, 64, 3, padding=1), config, x).eval()
    with torch.no_grad():
        benchmark(layer, x)


@pytest.mark.benchmark(group="depthwise convolution 3 x 3, 64 channels, 32 images of 16 x 16, forward")
def test_depthwise(benchmark, config):
    x = torch.randn(32, 64, 16, 16)
    layer = converted(nn.Conv2d(64, 64, 3, padding=1, groups=64), config, x).eval()
    with torch.no_grad():
        benchmark(layer, x)


@pytest.mark.benchmark(group="LeNet-5, 64 images of 28 x 28, training step")
def test_training_step(benchmark, config):
    x, y = torch.rand(64, 1, 28, 28), torch.randint(0, 10, (64,))
    model = converted(LeNet5(), config, x).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()

    benchmark(step)
