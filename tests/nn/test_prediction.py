"""Predicted accuracy: moments against enumeration, sensitivities against differences, ranks against measurements."""

import copy
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from catalog.datasets import digits
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier, get
from surrogate.nn import ApproxConfig, ConversionError, NotCalibratedError, approximate_, approximate_layers, calibrate
from surrogate.nn.networks import LeNet5
from surrogate.nn.prediction import AccuracyPredictor, LayerOperands, MarginChange, measure_sensitivities, output_error
from surrogate.nn.training import Images, accuracy, train

EXACT = ApproxConfig(multiplier="exact8s")


def labelled(model, shape, n=48, seed=0, parts=2):
    images = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        classes = model.eval()(images).argmax(dim=1)
    return list(zip(images.chunk(parts), classes.chunk(parts), strict=True))


@pytest.mark.parametrize("activation_operand", ["a", "b"])
def test_moments_are_those_of_all_activations_that_can_occur(activation_operand):
    rng = np.random.default_rng(1)
    formats = OperandFormat(3), OperandFormat(4, True)
    if activation_operand == "b":
        formats = formats[::-1]
    multiplier = TableMultiplier(rng.integers(-60, 60, (formats[0].size, formats[1].size)), *formats)
    activation, weight = formats if activation_operand == "a" else formats[::-1]
    values, shares = activation.values()[1:6], rng.dirichlet(np.ones(5))
    weights = rng.integers(weight.minimum, weight.maximum + 1, (2, 3))
    zero, scale = np.array([1, -2]), np.array([0.5, 0.25])
    operands = LayerOperands(formats, activation_operand, values, shares, weights, zero, scale, 6.0, 1.0)
    found = output_error(operands, multiplier)

    for channel in range(2):
        outputs, errors, chances = [], [], []
        for picked in itertools.product(range(5), repeat=3):
            x, w = values[list(picked)], weights[channel]
            product = multiplier(x, w) if activation_operand == "a" else multiplier(w, x)
            errors.append(scale[channel] * (product - x * w).sum())
            outputs.append(scale[channel] * (x * (w - zero[channel])).sum())
            chances.append(shares[list(picked)].prod())
        d, y, p = map(np.array, (errors, outputs, chances))
        mean, y = p @ d, y - p @ y
        gain = p @ (y * d) / (p @ y**2)
        assert found.shift[channel] == pytest.approx(mean)
        assert found.gain[channel] == pytest.approx(gain)
        assert found.variance[channel] == pytest.approx(p @ (d - mean - gain * y) ** 2)


def test_weights_of_zero_have_no_gain():
    form = OperandFormat(3, True)
    multiplier = CallableMultiplier(lambda a, b: a * b + a, form, form)
    shares = np.full(8, 1 / 8)
    operands = LayerOperands(
        (form, form), "a", form.values(), shares, np.zeros((1, 2), int), np.zeros(1), np.ones(1), 2, 1
    )
    found = output_error(operands, multiplier)
    assert found.gain == [0]
    assert found.variance == pytest.approx(2 * np.var(form.values()))


