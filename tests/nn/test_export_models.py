"""Exported models: standard operators alone, any batch size, the same outputs; in onnxruntime, too."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

import surrogate
from multipliers import get
from surrogate.nn import (
    ApproxConfig,
    ApproxConv1d,
    ApproxConv2d,
    ApproxConv3d,
    ApproxConvTranspose2d,
    ApproxLinear,
    ApproxMatmul,
    ConversionError,
    NotCalibratedError,
    QuantiserConfig,
    approximate_,
    calibrate,
    export_model,
    export_onnx,
    mode,
)
from surrogate.nn.networks import LeNet5
from tests.nn.conftest import asymmetric_table, configurations
from tests.nn.test_compile import additive_multiplier

CONFIGS = dict(zip(("table", "surrogate", "float32"), configurations(asymmetric_table("8u", "8s")), strict=True)) | {
    "both affine": ApproxConfig(multiplier=asymmetric_table("8u", "4u")),
    "additive, skipping": ApproxConfig(multiplier=additive_multiplier(), skip_padding=True),
    "table, skipping": ApproxConfig(multiplier=additive_multiplier(), backend="table", skip_padding=True),
    "wide sums": ApproxConfig(surrogate=surrogate.discover(get("exact16s"))),
    "float factors": ApproxConfig(surrogate=surrogate.discover(get("mitchell8u"), method="lowrank", terms=2)),
    "learned step": ApproxConfig(multiplier="drum8u_k4", activation=QuantiserConfig(learned_step=True)),
}
LAYERS = {
    "linear": (lambda c: ApproxLinear(7, 5, config=c), (3, 2, 7)),
    "conv1d": (lambda c: ApproxConv1d(2, 3, 3, padding="same", dilation=2, config=c), (4, 2, 9)),
    "conv2d": (lambda c: ApproxConv2d(4, 6, (3, 2), stride=2, groups=2, padding=1, config=c), (3, 4, 5, 6)),
    "pointwise": (lambda c: ApproxConv2d(4, 6, 1, groups=2, padding=1, stride=2, config=c), (3, 4, 5, 6)),
    "reflected": (lambda c: ApproxConv2d(2, 3, 3, padding=1, padding_mode="reflect", config=c), (3, 2, 5, 6)),
    "conv3d": (lambda c: ApproxConv3d(2, 2, 2, padding=1, config=c), (3, 2, 3, 3, 4)),
    "transposed": (lambda c: ApproxConvTranspose2d(2, 3, 3, stride=2, padding=1, config=c), (3, 2, 3, 4)),
}
CASES = [("conv2d", name) for name in CONFIGS] + [(kind, "surrogate") for kind in LAYERS if kind != "conv2d"]
CASES += [("linear", "table"), ("transposed", "table")]


def standard(program):
    """Whether all operators are torch's own."""
    targets = [node.target for node in program.graph.nodes if node.op == "call_function"]
    return {str(t).split(".")[0] for t in targets if isinstance(t, torch._ops.OpOverload)} == {"aten"} and not any(
        isinstance(t, torch._ops.HigherOrderOperator) for t in targets
    )


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_layer_gives_the_same_outputs_for_any_batch(kind, name):
    build, shape = LAYERS[kind]
    torch.manual_seed(0)
    layer, x = build(CONFIGS[name]), torch.randn(shape)
    calibrate(layer, [x])
    program = export_model(layer, x)
    assert standard(program)
    assert layer.training
    other = torch.randn(5, *shape[1:])
    with torch.no_grad():
        expected = layer.eval()(other)
        y = program.module()(other)
    if name == "float factors":
        torch.testing.assert_close(y, expected)
    else:
        assert torch.equal(y, expected)


@pytest.mark.parametrize("name", ["table", "surrogate"])
def test_products_of_two_activations(name):
    product = ApproxMatmul(CONFIGS[name])
    x, y = torch.randn(3, 2, 4, 5), torch.randn(3, 1, 5, 6)
    calibrate(product, [x], forward=lambda product, x: product(x, y))
    program = export_model(product, x, y)
    assert standard(program)
    x, y = torch.randn(5, 2, 4, 5), torch.randn(5, 1, 5, 6)
    assert torch.equal(program.module()(x, y), product.eval()(x, y))


def test_transformers():
    torch.manual_seed(0)
    model, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(2, 5, 8)
    approximate_(model, CONFIGS["surrogate"])
    calibrate(model, [x])
    program = export_model(model, x)
    other = torch.randn(3, 5, 8)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(other), model.eval()(other))


def test_torchs_own_call_gives_standard_operators_too():
    layer = ApproxConv2d(2, 3, 3, config=CONFIGS["surrogate"])
    x = torch.randn(2, 2, 6, 6)
    calibrate(layer, [x])
    with torch.no_grad():
        program = torch.export.export(layer.eval(), (x,))
        assert standard(program)
        assert torch.equal(program.module()(x), layer(x))


def test_scales_follow_weights_that_changed_since_the_last_forward_pass():
    layer, x = ApproxLinear(7, 5, config=CONFIGS["surrogate"]), torch.randn(4, 7)
    calibrate(layer, [x])
    with torch.no_grad():
        layer.weight.mul_(3)
    program = export_model(layer, x)
    assert torch.equal(program.module()(x), layer.eval()(x))


def run_onnx(file, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return y


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("name", "size"), [pytest.param("table", 8, marks=pytest.mark.slow), ("surrogate", 16)])
def test_lenet_runs_in_onnxruntime(name, size, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript", reason="torch writes ONNX by the package onnxscript")
    model = LeNet5.seeded(0, image_size=size)
    x = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    approximate_(model, CONFIGS[name])
    calibrate(model, [x])
    export_onnx(model, tmp_path / "lenet.onnx", x[:1])
    graph = onnx.load(tmp_path / "lenet.onnx").graph
    assert {node.domain for node in graph.node} == {""}
    many = torch.rand(5, 1, size, size, generator=torch.Generator().manual_seed(1))
    y = run_onnx(tmp_path / "lenet.onnx", many)
    with torch.no_grad():
        np.testing.assert_allclose(y, model.eval()(many).numpy(), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_exported_is_refused(tmp_path, monkeypatch):
    x = torch.randn(2, 7)
    with pytest.raises(ConversionError, match="no approximate layer"):
        export_model(nn.Linear(7, 5), x)
    layer = ApproxLinear(7, 5, config=CONFIGS["surrogate"])
    with pytest.raises(NotCalibratedError):
        export_model(layer, x)
    calibrate(layer, [x])
    with pytest.raises(ConversionError, match="batch of one or more"):
        export_model(layer, x[:0])
    with mode(layer, "noise"), pytest.raises(ConversionError, match="mode 'noise' cannot be exported"):
        export_model(layer, x)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConversionError, match="needs the package onnxscript"):
        export_onnx(layer, tmp_path / "model.onnx", x)
