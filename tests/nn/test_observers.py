"""Ranges by each rule, against plain definitions on all values at once."""

import copy
import itertools

import numpy as np
import pytest
import torch

from multipliers import OperandFormat
from surrogate.nn import ApproxConfig, ApproxLinear, QuantisationError, Quantiser, QuantiserConfig, calibrate
from surrogate.nn.quantisation.observers import BINS, AffineGrid, Histogram, Samples, percentile_range

FORMATS = [OperandFormat(bits, signed) for bits in (2, 3, 4, 8, 12, 16) for signed in (False, True)]


def long_tailed(*shape, seed):
    return torch.from_numpy(np.random.default_rng(seed).laplace(size=shape).astype(np.float32))


def squared_error(x, low, high, operand, symmetric):
    """Mean squared quantisation error in NumPy float64, channel by channel."""
    x, low, high = np.asarray(x, np.float64), min(float(low), 0.0), max(float(high), 0.0)
    smallest, largest, zero_point = operand.minimum, operand.maximum, 0
    if not symmetric:
        scale = (high - low) / (largest - smallest)
        zero_point = np.clip(np.rint(smallest - low / scale), smallest, largest)
    elif operand.signed:
        scale = max(-low, high) / largest
    else:
        zero_point = (largest + 1) // 2 if low < 0 else 0
        scale = max(-low, high) / (largest - zero_point)
    q = np.clip(np.rint(x / scale) + zero_point, smallest, largest)
    return np.mean((scale * (q - zero_point) - x) ** 2)


