"""Switching what layers compute at run time."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import surrogate
from multipliers import get
from multipliers.metrics import error_metrics
from surrogate.nn import (
    ApproxConfig,
    ApproxConv2d,
    ApproxLinear,
    ConversionError,
    NotCalibratedError,
    QuantisationError,
    QuantiserConfig,
    approximate_,
    calibrate,
    mode,
    restore_,
)
from surrogate.nn.layers.operation import MODES

X = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
COMPUTING = [name for name in MODES if name != "calibrate"]


def network(config):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(32, 5)
    )
    approximate_(model, config)
    calibrate(model, [X])
    return model.eval()


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("label", ["drum8u_k4", "bam8s_h2v6"])
def test_quantised_mode_is_the_accurate_layer_at_dequantised_operands(label, skip):
    model = network(ApproxConfig(multiplier=label, skip_padding=skip))
    for index in (0, 2):
        layer, x = model[index], torch.rand(4, model[index].in_channels, 8, 8)
        calibrate(layer, [x])
        layer.mode = "quantised"
        x_hat, w_hat = layer.activation_quantiser(x)[0], layer.weight_quantiser(layer.weight)[0]
        expected = torch.conv2d(x_hat, w_hat, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)
        torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_noise_mode_scatters_outputs_about_the_biased_accurate_ones():
    torch.manual_seed(0)
    layer = ApproxLinear(64, 3, config=ApproxConfig(multiplier="drum8u_k4"))
    x = torch.rand(1, 64)
    calibrate(layer, [x])
    layer.eval()
    with mode(layer, "quantised"):
        accurate = layer(x).detach()
    with mode(layer, "noise"), torch.no_grad():
        y = layer(x.expand(20_000, 64))
    metrics = error_metrics(get("drum8u_k4"))
    scale = (layer.activation_quantiser.scale * layer.weight_quantiser.scale).numpy()
    sd = scale * 8 * metrics.sd
    np.testing.assert_allclose(y.std(dim=0).numpy(), sd, rtol=0.03)
    np.testing.assert_allclose(
        (y.mean(dim=0) - accurate[0]).numpy() / sd, scale * 64 * metrics.mean_error / sd, atol=0.03
    )


def test_each_mode_computes_its_own_and_the_configured_one_comes_back():
    model = network(ApproxConfig(multiplier="drum8u_k4"))
    before = model(X)
    results = {}
    for name in COMPUTING:
        torch.manual_seed(5)
        with mode(model, name):
            assert {layer.mode for layer in (model[0], model[4])} == {name}
            results[name] = model(X)
    assert torch.equal(model(X), before)
    for name in ("exact", "table", "approximate"):
        assert torch.equal(results[name], before)
    different = [results[n] for n in ("float", "quantised", "approximate", "linear", "noise", "relative")]
    assert all(not torch.equal(one, other) for i, one in enumerate(different) for other in different[:i])


def test_modes_are_set_layer_by_layer():
    model = network(ApproxConfig(multiplier="drum8u_k4"))
    model[4].mode = "quantised"
    mixed = model(X)
    with mode(model, "quantised"):
        assert not torch.equal(model(X), mixed)
    assert model[4].mode == "quantised"
    assert torch.equal(model(X), mixed)


@pytest.mark.parametrize("name", ["quantised", "linear", "noise", "relative", "table"])
def test_weights_that_change_are_seen_in_every_mode(name):
    model = network(ApproxConfig(multiplier="bam8s_h2v6"))
    with mode(model, name):
        model(X)
        with torch.no_grad():
            model[4].weight.mul_(torch.linspace(-1, 2, 32))
        outputs = []
        for one in (model, copy.deepcopy(model)):  # a copy has no cached weights
            torch.manual_seed(3)
            outputs.append(one(X))
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", ["quantised", "linear", "noise", "relative"])
def test_gradients_are_straight_through_in_every_mode(name):
    model = network(ApproxConfig(multiplier="bam8s_h2v6"))
    gradients = []
    for now in ("approximate", name):
        model.zero_grad()
        with mode(model, now):
            model(X).sum().backward()
        gradients.append(model[4].bias.grad.clone())
        assert float(model[0].weight.grad.abs().max()) > 0
    assert torch.equal(*gradients)


def test_simulators_follow_copies_pickles_and_state():
    model = network(ApproxConfig(multiplier="bam8s_h2v6"))
    keys = model.state_dict().keys()
    for layer in (model[0], model[2], model[4]):
        layer.mode = "linear"
    assert model.state_dict().keys() == keys
    for clone in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301  # our own bytes
        assert torch.equal(clone(X), model(X))
    restore_(model)
    assert type(model[0]) is nn.Conv2d
    assert model[0].__dict__.keys() == nn.Conv2d(3, 8, 3).__dict__.keys()


def test_the_error_matrix_of_relative_mode_stays():
    model = network(ApproxConfig(multiplier="drum8u_k4"))
    with mode(model, "relative"):
        first = model(X)
    model(X)
    with mode(model, "relative"):
        assert torch.equal(model(X), first)


def test_unknown_modes_and_missing_parts_leave_the_model_as_it_was():
    exact = surrogate.discover(get("bam8s_h2v6"), method="lowrank", terms=1)
    model = network(ApproxConfig(surrogate=exact))
    with pytest.raises(ConversionError, match=r"mode must be one of .*'relative'.*got 'gaussian'"):
        model[0].mode = "gaussian"
    with pytest.raises(ConversionError, match="needs the multiplier itself"), mode(model, "noise"):
        pass
    assert [model[i].mode for i in (0, 2, 4)] == ["approximate"] * 3


@pytest.mark.parametrize("name", COMPUTING)
def test_an_empty_batch_gives_an_empty_output(name):
    model = network(ApproxConfig(multiplier="drum8u_k4"))
    before = model[0].activation_quantiser.scale.clone()
    with mode(model, name):
        for training in (False, True):
            y = model.train(training)(X[:0])
            assert y.shape == (0, 5)
    y.sum().backward()
    assert torch.equal(model[0].activation_quantiser.scale, before)


def test_an_empty_batch_calibrates_nothing():
    layer = ApproxLinear(4, 2, config=ApproxConfig(multiplier="drum8u_k4"))
    with pytest.raises(ConversionError, match="never reached"):
        calibrate(layer, [torch.zeros(0, 4)])
    with pytest.raises(NotCalibratedError):
        layer(torch.zeros(0, 4))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_stop_calibration(bad):
    model = network(ApproxConfig(multiplier="drum8u_k4"))
    x = X.clone()
    x[3, 0, 0, 0] = bad
    with pytest.raises(QuantisationError, match="NaN or infinity"):
        calibrate(model, [X, x])
    assert model[0].mode == "approximate"


@pytest.mark.parametrize("label", ["drum8u_k4", "bam8s_h2v6"])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("observer", ["minmax", "percentile", "mse"])
def test_a_weight_of_zero_range_gives_the_bias(label, granularity, observer):
    """Accurate sums: a multiplier may return other than 0 for a zero weight."""
    weight = QuantiserConfig(granularity=granularity, observer=observer)
    layer = ApproxConv2d(3, 2, 3, config=ApproxConfig(multiplier=label, weight=weight))
    with torch.no_grad():
        layer.weight.zero_()
    calibrate(layer, [X])
    layer.eval().mode = "quantised"
    torch.testing.assert_close(layer(X), layer.bias[None, :, None, None].expand(16, 2, 6, 6))
