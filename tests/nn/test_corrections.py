"""Corrected models against NumPy: statistics, biases, and what is left of the error."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import surrogate
from multipliers import OperandFormat, error_metrics, get
from multipliers.function import CallableMultiplier
from surrogate.nn import (
    ApproxConfig,
    ConversionError,
    NotCalibratedError,
    QuantiserConfig,
    approximate_,
    approximate_layers,
    calibrate,
    correct_,
    fold_batch_norm_,
    mode,
    output_errors,
    reestimate_batch_norm_,
    revert_correction_,
    transfer_batch_norm_,
)
from surrogate.nn.corrections.separable import separable_error
from surrogate.nn.corrections.statistics import mean_relative_error

EIGHT = OperandFormat(8, signed=True)


class Net(nn.Module):
    """A residual block with batch normalisations, and a classifier without."""

    def __init__(self, bias=False):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 8, 3, padding=1, bias=bias), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=bias), nn.BatchNorm2d(8)
        self.shortcut = nn.Conv2d(2, 8, 1)
        self.classifier = nn.Linear(8 * 36, 4)

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return self.classifier(torch.relu(y + self.shortcut(x)).flatten(1))


def plain():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def data(n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(32, 2, 6, 6, generator=generator) + 0.3 for _ in range(n)]


def converted(model, multiplier="mitchell8s", **options):
    torch.manual_seed(0)
    for _ in range(30):
        model.train()(torch.randn(32, 2, 6, 6) + 0.3)
    model.eval()
    approximate_(model, ApproxConfig(multiplier=multiplier, **options))
    calibrate(model, data())
    return model


@pytest.fixture
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def net(seeded):
    return converted(Net())


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# ---------------------------------------------------------------- batch normalisation


@pytest.mark.parametrize("bias", [False, True])
def test_statistics_scale_with_the_mean_relative_error(seeded, bias):
    model = converted(Net(bias))
    table = get("mitchell8s").table()
    values = EIGHT.values()
    exact = values[:, None] * values[None, :]
    e = (table[exact != 0] / exact[exact != 0] - 1).mean()
    before = copy.deepcopy(model)
    found = {c.layer: c for c in correct_(model, method="analytic")}
    for layer, norm in (("conv1", "bn1"), ("conv2", "bn2")):
        old, new = before.get_submodule(norm), model.get_submodule(norm)
        b = before.get_submodule(layer).bias.detach().numpy() if bias else 0
        mean = b + (1 + e) * (old.running_mean.numpy() - b)
        np.testing.assert_allclose(new.running_mean.numpy(), mean, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(new.running_var.numpy(), (1 + e) ** 2 * old.running_var.numpy(), rtol=1e-5)
        assert (found[layer].norm, found[layer].method) == (norm, "analytic")
        assert found[layer].gain == pytest.approx(1 + e)
    assert found["shortcut"].method == found["classifier"].method == "none"


def test_a_multiplier_that_only_scales_is_corrected_to_what_it_was(seeded):
    """Products of 3 a b where a b is meant: e = 2."""
    thrice = CallableMultiplier(lambda a, b: 3 * a * b, EIGHT, EIGHT, name="thrice")
    model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8, eps=1e-12))
    converted(model, thrice)
    x = data(1)[0]
    with mode(model, "quantised"), torch.no_grad():
        wanted = model(x)
    assert (model(x) - wanted).abs().max() > 1
    for method, batches in (("analytic", None), ("gain", data())):
        correct_(model, batches, method)
        torch.testing.assert_close(model(x), wanted, rtol=1e-3, atol=1e-4)


def test_gains_are_those_of_the_outputs(net):
    before = copy.deepcopy(net)
    errors = output_errors(net, data())
    found = {c.layer: c for c in correct_(net, data(), "gain")}
    x = torch.cat(data())
    layer = before.conv1
    with torch.no_grad():
        approximate = layer(x).double().numpy()
        layer.mode = "quantised"
        y = layer(x).double().numpy()
    y, error = y.swapaxes(0, 1).reshape(8, -1), (approximate - y).swapaxes(0, 1).reshape(8, -1)
    centred = y - y.mean(axis=1, keepdims=True)
    gain = 1 + (centred * error).sum() / (centred**2).sum()
    assert found["conv1"].gain == pytest.approx(gain, rel=1e-6)
    assert errors["conv1"].gain == pytest.approx(gain, rel=1e-6)
    mean = before.bn1.running_mean.numpy()
    shifted = mean + error.mean(axis=1) + (gain - 1) * (mean - y.mean(axis=1))
    np.testing.assert_allclose(net.bn1.running_mean.numpy(), shifted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.bn1.running_var.numpy(), gain**2 * before.bn1.running_var.numpy(), rtol=1e-5)


def test_statistics_are_averages_over_the_batches(seeded):
    model = converted(nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)))
    assert reestimate_batch_norm_(model, data()) == ("1",)
    with torch.no_grad():
        outputs = [model[0](x).double().numpy().swapaxes(0, 1).reshape(4, -1) for x in data()]
    np.testing.assert_allclose(model[1].running_mean.numpy(), np.mean([y.mean(axis=1) for y in outputs], axis=0), 1e-4)
    variances = [y.var(axis=1, ddof=1) for y in outputs]
    np.testing.assert_allclose(model[1].running_var.numpy(), np.mean(variances, axis=0), rtol=1e-4)
    assert not model.training
    assert model[1].momentum == 0.1


def test_transferred_statistics_are_those_of_training_changed_by_what_the_products_change(seeded):
    model = converted(nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)))
    before = copy.deepcopy(model[1])
    assert transfer_batch_norm_(model, data()) == ("1",)
    estimates = []
    for name in ("quantised", "approximate"):
        with mode(model, name), torch.no_grad():
            outputs = [model[0](x).double().numpy().swapaxes(0, 1).reshape(4, -1) for x in data()]
        estimates.append([np.mean([f(y) for y in outputs], axis=0) for f in (lambda y: y.mean(1), lambda y: y.var(1))])
    (mean, variance), (mean_now, variance_now) = estimates
    np.testing.assert_allclose(model[1].running_mean.numpy(), before.running_mean.numpy() + mean_now - mean, rtol=1e-4)
    np.testing.assert_allclose(model[1].running_var.numpy(), before.running_var.numpy() * variance_now / variance, 1e-4)
    assert model[1].num_batches_tracked == before.num_batches_tracked


def test_ranges_and_weights_stay_as_they_are(net):
    before = state(net)
    reestimate_batch_norm_(net, data())
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.partition(".")[0] for name in changed} == {"bn1", "bn2"}


def test_corrections_bring_outputs_back(seeded):
    """Three normalised layers of a multiplier that loses a sixth of its products on average."""
    layers = [part for _ in range(3) for part in (nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())]
    model = converted(nn.Sequential(nn.Conv2d(2, 8, 1), *layers), "mitchw8s_w3c2")
    x = data(1, seed=9)[0]
    with mode(model, "quantised"), torch.no_grad():
        reestimate_batch_norm_(model, data(20, seed=1))  # moving averages still hold some of their initial values
        wanted = model(x)

    def distance():
        with torch.no_grad():
            return float((model(x) - wanted).square().mean().sqrt() / wanted.std())

    left = {"none": distance()}
    for method, batches in (("analytic", None), ("gain", data(20)), ("auto", data(20))):
        correct_(model, batches, method)
        left[method] = distance()
    assert max(left["analytic"], left["gain"]) < 0.95 * left["none"]
    assert left["auto"] < 0.5 * left["none"]


# ---------------------------------------------------------------- biases


def numpy_errors(layer, x, table):
    """Sum of the errors of each output, lane by lane, from the table; valid positions alone (no padding)."""
    config, activation, weight = layer.config, layer.activation_quantiser, layer.weight_quantiser
    step = float(activation.scale)
    codes = np.clip(np.rint(x / step) + int(activation.zero_point), activation.low, activation.high).astype(int)
    kernel, steps = layer.weight.detach().numpy(), weight.scale.numpy().reshape(-1, 1, 1, 1)
    zeros = weight.zero_point.numpy().reshape(-1, 1, 1, 1)
    w = np.clip(np.rint(kernel / steps) + zeros, weight.low, weight.high).astype(int)
    groups, size = layer.groups, kernel.shape[2]
    out = []
    for c in range(len(w)):
        first = c // (len(w) // groups) * w.shape[1]
        total = 0
        for i in range(w.shape[1]):
            for dy in range(size):
                for dx in range(size):
                    a = codes[:, first + i, dy : codes.shape[2] - size + 1 + dy, dx : codes.shape[3] - size + 1 + dx]
                    b = w[c, i, dy, dx]
                    row, column = a - config.activation_format.minimum, b - config.weight_format.minimum
                    total = total + table[row, column] - a * b
        out.append(total * step * float(weight.scale.reshape(-1)[c if weight.scale.numel() > 1 else 0]))
    return np.stack(out)  # (channels, n, height, width)


@pytest.mark.parametrize("multiplier", ["mitchell8s", "bam8s_h0v6", "mitchell8u", "bam8u_h2v5"])
def test_measured_mean_errors_are_folded_into_biases(seeded, multiplier):
    model = converted(plain(), multiplier)
    before = copy.deepcopy(model)
    found = correct_(model, data(), "bias")
    table = get(multiplier).table()
    x = torch.cat(data()).numpy()
    mean = numpy_errors(before[0], x, table).reshape(6, -1).mean(axis=1)
    np.testing.assert_allclose(model[0].bias.detach().numpy(), -mean, rtol=1e-4, atol=1e-6)
    with mode(before, "quantised"), torch.no_grad():
        inner = torch.relu(before[0](torch.cat(data()))).numpy()
    mean = numpy_errors(before[2], inner, table).reshape(4, -1).mean(axis=1)
    corrected = (before[2].bias - model[2].bias).detach().numpy()
    np.testing.assert_allclose(corrected, mean, rtol=1e-4, atol=1e-6)
    assert [c.method for c in found] == ["bias"] * 3
    assert found[1].mean_error == pytest.approx(np.sqrt((mean**2).mean()), rel=1e-4)


def test_separable_errors_are_corrected_exactly_without_data(seeded):
    """E(a, w) = 50 + 30 (w mod 4): the same whatever the activations."""
    biased = CallableMultiplier(lambda a, b: a * b + 50 + 30 * (b % 4), EIGHT, EIGHT, name="separable")
    model = converted(plain(), biased)
    x = data(1)[0]
    with mode(model, "quantised"), torch.no_grad():
        wanted = model(x)
    assert (model(x) - wanted).abs().max() > 0.05
    found = correct_(model, method="bias")
    torch.testing.assert_close(model(x), wanted, rtol=1e-4, atol=1e-4)
    assert all(c.mean_error == c.separable > 0 for c in found)


@pytest.mark.parametrize(("multiplier", "index"), [("mitchw8s_w4c1", 2), ("mitchell8u", 0)])
def test_the_separable_part_is_a_regression_of_each_weights_errors(seeded, multiplier, index):
    """Of activations after a rectifier, and of affine ones of both signs."""
    model = converted(plain(), multiplier)
    layer, table = model[index], get(multiplier).table()
    observed, weight = layer.activation_quantiser, layer.weight_quantiser
    low, high = get(multiplier).a.minimum, get(multiplier).a.maximum
    step, zero = float(observed.scale), int(observed.zero_point)
    ends = [min(0.0, float(observed.minimum)), max(0.0, float(observed.maximum))]
    first, last = np.clip(np.rint(np.array(ends) / step).astype(int) + zero, low, high)
    a = np.arange(first, last + 1)
    shape = (-1, 1, 1, 1)
    w = np.rint(
        layer.weight.detach().numpy() / weight.scale.numpy().reshape(shape)
    ) + weight.zero_point.numpy().reshape(shape)
    expected = []
    for channel, scale in zip(np.clip(w, low, high).astype(int), weight.scale.numpy(), strict=True):
        errors = [table[a - low, b - low] - a * b for b in channel.ravel()]
        expected.append(sum(np.polyfit(a - zero, e, 1)[1] for e in errors) * step * float(scale))
    np.testing.assert_allclose(separable_error(layer).numpy(), expected, rtol=1e-5, atol=1e-7)
    assert np.abs(expected).max() > 0


def test_biases_shift_running_means_where_there_are_some(net):
    before = copy.deepcopy(net)
    errors = output_errors(net, data())
    correct_(net, data(), "bias")
    assert net.conv1.bias is None
    shifted = before.bn1.running_mean.double() + errors["conv1"].error_mean
    torch.testing.assert_close(net.bn1.running_mean, shifted.float())
    assert torch.equal(net.bn1.running_var, before.bn1.running_var)
    torch.testing.assert_close(
        net.shortcut.bias.double(), before.shortcut.bias.double() - errors["shortcut"].error_mean
    )


def test_models_of_surrogates_alone_are_corrected_for_these(seeded):
    multiplier = get("bfloat10s")
    model = converted(Net(), None, surrogate=surrogate.discover(multiplier))
    assert [c.method for c in correct_(model, data())] == ["transfer", "transfer", "bias", "bias"]
    e = error_metrics(multiplier).relative_bias
    assert -0.003 < e < 0
    assert mean_relative_error(model.conv1.config) == pytest.approx(e, rel=1e-9)
    assert correct_(model)[0].gain == pytest.approx(1 + e)


# ---------------------------------------------------------------- once, and back


@pytest.mark.parametrize("method", ["analytic", "gain", "reestimate", "transfer", "bias", "auto"])
def test_twice_is_once_and_all_can_be_taken_back(net, method):
    before = state(net)
    batches = None if method == "analytic" else data()
    first = correct_(net, batches, method)
    corrected = state(net)
    assert not same(corrected, before)
    correct_(net, data(), "auto")
    assert correct_(net, batches, method) == first
    assert same(state(net), corrected)
    assert set(revert_correction_(net)) >= {"bn1", "bn2"}
    assert same(state(net), before)
    assert revert_correction_(net) == ()


def test_added_biases_are_taken_away_again(seeded):
    model = converted(plain())
    correct_(model, data())
    assert isinstance(model[0].bias, nn.Parameter)
    other = copy.deepcopy(model)
    assert revert_correction_(other) == ("0", "2", "5")  # copies know what was corrected, too
    assert other[0].bias is None
    assert model[0].bias is not None


def test_what_has_been_trained_since_stays(net):
    correct_(net, data())
    net.bn1.running_mean.add_(1)
    trained = net.bn1.running_mean.clone()
    assert "bn1" not in revert_correction_(net)
    assert torch.equal(net.bn1.running_mean, trained)


@pytest.mark.parametrize("estimate", [reestimate_batch_norm_, transfer_batch_norm_])
def test_a_failure_leaves_statistics_as_they_were(net, estimate):
    correct_(net, method="analytic")
    before = state(net)

    class Broken(list):
        calls = 0

        def __iter__(self):
            Broken.calls += 1
            yield self[0]
            if estimate is reestimate_batch_norm_ or Broken.calls == 2:
                raise RuntimeError("no more images")

    with pytest.raises(RuntimeError, match="no more images"):
        estimate(net, Broken(data(1)))
    assert same(state(net), before)
    assert net.bn1.momentum == 0.1
    assert net.conv1.mode == "approximate"
    with pytest.raises(ConversionError, match="pass at least one batch"):
        estimate(net, [])
    assert same(state(net), before)
    assert set(revert_correction_(net)) == {"bn1", "bn2"}


def test_statistics_that_the_user_estimated_are_not_taken_back(net):
    reestimate_batch_norm_(net, data())
    before = state(net)
    correct_(net, data())
    revert_correction_(net)
    assert same(state(net), before)


# ---------------------------------------------------------------- what is refused


def test_models_that_cannot_be_corrected_say_why(net):
    with pytest.raises(ConversionError, match="no approximate layer; call approximate_"):
        correct_(Net())
    fresh = Net()
    approximate_(fresh, ApproxConfig(multiplier="mitchell8s"))
    with pytest.raises(NotCalibratedError, match="'conv1' has not seen the range"):
        correct_(fresh)
    with (
        mode(net, "quantised"),
        pytest.raises(ConversionError, match="'conv1' multiplies accurately, in mode 'quantised'"),
    ):
        correct_(net)
    with pytest.raises(ConversionError, match="method must be one of"):
        correct_(net, method="kim")
    for method in ("gain", "reestimate", "transfer"):
        with pytest.raises(ConversionError, match=f"method='{method}' measures on data; pass batches"):
            correct_(net, method=method)
    with pytest.raises(ConversionError, match="needs no data"):
        correct_(net, data(), "analytic")
    with pytest.raises(ConversionError, match="iterates the batches more than once"):
        correct_(net, iter(data()))


def test_without_batch_normalisation_the_statistics_cannot_be_corrected(seeded):
    model = Net()
    model.train()(data(1)[0])
    model.eval()
    fold_batch_norm_(model)
    converted(model)
    before = state(model)
    for method, batches in (("analytic", None), ("auto", None), ("gain", data())):
        with pytest.raises(ConversionError, match="if they have been folded, or there are none, correct biases"):
            correct_(model, batches, method)
    with pytest.raises(ConversionError, match="no batch normalisation with running statistics; if"):
        correct_(model, data(), "reestimate")
    assert same(state(model), before)
    assert {c.method for c in correct_(model, data())} == {"bias"}


def test_formulas_refuse_zero_points_and_measurements_do_not(seeded):
    model = converted(Net(), "mitchell8u")
    with pytest.raises(ConversionError, match="'conv1', 'conv2' have operands with zero points"):
        correct_(model)
    correct_(model, data(), "gain")
    symmetric = QuantiserConfig(scheme="symmetric")
    approximate_(model, ApproxConfig(multiplier="mitchell8s", activation=symmetric))
    calibrate(model, data())
    assert len(list(approximate_layers(model))) == len(correct_(model))
