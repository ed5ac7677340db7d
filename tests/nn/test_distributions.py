"""Operand histograms of networks, against a count of every product one by one."""

import numpy as np
import pytest
import torch
from torch import nn

import multipliers
from multipliers import OperandFormat
from multipliers.characterise import characterise
from multipliers.distributions import OperandDistributions
from multipliers.metrics import error_metrics
from multipliers.readers.weights import read_distributions, read_weights
from multipliers.writers.weights import write_distributions
from surrogate.nn import (
    ApproxConfig,
    ApproxConv2d,
    ApproxLinear,
    ConversionError,
    NotCalibratedError,
    QuantiserConfig,
    approximate_,
    approximate_layers,
    calibrate,
    mode,
)
from surrogate.nn.distributions import from_model


def products_of_a_layer(layer, x, padding):
    """Every (activation, weight) pair that a layer multiplies, by loops over its output."""
    quantise = layer.activation_quantiser
    xq = quantise.integers(layer.expand(x)).numpy().astype(int)
    weight = layer.weight.detach()
    wq = layer.weight_quantiser.integers(weight).numpy().astype(int)
    if isinstance(layer, nn.Linear):
        rows = xq.reshape(-1, xq.shape[-1])
        return [(int(i), int(w)) for row in rows for weights in wq for i, w in zip(row, weights, strict=True)]
    (above, left), (below, right) = layer.layout().before, layer.layout().after
    zero = int(quantise.zero_point[0])
    n, channels, height, width = xq.shape
    padded = np.full((n, channels, height + above + below, width + left + right), zero)
    real = np.zeros(padded.shape, bool)
    inner = (slice(None), slice(None), slice(above, above + height), slice(left, left + width))
    padded[inner], real[inner] = xq, True
    (sh, sw), (dh, dw) = layer.stride, layer.dilation
    out, per_group, kh, kw = wq.shape
    found = []
    for image in range(n):
        for o in range(out):
            first = o // (out // layer.groups) * per_group
            for i in range(0, padded.shape[2] - (kh - 1) * dh, sh):
                for j in range(0, padded.shape[3] - (kw - 1) * dw, sw):
                    for c in range(per_group):
                        for p in range(kh):
                            for q in range(kw):
                                at = (image, first + c, i + p * dh, j + q * dw)
                                if padding or real[at]:
                                    found.append((int(padded[at]), int(wq[o, c, p, q])))
    return found


def assert_counted(found, layer, products):
    config = layer.config
    x_format, w_format = config.activation_format, config.weight_format
    x, w = (np.zeros(f.size, int) for f in (x_format, w_format))
    for value, weight in products:
        x[value - x_format.minimum] += 1
        w[weight - w_format.minimum] += 1
    expected = (x, w) if config.activation_operand == "a" else (w, x)
    formats = (x_format, w_format) if config.activation_operand == "a" else (w_format, x_format)
    assert (found.a, found.b) == formats
    np.testing.assert_array_equal(found.weights_a, expected[0])
    np.testing.assert_array_equal(found.weights_b, expected[1])
    assert found.weights_a.dtype == np.int64


def lopsided(a="6u", b="4s"):
    first, second = OperandFormat.parse(a), OperandFormat.parse(b)
    table = np.random.default_rng(5).integers(-99, 99, (first.size, second.size))
    return multipliers.TableMultiplier(table, first, second, name="lopsided")


CONVOLUTIONS = [
    {"kernel_size": 3},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (2, 3), "padding": (2, 1), "stride": (2, 1)},
    {"kernel_size": 3, "padding": "same", "dilation": 2},
    {"kernel_size": 2, "padding": "same"},  # one side more than the other
    {"kernel_size": 3, "padding": 1, "groups": 2, "stride": 3},
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    {"kernel_size": (1, 3), "padding": (0, 2), "padding_mode": "circular", "stride": 2},
]


