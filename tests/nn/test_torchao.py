"""Conversion by torchao's quantize_, or by a stand-in for it that knows handlers and filters alone."""

import copy
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from surrogate.nn import ApproxConfig, ConversionError, approximate_, approximate_layers, calibrate
from surrogate.nn import torchao as adapter

CONFIG = ApproxConfig(multiplier="bam8s_h0v4")
X = torch.rand(4, 2, 5, 5)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 5), nn.Linear(5, 2))


def stand_in():
    """What the adapter uses of torchao, and how torchao calls it."""
    base = type("AOBaseConfig", (), {})
    handlers = {}

    def register(kind):
        return lambda handler: handlers.setdefault(kind, handler)

    def is_linear(module, name):
        return isinstance(module, nn.Linear) and not isinstance(module, NonDynamicallyQuantizableLinear)

    def quantize_(model, config, filter_fn=is_linear, name=""):
        if filter_fn(model, name):
            return handlers[type(config)](model, config)
        for own, child in list(model.named_children()):
            setattr(model, own, quantize_(child, config, filter_fn, f"{name}.{own}" if name else own))
        return model

    modules = {name: ModuleType(name) for name in ("torchao", "torchao.core", "torchao.quantization")}
    for name, content in (
        ("torchao.core.config", {"AOBaseConfig": base}),
        ("torchao.quantization.transform_module", {"register_quantize_module_handler": register}),
    ):
        modules[name] = ModuleType(name)
        modules[name].__dict__.update(content)
    return modules, SimpleNamespace(quantize_=quantize_)


@pytest.fixture(autouse=True)
def fresh():
    """Each test makes the class of configurations anew."""
    adapter._config_class.cache_clear()
    yield
    adapter._config_class.cache_clear()


@pytest.fixture(params=["torchao", "stand-in"])
def quantization(request, monkeypatch):
    if request.param == "torchao":
        if find_spec("torchao") is None:
            pytest.skip("torchao is not installed")
        import torchao.quantization

        return torchao.quantization
    modules, found = stand_in()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return found


def test_linear_layers_are_converted_as_by_approximate(quantization):
    model, expected = network(), network()
    layers = list(model)
    quantization.quantize_(model, adapter.torchao_config(CONFIG))
    approximate_(expected, {"3": CONFIG, "4": CONFIG})
    assert [type(layer) for layer in model] == [type(layer) for layer in expected]
    assert all(layer is before for layer, before in zip(model, layers, strict=True))
    for each in (model, expected):
        calibrate(each, [X])
    assert torch.equal(model.eval()(X), expected.eval()(X))


def test_filters_select_other_layers_and_whole_models(quantization):
    model = network()
    config = adapter.torchao_config(CONFIG)
    quantization.quantize_(model, config, filter_fn=lambda module, name: isinstance(module, nn.Conv2d))
    assert [name for name, _ in approximate_layers(model)] == ["0"]
    quantization.quantize_(model, config, filter_fn=lambda module, name: name == "")
    assert [name for name, _ in approximate_layers(model)] == ["0", "3", "4"]
    assert config.approximate is CONFIG


def test_torch_s_transformers_compute_approximately_once_calibrated(quantization):
    """Evaluated without gradients, torch's own kernel would bypass the layers."""
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x, accurate = torch.rand(2, 3, 8), copy.deepcopy(model)
    quantization.quantize_(model, adapter.torchao_config(CONFIG))
    calibrate(model, [x])
    with torch.no_grad():
        assert not torch.allclose(model(x), accurate(x), atol=1e-4)


def test_torchao_s_mappings_of_names_take_it():
    if find_spec("torchao") is None:
        pytest.skip("torchao is not installed")
    from torchao.quantization import FqnToConfig, Int8WeightOnlyConfig, quantize_

    model = network()
    mapping = {"4": adapter.torchao_config(CONFIG), "3": Int8WeightOnlyConfig()}
    quantize_(model, FqnToConfig(mapping), filter_fn=None)
    assert [name for name, _ in approximate_layers(model)] == ["4"]
    assert type(model[3].weight.data).__module__.startswith("torchao")
    calibrate(model, [X])
    assert model.eval()(X).shape == (4, 2)


def test_what_is_missing_or_wrong_is_said(monkeypatch):
    with pytest.raises(ConversionError, match="must be an ApproxConfig"):
        adapter.torchao_config({"0": CONFIG})
    monkeypatch.setitem(sys.modules, "torchao.core.config", None)
    with pytest.raises(ImportError, match="pip install -U torchao"):
        adapter.torchao_config(CONFIG)