def test_sensitivities_are_differences_of_margins():
    """Of a network of two linear layers, for which first order is all there is, quantised finely."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(48, 4))
    batches = labelled(model, (1, 6, 6))
    approximate_(model, ApproxConfig(multiplier="exact12s"))
    calibrate(model, batches)
    found = measure_sensitivities(model, batches, rivals=2)
    assert found.margins.shape == (48, 2)
    assert (found.margins >= 0).all()
    assert (found.margins[:, 0] <= found.margins[:, 1]).all()
    assert found.layers["0"].n_outputs == 48
    assert found.layers["2"].n_outputs == 4

    x, classes = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        y = model[0].accurate(x)
        scores = model[2].accurate(y.flatten(1))
        rivals = scores.scatter(1, classes[:, None], -torch.inf).topk(2, dim=1).indices

        def margins(y):
            scores = model[2].accurate(y.flatten(1))
            return scores.gather(1, classes[:, None]) - scores.gather(1, rivals)

        shifted, scaled = y.clone(), y.clone()
        shifted[:, 1] += 0.1
        scaled[:, 2] += 0.1 * (y[:, 2] - y[:, 2].mean())
        base = margins(y)
    assert found.margins == pytest.approx(base.numpy(), abs=1e-3)
    sensitivity = found.layers["0"]
    assert 0.1 * sensitivity.shift[:, :, 1] == pytest.approx((margins(shifted) - base).detach().numpy(), abs=2e-3)
    assert 0.1 * sensitivity.gain[:, :, 2] == pytest.approx((margins(scaled) - base).detach().numpy(), abs=2e-3)


def test_a_constant_error_in_the_last_layer_is_predicted_exactly():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 4))
    batches = labelled(model, (5,), n=200)
    off = TableMultiplier(get("exact8s").table() + 150, "8s", name="off")
    predictor = AccuracyPredictor.measure(model, batches, EXACT)
    prediction = predictor.predict(off)
    approximate_(model, EXACT)
    calibrate(model, batches)
    for multiplier, expected in ((get("exact8s"), prediction.accurate), (off, prediction.accuracy)):
        approximate_(model, replace(EXACT, multiplier=multiplier))
        right = [(model(x).argmax(dim=1) == y).float() for x, y in batches]
        assert expected == pytest.approx(float(torch.cat(right).mean()), abs=1e-6)
    assert prediction.loss > 0.02
    assert AccuracyPredictor.measure(model, batches, corrected=True).predict(off).loss == 0


def test_accuracy_is_the_chance_that_the_least_margin_stays_positive():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 3))
    predictor = AccuracyPredictor.measure(model, labelled(model, (4,)), EXACT)
    margins = predictor.sensitivities.margins.astype(float)
    change = MarginChange(np.full(margins.shape, -0.1), np.full(margins.shape, 0.04))
    chances = [min(0.5 * math.erfc(-(m - 0.1) / 0.2 / math.sqrt(2)) for m in image) for image in margins]
    assert predictor.prediction(change).accuracy == pytest.approx(np.mean(chances))
    certain = change - MarginChange(np.zeros(margins.shape), np.full(margins.shape, 0.05))  # none is left, not less
    assert predictor.prediction(certain).accuracy == (margins.min(axis=1) > 0.1).mean()


def test_in_place_activations_frozen_weights_groups_and_tokens_are_measured():
    torch.manual_seed(2)
    first = nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.Flatten(2)
    model = nn.Sequential(*first, nn.Linear(16, 6), nn.Flatten(), nn.Linear(24, 3))
    model.requires_grad_(requires_grad=False)
    batches = labelled(model, (2, 4, 4))
    before = copy.deepcopy(model.state_dict())
    predictor = AccuracyPredictor.measure(model, batches, EXACT)
    other = copy.deepcopy(model)
    other[1] = nn.ReLU()
    for layer, sensitivity in AccuracyPredictor.measure(other, batches, EXACT).sensitivities.layers.items():
        np.testing.assert_allclose(predictor.sensitivities.layers[layer].gain, sensitivity.gain)
    assert type(model[0]) is nn.Conv2d
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert predictor.layers == ("0", "3", "5")
    assert predictor.n_products == {"0": 4 * 16 * 9, "3": 4 * 16 * 6, "5": 72}
    assert predictor.sensitivities.layers["3"].shift.shape == (48, 2, 6)
    assert predictor.predict("exact8s").loss == 0
    assert predictor.predict({}).loss == 0


def test_skipped_padding_is_no_product():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(18, 2))
    batches = labelled(model, (1, 3, 3))
    all_lanes, skipping = (
        AccuracyPredictor.measure(model, batches, replace(EXACT, skip_padding=skip)).operands["0"]
        for skip in (False, True)
    )
    assert (all_lanes.n_products, all_lanes.coverage) == (162, 1)
    assert (skipping.n_products, skipping.coverage) == (98, pytest.approx(49 / 81))


def test_very_many_activation_values_are_sampled_at_equal_steps(monkeypatch):
    from surrogate.nn.prediction import moments

    monkeypatch.setattr(moments, "MAX_PAIRS", 400)
    values, counts = np.arange(1000), np.r_[np.zeros(500), np.arange(500)]
    found, shares = moments._representatives(values, counts, n_weights=4)
    assert len(found) == 100
    assert found.min() > 500
    assert shares @ found == pytest.approx(counts @ values / counts.sum(), rel=1e-3)


def test_ranking_agrees_with_measured_accuracies(one_thread):
    images = Images.from_arrays(*digits())
    model = LeNet5.seeded(0, 8)
    train(model, images, steps=150, learning_rate=0.05)
    batches = list(zip(images.x_train[:256].split(64), images.y_train[:256].split(64), strict=True))
    approximate_(model, EXACT)
    calibrate(model, batches)
    predictor = AccuracyPredictor.measure(model, batches)
    labels = [
        *(
            "bam8s_h0v4",
            "bam8s_h2v5",
            "ppp8s_j0k3",
            "ppp8s_j0k6",
            "trunc8s_t2",
            "trunc8s_t3",
            "drum8s_k4",
            "mitchell8s",
        ),
        *("etm8s", "asm8s_n1", "asm8s_n2", "ssm8s_m5", "akbari8s_v1", "bbm8s_k1v5", "r4abm8s_e1p6", "momeni8s_v1"),
    ]
    told = []
    ranked = predictor.rank(labels, told=lambda done, name: told.append((done, name)))
    assert told == list(enumerate(labels, 1))
    accuracies = [one.prediction.accuracy for one in ranked]
    assert accuracies == sorted(accuracies, reverse=True)
    measured = []
    for one in ranked:
        approximate_(model, ApproxConfig(multiplier=one.multiplier, backend="table"))
        measured.append(accuracy(model, images.x_test, images.y_test))
    assert min(measured) < 0.3  # or there would be nothing to rank
    assert spearmanr(accuracies, measured).statistic > 0.8


def test_what_cannot_be_predicted_is_refused():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    batches = labelled(model, (5,))
    predictor = AccuracyPredictor.measure(model, batches, EXACT)
    with pytest.raises(ConversionError, match=r"drum8u_k4 multiplies 8u x 8u operands, .*'0' was measured for 8s"):
        predictor.predict("drum8u_k4")
    with pytest.raises(ConversionError, match="there is no layer 'first'; layers: '0', '2'"):
        predictor.predict({"first": "drum8s_k4"})
    with pytest.raises(ConversionError, match="more than once"):
        AccuracyPredictor.measure(model, iter(batches), EXACT)
    with pytest.raises(ConversionError, match="no approximate layer"):
        AccuracyPredictor.measure(model, batches)
    with pytest.raises(ConversionError, match="no approximate layer"):
        measure_sensitivities(model, batches)
    approximate_(model, EXACT)
    with pytest.raises(NotCalibratedError):
        AccuracyPredictor.measure(model, batches)
    calibrate(model, batches)
    x, y = batches[0]
    for wrong, said in (
        ([x], "images and their classes, two tensors, got Tensor"),
        ([(x, y[:3])], "24 images needs as many whole numbers"),
        ([(x, y + 3)], "classes must be from 0 to 2"),
        ([], "at least one batch"),
    ):
        with pytest.raises(ConversionError, match=said):
            measure_sensitivities(model, wrong)
    with pytest.raises(ConversionError, match="scores"):
        measure_sensitivities(nn.Sequential(model, nn.Flatten(0)), batches)


def test_a_layer_that_is_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x))

    model = Twice()
    batches = labelled(model, (4,))
    with pytest.raises(ConversionError, match="layer 'layer' is called twice"):
        AccuracyPredictor.measure(model, batches, EXACT)
    assert not list(approximate_layers(model))