@pytest.mark.parametrize("geometry", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("operand", ["a", "b"])
@pytest.mark.parametrize("padding", [None, True, False])
@pytest.mark.parametrize("skip", [False, True])
def test_every_product_of_a_convolution_counts(geometry, operand, padding, skip):
    torch.manual_seed(1)
    multiplier = lopsided() if operand == "a" else lopsided("4s", "6u")
    config = ApproxConfig(multiplier=multiplier, backend="table", activation_operand=operand, skip_padding=skip)
    layer = ApproxConv2d(4, 6, **geometry, config=config)
    batches = [torch.rand(2, 4, 5, 6) - 0.2, torch.rand(1, 4, 7, 5)]
    for x in batches:  # without torch's own convolution, which warns of "same" padding for even kernels
        layer.activation_quantiser.observe(x, "extend")
    products = [
        pair for x in batches for pair in products_of_a_layer(layer, x, not skip if padding is None else padding)
    ]
    found = from_model(layer, batches, padding=padding)
    assert list(found) == [""]
    assert_counted(found[""], layer, products)
    assert found[""].weights_a.sum() == found[""].weights_b.sum() == len(products)


@pytest.mark.parametrize("operand", ["a", "b"])
def test_linear_layers_of_any_leading_dimensions(operand):
    torch.manual_seed(2)
    multiplier = lopsided() if operand == "a" else lopsided("4s", "6u")
    layer = ApproxLinear(5, 3, config=ApproxConfig(multiplier=multiplier, backend="table", activation_operand=operand))
    batches = [torch.randn(4, 5), torch.randn(2, 3, 5), torch.randn(5)]
    calibrate(layer, batches)
    products = [pair for x in batches for pair in products_of_a_layer(layer, x, True)]
    assert_counted(from_model(layer, batches)[""], layer, products)


class TwoPaths(nn.Module):
    """One convolution used twice, one layer under two names, and dropout that evaluation switches off."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.norm = nn.BatchNorm2d(1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16, 3)
        self.alias = self.head

    def forward(self, x):
        y = self.drop(self.norm(self.conv(torch.relu(self.conv(x)))))
        return self.head(y.flatten(1))


def test_a_float_model_is_quantised_in_a_copy():
    torch.manual_seed(3)
    model = TwoPaths().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    batches = [(torch.rand(3, 1, 4, 4), None), (torch.rand(2, 1, 4, 4), None)]
    config = ApproxConfig(multiplier="mitchell8u")
    found = from_model(model, batches, config)
    assert list(found) == ["conv", "head"]
    assert found["conv"].weights_a.sum() == 2 * 5 * 16 * 9
    assert found["head"].weights_a.sum() == 5 * 16 * 3
    assert type(model.conv) is nn.Conv2d
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not model.conv._forward_pre_hooks

    approximate_(model, config)  # the same by hand
    calibrate(model, batches)
    with mode(model, "float"):
        by_hand = from_model(model, batches)
    assert found == by_hand
    assert from_model(model, batches) != found  # errors of the first convolution reach the second


def test_layers_of_one_multiplier_are_merged_by_their_products():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4))
    found = from_model(model, [torch.rand(2, 1, 8, 8)], ApproxConfig(multiplier="drum8u_k4"))
    merged = OperandDistributions.merged(found.values())
    np.testing.assert_array_equal(merged.weights_a, found["0"].weights_a + found["3"].weights_a)
    assert merged.weights_b.sum() == 2 * (36 * 9 * 2 + 72 * 4)
    with pytest.raises(multipliers.ParameterError, match="8u x 8u and of 4u x 4u"):
        OperandDistributions.merged([merged, OperandDistributions(*[OperandFormat(4)] * 2, *[np.ones(16)] * 2)])
    with pytest.raises(multipliers.ParameterError, match="no distributions"):
        OperandDistributions.merged([])


def test_batches_split_in_any_way_give_the_same(monkeypatch):
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, stride=2))
    images = torch.randn(6, 2, 9, 9)
    approximate_(model, ApproxConfig(multiplier="drum8s_k4"))
    calibrate(model, [images])
    whole = from_model(model, [images])
    assert from_model(model, [images[:1], images[1:5], images[5:]]) == whole
    assert from_model(model, iter([images[0], *images[1:].split(1)])) == whole  # unbatched, and a generator
    monkeypatch.setattr("surrogate.nn.distributions.BLOCK", 200)
    assert from_model(model, [images]) == whole


def test_narrower_integers_lie_within_the_operand():
    config = ApproxConfig(multiplier="exact8s", weight=QuantiserConfig(operand="4s"), activation=QuantiserConfig("6s"))
    found = from_model(nn.Linear(8, 8), [torch.randn(9, 8)], config)[""]
    assert np.flatnonzero(found.weights_a).min() >= 128 - 32
    assert np.flatnonzero(found.weights_b).max() <= 128 + 7


def test_distributions_weight_characterisation_and_are_stored(tmp_path):
    torch.manual_seed(6)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    m = multipliers.get("mitchell8u")
    found = from_model(model, [torch.rand(4, 1, 8, 8)], ApproxConfig(multiplier=m))["2"]
    weighted = error_metrics(m, found.weights_a, found.weights_b)
    p, q = (w / w.sum() for w in (found.weights_a, found.weights_b))
    error = m.error(np.arange(256)[:, None], np.arange(256))
    assert weighted.mean_error == pytest.approx(p @ error @ q)
    assert characterise(m, found.weights_a, found.weights_b).metrics == weighted
    path = write_distributions(found, tmp_path / "layer.npz")
    assert read_distributions(path) == found
    np.testing.assert_array_equal(read_weights(path, "a"), found.weights_a)
    np.testing.assert_array_equal(read_weights(path, "b"), found.weights_b)


def test_progress_and_other_signatures():
    layer, done = nn.Linear(3, 2), []
    config = ApproxConfig(multiplier="exact8s")
    batches = [{"x": torch.rand(2, 3)}, {"x": torch.rand(1, 3)}]
    found = from_model(layer, batches, config, forward=lambda model, batch: model(batch["x"]), progress=done.append)
    assert (found[""].weights_a.sum(), done) == (18, [1, 2])


def test_what_is_refused():
    config = ApproxConfig(multiplier="exact8s")
    with pytest.raises(ConversionError, match="no approximate layer; pass config="):
        from_model(nn.Linear(2, 2), [torch.rand(1, 2)])
    with pytest.raises(ConversionError, match="iterated twice"):
        from_model(nn.Linear(2, 2), iter([torch.rand(1, 2)]), config)
    model = nn.Linear(2, 2)
    approximate_(model, config)
    hooks = dict(model._forward_pre_hooks)
    with pytest.raises(NotCalibratedError, match="calibrate"):
        from_model(model, [torch.rand(1, 2)])
    calibrate(model, [torch.rand(1, 2)])
    with pytest.raises(ConversionError, match="never reached the model itself"):
        from_model(model, [])
    with pytest.raises(ConversionError, match="must be a tensor"):
        from_model(model, [None])
    assert model._forward_pre_hooks == hooks
    assert len(list(approximate_layers(model))) == 1
