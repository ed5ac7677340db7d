"""A table layer as one operator: registered as torch demands, the same bits as the layer, part of compiled graphs."""

import copy

import pytest
import torch
from torch import nn

from surrogate.nn import ApproxConfig, ConversionError, approximate_, calibrate
from surrogate.nn.compiled.table_layer import table_layer
from surrogate.nn.native import available_kernels, library
from tests.nn.conftest import asymmetric_table
from tests.nn.test_compiled_layers import LAYERS

pytestmark = [
    pytest.mark.skipif(available_kernels() == ("torch",), reason="there is no compiled library here"),
    # torch's own: it builds an instance of an autograd function while it traces one
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


def arguments(shape_x, shape_w, bias, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    generator = torch.Generator().manual_seed(0)
    channels = shape_w[0]
    return (
        torch.randn(shape_x, generator=generator).requires_grad_(),
        torch.randn(shape_w, generator=generator).requires_grad_(),
        torch.randn(channels, generator=generator).requires_grad_() if bias else None,
        torch.tensor([0.02]),
        torch.tensor([3], dtype=torch.int32),
        torch.rand(channels, generator=generator) * 0.01 + 0.01,
        torch.randint(-100, 100, (channels,), generator=generator, dtype=torch.int32),
        torch.randint(-500, 70000, (256, 200), generator=generator),
        [0, 255, 0],
        [-100, 99, -100],
        list(padding),
        list(stride),
        list(dilation),
        groups,
    )


CASES = {
    "linear": arguments((2, 4, 5), (6, 5), bias=True),
    "vector": arguments((5,), (6, 5), bias=True),
    "convolution": arguments((2, 4, 6, 5), (6, 2, 3, 3), bias=True, stride=(2, 1), padding=(1, 2), groups=2),
    "no bias, dilated": arguments((1, 2, 7, 7), (3, 2, 2, 3), bias=False, dilation=(2, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_operator_is_registered_as_torch_demands(case):
    torch.library.opcheck(table_layer, CASES[case])


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("one dimension", "reflected")])
@pytest.mark.parametrize("formats", [("8u", "8u"), ("8s", "8s"), ("6s", "5u")], ids=" x ".join)
def test_operator_gives_the_bits_of_the_layer(name, formats):
    build, shape = LAYERS[name]
    torch.manual_seed(0)
    layer = build()
    approximate_(layer, ApproxConfig(multiplier=asymmetric_table(*formats), backend="table"))
    calibrate(layer, [0.7 * torch.randn(shape)])
    layer.eval()
    x = torch.randn(shape)
    parts = (
        (layer.activation_quantiser, layer.config.activation_format),
        (layer.weight_quantiser, layer.config.weight_format),
    )
    limits = [[quantiser.low, quantiser.high, operand.minimum] for quantiser, operand in parts]
    (aq, _), (wq, _) = parts
    leaves = [part.detach().clone().requires_grad_() for part in (x, layer.weight)]
    bias = None if layer.bias is None else layer.bias.detach().clone().requires_grad_()
    groups = getattr(layer, "groups", 1)
    scales = aq.scale, aq.zero_point, wq.scale, wq.zero_point, layer.engine.table
    y = table_layer(*leaves, bias, *scales, *limits, *layer.placement(x).sides, groups)[0]
    x.requires_grad_()
    expected = layer(x)
    assert torch.equal(y, expected)
    for output in (y, expected):
        output.backward(torch.linspace(-1, 1, y.numel()).reshape(y.shape))
    for ours, theirs in zip((*leaves, bias), (x, layer.weight, layer.bias), strict=True):
        if ours is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_compiled_graphs_hold_the_operator(training):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3))
    approximate_(model, ApproxConfig(multiplier=asymmetric_table("8u", "8s"), backend="table"))
    x = torch.randn(5, 2, 6)
    calibrate(model, [x])
    model.train(training)
    other, graphs = copy.deepcopy(model), []

    def keep(graph, _):
        graphs.append(graph)
        return graph

    run = torch.compile(other, fullgraph=True, backend=keep)
    for batch in (x, x + 0.1):
        assert torch.equal(run(batch), model(batch))
    assert len(graphs) == 1
    called = [str(node.target) for node in graphs[0].graph.nodes]
    assert sum("table_layer" in target for target in called) == 2


def test_it_says_what_is_missing(monkeypatch):
    monkeypatch.setenv(library.VARIABLE, "torch")
    with pytest.raises(ConversionError, match="no compiled table kernel is active"):
        table_layer(*CASES["linear"])
    monkeypatch.delenv(library.VARIABLE)
    with pytest.raises(ConversionError, match="sums of 20000 products could exceed int32"):
        table_layer(*arguments((1, 20000), (1, 20000), bias=False))