@pytest.mark.parametrize("operand", FORMATS, ids=str)
@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("two_sided", [True, False])
def test_the_range_of_least_squares_is_as_good_as_a_search_of_all_pairs_of_ends(operand, scheme, two_sided):
    x = long_tailed(500, seed=4)
    x = x if two_sided else x.abs()
    quantiser = Quantiser(QuantiserConfig(scheme=scheme, observer="mse"), operand)
    quantiser.observe(x)
    symmetric = scheme == "symmetric"
    found = squared_error(x, quantiser.minimum, quantiser.maximum, operand, symmetric)
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    factors = np.arange(1, 33) / 32
    pairs = zip(factors, factors, strict=True) if symmetric else itertools.product(factors, factors)
    best = min(squared_error(x, low * f, high * g, operand, symmetric) for f, g in pairs)
    assert found <= 1.1 * best
    x_hat, _ = quantiser(x)
    assert float(((x_hat - x) ** 2).mean()) == pytest.approx(found, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_least_squares_beats_the_whole_range_on_long_tails(bits):
    x = long_tailed(4000, seed=1)
    errors = {}
    for observer in ("minmax", "mse"):
        quantiser = Quantiser(QuantiserConfig(observer=observer), OperandFormat(bits, True))
        quantiser.observe(x)
        errors[observer] = float(((quantiser(x)[0] - x) ** 2).mean())
    assert errors["mse"] < 0.5 * errors["minmax"]


def test_least_squares_per_channel_is_that_of_each_channel():
    w = long_tailed(3, 40, seed=2) * torch.tensor([[1.0], [100.0], [0.0]])
    operand = OperandFormat(4, True)
    together = Quantiser(QuantiserConfig(observer="mse", granularity="channel"), operand, channels=3)
    together.observe(w)
    for channel in range(3):
        alone = Quantiser(QuantiserConfig(observer="mse"), operand, channels=1)
        alone.observe(w[channel])
        assert float(alone.scale) == float(together.scale[channel])
    assert float(together.scale[2]) == 1.0  # a channel of zeros


@pytest.mark.parametrize("percentile", [60.0, 90.0, 99.0, 100.0])
@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_percentiles_leave_their_share_outside(percentile, n):
    x = long_tailed(2, n, seed=n)
    low, high = percentile_range(Samples.of(x), percentile)
    tail = (100 - percentile) / 200 * n
    for row, bottom, top in zip(x, low, high, strict=True):
        assert int((row < bottom).sum()) <= tail < int((row <= bottom).sum()) + 1e-6
        assert int((row > top).sum()) <= tail + 1e-6
        assert {float(bottom), float(top)} <= {float(v) for v in row}
    if percentile == 100:
        assert torch.equal(low, x.min(dim=1).values)
        assert torch.equal(high, x.max(dim=1).values)


def test_percentiles_in_calibration_are_those_of_all_batches():
    batches = [long_tailed(3000, seed=s) * scale for s, scale in ((0, 0.01), (1, 1.0), (2, 30.0))]
    quantiser = Quantiser(QuantiserConfig(observer="percentile", percentile=98.0), OperandFormat(8, True))
    for batch in batches:
        quantiser.observe(batch, "extend")
    everything = torch.cat(batches)
    width = 4 * float(everything.abs().max()) / BINS
    assert float(quantiser.minimum) == pytest.approx(
        float(np.percentile(everything, 1, method="inverted_cdf")), abs=width
    )
    assert float(quantiser.maximum) == pytest.approx(
        float(np.percentile(everything, 99, method="inverted_cdf")), abs=width
    )
    quantiser.reset()
    quantiser.observe(batches[0], "extend")
    assert float(quantiser.maximum) == pytest.approx(
        float(np.percentile(batches[0], 99, method="inverted_cdf")), abs=width / 1000
    )


def test_moving_averages_in_calibration_are_those_of_the_batches():
    quantiser = Quantiser(QuantiserConfig(observer="moving_average", momentum=0.5), OperandFormat(8, True))
    for top in (1.0, 3.0, 8.0):
        quantiser.observe(torch.tensor([0.0, top]), "extend")
    assert float(quantiser.maximum) == 5.0


@pytest.mark.parametrize("observer", ["percentile", "mse"])
def test_while_training_ranges_of_batches_are_averaged(observer):
    config = QuantiserConfig(observer=observer, percentile=80.0, momentum=0.25)
    batches = [long_tailed(100, seed=s) for s in (1, 2)]
    tops = []
    for batch in batches:
        alone = Quantiser(config, OperandFormat(4, True))
        alone.observe(batch)
        tops.append(float(alone.maximum))
    quantiser = Quantiser(config, OperandFormat(4, True))
    for batch in batches:
        quantiser.observe(batch, "average")
    assert float(quantiser.maximum) == pytest.approx(0.75 * tops[0] + 0.25 * tops[1])


def test_histograms_lose_no_value_and_merge_pairs_of_bins():
    histogram, values = Histogram(2), []
    for scale in (0.0, 1e-6, 0.3, 1.0, 0.7, 500.0):
        batch = long_tailed(2, 50, seed=9) * scale
        histogram.add(batch)
        values.append(batch)
    x = torch.cat(values, dim=1).double()
    edges = np.linspace(-histogram.reach, histogram.reach, BINS + 1)
    for channel in range(2):
        expected, _ = np.histogram(x[channel].numpy(), edges)
        np.testing.assert_array_equal(histogram.counts[channel].numpy(), expected)
    assert histogram.reach < 2 * float(x.abs().max())


@pytest.mark.parametrize("observer", ["minmax", "moving_average", "percentile", "mse"])
@pytest.mark.parametrize("how", ["replace", "extend", "average"])
def test_values_of_zero_range_or_not_finite(observer, how):
    quantiser = Quantiser(QuantiserConfig(observer=observer), OperandFormat(8, True))
    quantiser.observe(torch.zeros(5), how)
    assert float(quantiser.scale) == 1.0
    for bad in (float("nan"), float("inf")):
        with pytest.raises(QuantisationError, match="NaN or infinity"):
            quantiser.observe(torch.tensor([1.0, bad]), how)
    quantiser.observe(torch.zeros(0), how)
    assert float(quantiser.scale) == 1.0  # failures and empty tensors leave it alone
    quantiser.observe(torch.full((5,), 2.54), "replace")
    x_hat, _ = quantiser(torch.tensor([2.54]))
    assert float(x_hat) == pytest.approx(2.54, rel=0.02)


@pytest.mark.parametrize("observer", ["percentile", "mse"])
def test_a_layer_calibrates_with_its_observer(observer):
    torch.manual_seed(0)
    config = ApproxConfig(
        multiplier="exact8s",
        activation=QuantiserConfig("4s", observer=observer, percentile=90.0),
        weight=QuantiserConfig("3s", observer=observer, granularity="channel"),
    )
    layer = ApproxLinear(30, 5, config=config)
    batches = list(long_tailed(4, 20, 30, seed=3))
    calibrate(layer, batches)
    narrow = float(layer.activation_quantiser.maximum)
    assert 0 < narrow < 0.75 * float(torch.stack(batches).abs().max())
    clone = copy.deepcopy(layer.eval())
    assert torch.equal(clone(batches[0]), layer(batches[0]))
    calibrate(layer, batches[::-1])
    assert float(layer.activation_quantiser.maximum) == pytest.approx(narrow)  # the order does not matter


def test_a_range_of_no_width_has_scale_one():
    scale, zero_point = AffineGrid(OperandFormat(8), symmetric=False)(torch.zeros(2), torch.zeros(2))
    assert scale.tolist() == [1.0, 1.0]
    assert zero_point.tolist() == [0.0, 0.0]
