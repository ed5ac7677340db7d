"""What layers cannot compute is refused, with the layer's name; what is merely odd has a documented result."""

import copy
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

import surrogate
from multipliers import TableMultiplier, get
from surrogate.errors import ExactnessError
from surrogate.nn import (
    ApproxConfig,
    ApproxConv2d,
    ApproxLinear,
    ApproxMatmul,
    ConversionError,
    NotCalibratedError,
    QuantisationError,
    QuantiserConfig,
    approximate_,
    calibrate,
    restore_,
)
from surrogate.nn.errors import names_layer
from surrogate.nn.layers.inputs import check_device
from surrogate.nn.native import available_kernels, library
from surrogate.nn.native.library import KERNELS

X = torch.rand(6, 2, 5, 5, generator=torch.Generator().manual_seed(1))
CONFIGS = {
    "surrogate": ApproxConfig(multiplier="bam8u_h1v5"),
    "table": ApproxConfig(multiplier="bam8u_h1v5", backend="table"),
}


def network(config, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()))
    model.add_module("flatten", nn.Flatten())
    model.add_module("head", nn.Linear(75, 4))
    approximate_(model, config)
    return model


@pytest.fixture(params=CONFIGS)
def model(request):
    model = network(CONFIGS[request.param])
    calibrate(model, [X])
    return model.eval()


@pytest.fixture(autouse=True)
def nothing_forced(monkeypatch):
    monkeypatch.delenv(library.VARIABLE, raising=False)


def notes(caught):
    return "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_activations_of_other_datatypes_are_refused(model, dtype):
    with pytest.raises(ConversionError, match=f"{dtype}.*layers compute in float16, bfloat16, float32") as caught:
        model(X.to(dtype))
    assert notes(caught) == "in layer 'features.0', of type ApproxConv2d"
    product = ApproxMatmul(CONFIGS["table"])
    with pytest.raises(ConversionError, match=f"got {dtype}"):
        product(torch.ones(2, 2, dtype=dtype), torch.ones(2, 2, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e5m2])
def test_weights_of_other_datatypes_are_refused_and_nothing_changes(dtype):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Complex modules are a new feature")
        plain = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).to(dtype))
    with pytest.raises(ConversionError, match=f"the weight is {dtype}.*cast the layer first") as caught:
        approximate_(plain, CONFIGS["table"])
    assert notes(caught) == "in layer '1', of type ApproxLinear"
    assert [type(layer) for layer in plain] == [nn.Linear, nn.Linear]


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_weight_without_elements_is_refused():
    with pytest.raises(ConversionError, match=r"the weight is empty, of shape \(3, 0\)"):
        approximate_(nn.Linear(0, 3), CONFIGS["table"])


def test_devices_that_do_not_fit_are_refused(model):
    with pytest.raises(ConversionError, match="input is on 'meta', the layer on 'cpu'; move one") as caught:
        model(X.to("meta"))
    assert "'features.0'" in notes(caught)
    with pytest.raises(ConversionError, match="'meta' holds no values"):
        copy.deepcopy(model).to("meta")(X.to("meta"))
    with pytest.raises(ConversionError, match="'meta' holds no values"):
        approximate_(nn.Linear(2, 2, device="meta"), CONFIGS["table"])
    with pytest.raises(ConversionError, match=r"has no float64.*use 'cpu' or 'cuda'"):
        check_device(torch.device("mps"), torch.device("mps"))


def test_operands_wider_than_the_surrogate_are_refused():
    narrow, wide = get("exact4u"), get("exact8u")
    config = ApproxConfig(surrogate=surrogate.discover(narrow), activation=QuantiserConfig("8u"))
    with pytest.raises(QuantisationError, match=r"8u integers \[0, 255\] do not fit the multiplier's 4u") as caught:
        approximate_(nn.Sequential(nn.Linear(3, 2)), config)
    assert notes(caught) == "in layer '0', of type ApproxLinear"
    with pytest.raises(ConversionError, match=r"surrogate stands for 'exact4u' .*not for 'exact8u'"):
        ApproxConfig(multiplier=wide, surrogate=surrogate.discover(narrow))


def test_a_surrogate_file_of_another_width_is_refused(tmp_path):
    surrogate.save(surrogate.discover(get("exact4s")), tmp_path / "narrow.json")
    loaded = surrogate.load(tmp_path / "narrow.json")
    with pytest.raises(ConversionError, match=r"surrogate stands for 'exact4s' .*not for 'bam8s_h0v4'"):
        ApproxConfig(multiplier="bam8s_h0v4", surrogate=loaded)


