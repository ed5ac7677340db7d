"""Approximate layers against the NumPy oracle: equal as integers, and equal outputs after rescaling."""

import numpy as np
import pytest
import torch
from torch import nn

import multipliers
import surrogate
from multipliers import TableMultiplier
from surrogate.nn import (
    ApproxConfig,
    ApproxConv2d,
    ApproxLinear,
    ConversionError,
    NotCalibratedError,
    QuantiserConfig,
    calibrate,
)
from tests.nn.conftest import FORMATS, asymmetric_table, check_against_oracle, configurations, image


def conv_layers(multiplier, *args, seed=3, config=None, **kwargs):
    for one in configurations(multiplier, **(config or {})):
        torch.manual_seed(seed)
        yield ApproxConv2d(*args, **kwargs, config=one)


def zeros_pad(*width):
    left, right, above, below = width
    return lambda x: np.pad(x, ((0, 0), (0, 0), (above, below), (left, right)))


CONVOLUTIONS = {
    "plain": ((3, 4, 3), {}, (0, 0, 0, 0)),
    "padded": ((2, 3, 3), {"padding": 1}, (1, 1, 1, 1)),
    "strided": ((2, 4, (3, 2)), {"stride": (2, 1), "padding": (2, 1)}, (1, 1, 2, 2)),
    "dilated": ((2, 2, 3), {"dilation": 2, "padding": 2}, (2, 2, 2, 2)),
    "grouped": ((4, 6, 3), {"groups": 2, "padding": 1}, (1, 1, 1, 1)),
    "depthwise": ((4, 4, 3), {"groups": 4, "padding": 1}, (1, 1, 1, 1)),
    "depthwise multiplied": ((2, 6, (1, 3)), {"groups": 2, "padding": (0, 1)}, (1, 1, 0, 0)),
    "same": ((2, 2, (2, 3)), {"padding": "same"}, (1, 1, 0, 1)),
    "pointwise": ((5, 3, 1), {}, (0, 0, 0, 0)),
    "no bias": ((2, 2, 2), {"bias": False}, (0, 0, 0, 0)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(oracle, formats, case):
    shape, options, width = CONVOLUTIONS[case]
    layers = list(conv_layers(asymmetric_table(*formats), *shape, **options))
    check_against_oracle(layers, oracle, image(2, shape[0], 6, 5), zeros_pad(*width))


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("formats", [("8s", "8s"), ("8u", "8u"), ("8u", "4u")], ids=" x ".join)
def test_every_quantisation_scheme_with_padding(oracle, formats, granularity, scheme):
    config = {
        "activation": QuantiserConfig(scheme=scheme),
        "weight": QuantiserConfig(scheme=scheme, granularity=granularity),
    }
    layers = list(conv_layers(asymmetric_table(*formats), 4, 4, 3, groups=2, padding=1, config=config))
    x = image(2, 4, 5, 5) + 0.7
    check_against_oracle(layers, oracle, x, zeros_pad(1, 1, 1, 1))
    zero_points = [int(z) for z in layers[0].weight_quantiser.zero_point]
    assert len(zero_points) == (4 if granularity == "channel" else 1)
    assert any(zero_points) == (scheme == "affine" or formats[0] == "8u")


def test_padded_lanes_hold_the_zero_point_and_pass_through_the_multiplier():
    """A multiplier with f(Zx, w) = 7 everywhere adds 7 for each padded lane."""
    constant = TableMultiplier(np.full((256, 256), 7), "8u")
    layer = ApproxConv2d(1, 1, 3, padding=1, bias=False, config=ApproxConfig(multiplier=constant, backend="table"))
    calibrate(layer, [torch.tensor([-1.0, 2.0]).reshape(1, 1, 1, 2)])
    assert int(layer.activation_quantiser.zero_point) == 85
    assert layer.accumulate(torch.zeros(1, 1, 2, 2)).unique().tolist() == [63]


@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_skipped_padding(oracle, formats, groups):
    layers = list(
        conv_layers(asymmetric_table(*formats), 4, 4, 3, groups=groups, padding=1, config={"skip_padding": True})
    )
    skip = np.ones((1, 1, 7, 6), dtype=bool)
    skip[:, :, 1:-1, 1:-1] = False
    check_against_oracle(layers, oracle, image(2, 4, 5, 4), zeros_pad(1, 1, 1, 1), skip)


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_padding_modes(oracle, mode, numpy_mode):
    layers = list(conv_layers(asymmetric_table("8u", "8s"), 2, 3, 3, padding=(2, 1), padding_mode=mode))
    pad = lambda x: np.pad(x, ((0, 0), (0, 0), (2, 2), (1, 1)), mode=numpy_mode)  # noqa: E731
    check_against_oracle(layers, oracle, image(2, 2, 5, 4), pad)


@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
@pytest.mark.parametrize("role", ["a", "b"])
def test_linear(oracle, formats, role):
    def layers():
        for config in configurations(asymmetric_table(*formats), activation_operand=role):
            torch.manual_seed(1)
            yield ApproxLinear(7, 5, config=config)

    rows = image(6, 7)
    flat = list(layers())
    check_against_oracle(flat, _as_images(oracle), rows, lambda x: x[:, :, None, None])
    for layer in flat:
        y = layer(torch.from_numpy(rows))
        for shape in ((2, 3, 7), (6, 1, 1, 7), (1, 6, 7)):
            assert torch.equal(layer(torch.from_numpy(rows).reshape(shape)), y.reshape(*shape[:-1], 5))
        torch.testing.assert_close(layer(torch.from_numpy(rows[0])), y[0])


def _as_images(oracle):
    class Linear:
        @staticmethod
        def convolution(*args):
            sums, outputs = oracle.convolution(*args)
            return sums[:, :, 0, 0], outputs[:, :, 0, 0]

    return Linear


def test_role_b_convolution(oracle):
    layers = list(conv_layers(asymmetric_table("8u", "4u"), 2, 3, 3, padding=1, config={"activation_operand": "b"}))
    assert str(layers[0].activation_quantiser.operand) == "4u"
    check_against_oracle(layers, oracle, image(2, 2, 5, 4), zeros_pad(1, 1, 1, 1))


def test_unbatched_and_channels_last_inputs():
    layer = next(conv_layers(asymmetric_table("8u", "8u"), 3, 4, 3, padding=1))
    x = torch.from_numpy(image(2, 3, 6, 5))
    calibrate(layer, [x])
    layer.eval()
    y = layer(x)
    assert y.is_contiguous()
    torch.testing.assert_close(layer(x[0]), y[0], rtol=0, atol=0)
    assert torch.equal(layer.accumulate(x[0]), layer.accumulate(x)[0])
    z = layer(x.to(memory_format=torch.channels_last))
    assert torch.equal(z, y)
    assert z.is_contiguous(memory_format=torch.channels_last)
    assert layer(x[:0]).shape == (0, 4, 6, 5)
    strided = torch.from_numpy(image(2, 3, 6, 10))[..., ::2]
    assert torch.equal(layer(strided), layer(strided.contiguous()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types(dtype):
    layer = next(conv_layers(asymmetric_table("8s", "8s"), 3, 4, 3))
    x = torch.from_numpy(image(2, 3, 6, 5))
    calibrate(layer, [x])
    layer.eval()
    expected = layer.to(torch.float32)(x.to(dtype).float())
    layer.to(dtype)
    y = layer(x.to(dtype))
    assert y.dtype == dtype
    assert layer.activation_quantiser.scale.dtype == torch.float32
    tolerance = 0.05 if dtype != torch.float64 else 1e-5
    torch.testing.assert_close(y.float(), expected, rtol=tolerance, atol=tolerance)


def test_autocast_changes_nothing_but_the_input():
    layer = next(conv_layers(asymmetric_table("8s", "8s"), 3, 4, 3))
    x = torch.from_numpy(image(2, 3, 6, 5))
    calibrate(layer, [x])
    layer.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert torch.equal(y, layer(x))


def test_weights_follow_every_change():
    layer = next(conv_layers(asymmetric_table("8s", "8s"), 1, 2, 2))
    x = torch.from_numpy(image(2, 1, 4, 4))
    calibrate(layer, [x])
    layer.eval()
    before = layer(x)
    assert torch.equal(layer(x), before)  # from the cache
    with torch.no_grad():
        layer.weight.mul_(-1)
    changed = layer(x)
    assert not torch.equal(changed, before)
    layer.weight.data.copy_(-layer.weight.data)  # behind autograd's back
    assert torch.equal(layer(x), before)


def test_training_observes_ranges_and_evaluation_does_not():
    layer = next(conv_layers(multipliers.get("exact8s"), 1, 1, 1))
    with pytest.raises(NotCalibratedError):
        layer.eval()(torch.ones(1, 1, 2, 2))
    layer.train()
    layer(torch.full((1, 1, 2, 2), 2.0))
    assert float(layer.activation_quantiser.maximum) == 2.0
    layer(torch.full((1, 1, 2, 2), 4.0))
    assert float(layer.activation_quantiser.maximum) == pytest.approx(2.2)
    layer.eval()
    layer(torch.full((1, 1, 2, 2), 9.0))
    assert float(layer.activation_quantiser.maximum) == pytest.approx(2.2)


def test_bad_inputs_are_refused():
    conv = next(conv_layers(multipliers.get("exact8s"), 3, 4, 3))
    for bad in (torch.zeros(2, 4, 5, 5), torch.zeros(3, 5), torch.zeros(2, 3, 5, 5, dtype=torch.int64)):
        with pytest.raises(ConversionError, match="expected a float tensor of shape"):
            conv(bad)
    with pytest.raises(ConversionError, match="does not fit"):
        conv(torch.zeros(1, 3, 2, 5))
    linear = ApproxLinear(4, 2, config=ApproxConfig(multiplier="exact8s"))
    for bad in (torch.zeros(2, 5), torch.tensor(1.0), torch.zeros(2, 4, dtype=torch.int32)):
        with pytest.raises(ConversionError, match=r"expected a float tensor of shape \(..., 4\)"):
            linear(bad)


def test_surrogates_of_float_factors_have_no_integer_sums():
    model = surrogate.discover(multipliers.get("mitchell8u"), method="lowrank", terms=2)
    layer = ApproxLinear(4, 2, config=ApproxConfig(surrogate=model))
    calibrate(layer, [torch.ones(1, 4)])
    assert not layer.exact
    assert "approximate surrogate" in repr(layer)
    with pytest.raises(ConversionError, match="not integers"):
        layer.accumulate(torch.ones(1, 4))


def test_layers_with_accurate_products_equal_fake_quantisation():
    """With the accurate multiplier a layer is plain quantisation: torch's own convolution of dequantised operands."""
    layer = next(conv_layers(multipliers.get("exact8u"), 3, 4, 3, padding=1, stride=2))
    x = torch.from_numpy(image(2, 3, 7, 6))
    calibrate(layer, [x])
    layer.eval()
    x_hat, _ = layer.activation_quantiser(x)
    w_hat, _ = layer.weight_quantiser(layer.weight)
    expected = nn.functional.conv2d(x_hat.double(), w_hat.double(), layer.bias.double(), stride=2, padding=1)
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)