class TestTablesOf12Bits:
    """They run in PyTorch's own operations; a compiled kernel that is asked for by name is not replaced in silence."""

    @staticmethod
    def layer():
        torch.manual_seed(0)
        layer = ApproxLinear(5, 3, config=ApproxConfig(multiplier="exact12s", backend="table"))
        calibrate(layer, [torch.rand(4, 5)])
        return layer.eval()

    def test_by_torch(self, monkeypatch):
        layer, x = self.layer(), torch.rand(4, 5)
        expected = layer(x)
        quantised = (layer.activation_quantiser(x)[0] @ layer.weight_quantiser(layer.weight)[0].T) + layer.bias
        torch.testing.assert_close(expected, quantised)
        monkeypatch.setenv(library.VARIABLE, "torch")
        assert torch.equal(layer(x), expected)

    @pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel != "torch"])
    def test_by_a_compiled_kernel(self, monkeypatch, kernel):
        if kernel not in available_kernels():
            pytest.skip(f"{kernel} cannot run here")
        layer = self.layer()
        monkeypatch.setenv(library.VARIABLE, kernel)
        with pytest.raises(ConversionError, match=rf"'{kernel}'.* at most 256 x 256 .*4096 x 4096.*set it to 'torch'"):
            layer(torch.rand(4, 5))

    def test_of_16_bits_are_refused(self):
        with pytest.raises(ConversionError, match=r"2\*\*24 entries; simulate it by an exact surrogate"):
            approximate_(nn.Linear(2, 2), ApproxConfig(multiplier="exact16s", backend="table"))


def poisoned(value):
    x = X.clone()
    x[2, 1, 3, 0] = value
    return x


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_calibration_with_activations_that_are_not_finite_names_the_layer(model, value):
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(QuantisationError, match="the activations hold NaN or infinity; look for") as caught:
        calibrate(model, [X, poisoned(value)])
    assert notes(caught) == "in layer 'features.0', of type ApproxConv2d"
    assert model.features[0].mode == "approximate"
    calibrate(model, [X])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Diverges(nn.Module):
    def forward(self, x):
        return torch.log(-x.abs() - 1)  # NaN


def test_the_layer_after_the_one_that_diverges_is_named():
    model = nn.Sequential(nn.Linear(3, 3), Diverges(), nn.Linear(3, 3))
    approximate_(model, CONFIGS["surrogate"])
    wrapped = nn.ModuleDict({"backbone": model})
    for run in (lambda: calibrate(wrapped, [torch.rand(2, 3)], forward=lambda m, x: m["backbone"](x)), None):
        with pytest.raises(QuantisationError) as caught:
            run() if run else wrapped.train()["backbone"](torch.rand(2, 3))
        assert notes(caught) == "in layer 'backbone.2', of type ApproxLinear"


def test_nan_in_training_stops_it_before_ranges_change(model):
    before = model.features[0].activation_quantiser.maximum.clone()
    with pytest.raises(QuantisationError, match="the activations hold NaN or infinity") as caught:
        model.train()(poisoned(float("nan")))
    assert "'features.0'" in notes(caught)
    assert torch.equal(model.features[0].activation_quantiser.maximum, before)
    with torch.no_grad():
        model.head.weight[1, 2] = float("nan")
    with pytest.raises(QuantisationError, match="the weight holds NaN or infinity") as caught:
        model(X)
    assert notes(caught) == "in layer 'head', of type ApproxLinear"


@pytest.mark.parametrize("kernel", ["torch", ""])
def test_nan_in_evaluation_is_refused_and_infinity_saturates(model, monkeypatch, kernel):
    monkeypatch.setenv(library.VARIABLE, kernel)
    with pytest.raises(QuantisationError, match="an input holds NaN") as caught:
        model(poisoned(float("nan")))
    assert notes(caught) == "in layer 'features.0', of type ApproxConv2d"
    assert torch.equal(model(poisoned(float("inf"))), model(poisoned(1e30)))


def test_a_call_before_calibration_names_the_layer():
    model = network(CONFIGS["surrogate"]).eval()
    with pytest.raises(NotCalibratedError, match=r"calibrate\(model, batches\)") as caught:
        model(X)
    assert notes(caught) == "in layer 'features.0', of type ApproxConv2d"
    with pytest.raises(NotCalibratedError) as caught:
        ApproxLinear(2, 2, config=CONFIGS["table"])(torch.rand(1, 2)[:0])
    assert notes(caught) == "in a layer of type ApproxLinear"


def test_sums_that_would_round_name_the_layer():
    model = nn.Sequential(nn.Linear(64, 2))
    approximate_(model, ApproxConfig(surrogate=surrogate.discover(get("exact16s")), arithmetic="float32"))
    calibrate(model, [torch.rand(2, 64)])
    with pytest.raises(ExactnessError) as caught:
        model.eval()(torch.rand(2, 64))
    assert notes(caught) == "in layer '0', of type ApproxLinear"


def test_names_follow_the_model_and_go_with_the_approximation():
    inner = nn.Sequential(nn.Linear(3, 3))
    approximate_(inner, CONFIGS["table"])
    assert inner[0].path == "0"
    outer = nn.ModuleDict({"a": inner})
    calibrate(outer, [torch.rand(2, 3)], forward=lambda m, x: m["a"](x))
    assert copy.deepcopy(inner)[0].path == "a.0"
    restore_(outer)
    assert not hasattr(inner[0], "path")


def test_the_name_costs_no_graph_break():
    class Doubles(nn.Module):
        path = "here"

        @names_layer
        def forward(self, x):
            return 2 * x

    x = torch.ones(3)
    assert torch.equal(torch.compile(Doubles(), fullgraph=True, backend="eager")(x), 2 * x)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("learned", [False, True])
def test_a_weight_of_zeros_gives_the_bias_and_gets_gradients(granularity, learned):
    weight = QuantiserConfig(granularity=granularity, learned_step=learned)
    layer = ApproxConv2d(2, 3, 3, config=ApproxConfig(multiplier="exact8s", weight=weight))
    with torch.no_grad():
        layer.weight.zero_()
    calibrate(layer, [X])
    y = layer(X)
    torch.testing.assert_close(y, layer.bias[None, :, None, None].expand_as(y))
    y.square().sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    assert torch.isfinite(layer.weight.grad).all()


@pytest.mark.parametrize("label", ["exact8u", "exact8s"])
@pytest.mark.parametrize("observer", ["minmax", "moving_average", "percentile", "mse"])
@pytest.mark.parametrize("value", [0.0, 0.7, -2.5, 1e-30])
def test_a_constant_activation_is_its_own_range(label, observer, value):
    layer = ApproxLinear(4, 2, config=ApproxConfig(multiplier=label, activation=QuantiserConfig(observer=observer)))
    x = torch.full((5, 4), value)
    calibrate(layer, [x, x])
    x_hat, _ = layer.activation_quantiser(x)
    torch.testing.assert_close(x_hat, x, rtol=1 / 127, atol=0.0)
    w_hat, _ = layer.weight_quantiser(layer.weight)
    torch.testing.assert_close(layer.eval()(x), x_hat @ w_hat.T + layer.bias)


def test_a_batch_of_size_0_gives_empty_outputs_zero_gradients_and_the_same_ranges(model):
    calibrate(model, [X[:0], X, X[:0]])
    before = copy.deepcopy(model.state_dict())
    for training in (False, True):
        x = X[:0].clone().requires_grad_()
        y = model.train(training)(x)
        assert y.shape == (0, 4)
        y.sum().backward()
        assert x.grad.shape == x.shape
        assert all(not parameter.grad.any() for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    product = ApproxMatmul(CONFIGS["table"])
    calibrate(product, [torch.rand(2, 2)], forward=lambda product, x: product(x, x))
    maximum = product.second_quantiser.maximum.clone()
    assert product.train()(torch.zeros(0, 2), torch.zeros(2, 3)).shape == (0, 3)
    assert product(torch.zeros(2, 0), torch.zeros(0, 3)).tolist() == [[0.0] * 3] * 2
    assert torch.equal(product.second_quantiser.maximum, maximum)


def test_the_state_of_a_changed_multiplier_is_refused(model):
    """The same name and formats with one product changed."""
    original = get("bam8u_h1v5")
    table = original.table().copy()
    table[3, 200] += 1
    changed = TableMultiplier(table, original.a, original.b, name=original.name)
    other = network(ApproxConfig(multiplier=changed, backend="table"))
    with pytest.raises(ConversionError, match=r"state of 'features\.0' was saved for another multiplier"):
        other.load_state_dict(model.state_dict())


SETTINGS = {
    "bits": (QuantiserConfig("7u"), r"to integers \[0, 255\], affine, and this one is \(7u, affine, per tensor"),
    "scheme": (QuantiserConfig(scheme="symmetric"), r"to integers \[0, 255\], affine, and this one is \(8u, symmetric"),
    "granularity": (
        QuantiserConfig(granularity="tensor"),
        "per channel, and this one is .*per tensor",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_state_of_other_quantiser_settings_is_refused(model, name):
    wanted, message = SETTINGS[name]
    other = network(replace(model.head.config, weight=wanted))
    with pytest.raises(
        QuantisationError, match=f"state of 'features.0.weight_quantiser' was saved by a quantiser {message}"
    ):
        other.load_state_dict(model.state_dict())


def test_unknown_kernels_are_refused_with_the_layer(model, monkeypatch):
    monkeypatch.setenv(library.VARIABLE, "sse9")
    with pytest.raises(ConversionError, match="must be one of") as caught:
        model(X)
    assert "'features.0'" in notes(caught)
