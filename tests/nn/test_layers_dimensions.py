"""Convolutions of one and three dimensions, and transposed ones, against the NumPy oracle."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from surrogate.nn import (
    ApproxConfig,
    ApproxConv1d,
    ApproxConv3d,
    ApproxConvTranspose1d,
    ApproxConvTranspose2d,
    ApproxConvTranspose3d,
    ConversionError,
    QuantiserConfig,
    approximate_,
    calibrate,
    from_model,
    restore_,
)
from tests.nn.conftest import asymmetric_table, check_against_oracle, configurations, image

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

PLAIN = {
    "1d": (ApproxConv1d, (3, 4, 3), {}, 7),
    "1d padded": (ApproxConv1d, (4, 6, 3), {"padding": 2, "stride": 2, "groups": 2}, 7),
    "1d same": (ApproxConv1d, (2, 4, 4), {"padding": "same", "dilation": 2, "groups": 2}, 8),
    "1d depthwise": (ApproxConv1d, (6, 6, 3), {"padding": 1, "groups": 6, "bias": False}, 5),
    "1d pointwise": (ApproxConv1d, (5, 3, 1), {"padding": 1}, 4),
    "3d": (ApproxConv3d, (2, 3, (2, 3, 2)), {}, (3, 4, 3)),
    "3d padded": (ApproxConv3d, (2, 2, 3), {"padding": (2, 0, 1), "stride": (2, 1, 2)}, (3, 4, 3)),
    "3d dilated": (ApproxConv3d, (2, 2, 2), {"dilation": (2, 1, 2), "padding": (1, 0, 1)}, (3, 3, 2)),
    "3d grouped": (ApproxConv3d, (4, 6, (2, 1, 2)), {"groups": 2, "padding": (1, 0, 0)}, (2, 2, 3)),
    "3d depthwise": (ApproxConv3d, (5, 10, (3, 2, 1)), {"groups": 5, "padding": "same"}, (2, 3, 2)),
}
TRANSPOSED = {
    "1d": (ApproxConvTranspose1d, (3, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1}, 5),
    "1d grouped": (ApproxConvTranspose1d, (4, 6, 4), {"stride": 3, "groups": 2, "dilation": 2}, 3),
    "2d": (ApproxConvTranspose2d, (3, 2, 3), {}, (3, 2)),
    "2d strided": (ApproxConvTranspose2d, (2, 3, (3, 2)), {"stride": (2, 3), "padding": (2, 0)}, (4, 3)),
    "2d output padding": (ApproxConvTranspose2d, (2, 2, 3), {"stride": 2, "output_padding": (1, 0)}, (2, 3)),
    "2d dilated": (ApproxConvTranspose2d, (2, 2, 2), {"dilation": (1, 3), "output_padding": (0, 2)}, (3, 2)),
    "2d depthwise": (ApproxConvTranspose2d, (6, 6, 2), {"stride": 2, "groups": 6, "bias": False}, (2, 2)),
    "2d cropped": (ApproxConvTranspose2d, (2, 3, 1), {"stride": 3, "padding": 1, "output_padding": 2}, (2, 1)),
    "3d": (ApproxConvTranspose3d, (2, 2, (2, 3, 1)), {"stride": (2, 1, 2), "padding": (1, 1, 0)}, (2, 3, 2)),
    "3d grouped": (ApproxConvTranspose3d, (2, 4, 2), {"stride": 2, "groups": 2, "output_padding": 1}, (2, 1, 2)),
}


def built(kind, shape, options, multiplier, **config):
    for one in configurations(multiplier, **config):
        torch.manual_seed(3)
        yield kind(*shape, **options, config=one)


def batch(channels, size, n=2):
    return image(n, channels, *(size if isinstance(size, tuple) else (size,)))


def width(layer):
    """Zeros of ``padding`` on both sides of each dimension, ``"same"`` as torch documents it: more at the end."""
    if layer.padding != "same":
        return [(p, p) for p in layer.padding]
    totals = [(k - 1) * d for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
    return [(t // 2, t - t // 2) for t in totals]


def inserted(layer):
    """Insert zeros between and around the inputs of a transposed convolution, and crop."""

    def pad(x):
        sides = zip(x.shape[2:], layer.kernel_size, layer.stride, layer.dilation, strict=True)
        sides = list(zip(sides, layer.padding, layer.output_padding, strict=True))
        border = [(k - 1) * d for (_, k, _, d), _, _ in sides]
        full = np.zeros((*x.shape[:2], *((n - 1) * s + 1 for (n, _, s, _), _, _ in sides)), x.dtype)
        full[(..., *(slice(None, None, s) for (_, _, s, _), _, _ in sides))] = x
        full = np.pad(full, [(0, 0), (0, 0), *((b, b + e) for b, (_, _, e) in zip(border, sides, strict=True))])
        return full[(..., *(slice(p, n - p) for n, (_, p, _) in zip(full.shape[2:], sides, strict=True)))]

    return pad


@pytest.mark.parametrize("skip", [False, True], ids=["padded", "skipped"])
@pytest.mark.parametrize("case", PLAIN)
def test_convolution(oracle, case, skip):
    kind, shape, options, size = PLAIN[case]
    layers = list(built(kind, shape, options, asymmetric_table("7u", "6u"), skip_padding=skip))
    x, widths = batch(shape[0], size), width(layers[0])
    pad = lambda v: np.pad(v, [(0, 0), (0, 0), *widths])  # noqa: E731
    mask = np.pad(np.zeros((1, 1, *x.shape[2:]), bool), [(0, 0), (0, 0), *widths], constant_values=True)
    check_against_oracle(layers, oracle, x, pad, mask if skip else None)


@pytest.mark.parametrize("kind", [ApproxConv1d, ApproxConv3d])
@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_padding_modes(oracle, kind, mode, numpy_mode):
    layers = list(built(kind, (2, 2, 3), {"padding": 1, "padding_mode": mode}, asymmetric_table("8u", "8s")))
    x = batch(2, (3,) * len(layers[0].kernel_size))
    check_against_oracle(layers, oracle, x, lambda v: np.pad(v, [(0, 0), (0, 0), *width(layers[0])], mode=numpy_mode))


@pytest.mark.parametrize("skip", [False, True], ids=["inserted", "skipped"])
@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolution(oracle, case, skip):
    kind, shape, options, size = TRANSPOSED[case]
    layers = list(built(kind, shape, options, asymmetric_table("7u", "6u"), skip_inserted=skip))
    check_against_oracle(layers, oracle, batch(shape[0], size), None if skip else inserted(layers[0]))


@pytest.mark.parametrize("case", [*PLAIN, *(f"transposed {name}" for name in TRANSPOSED)])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_role_b_with_zero_points(oracle, case, granularity):
    """Both operands affine and of different widths, the activation the multiplier's second."""
    transposed = case.startswith("transposed ")
    kind, shape, options, size = TRANSPOSED[case[11:]] if transposed else PLAIN[case]
    quantisers = {"activation": QuantiserConfig(scheme="affine")}
    quantisers["weight"] = QuantiserConfig(scheme="affine", granularity=granularity)
    table = asymmetric_table("6u", "5u")
    layers = list(built(kind, shape, options, table, activation_operand="b", **quantisers))
    x = batch(shape[0], size, n=1) + 0.4
    widths = width(layers[0])
    check_against_oracle(layers, oracle, x, None if transposed else lambda v: np.pad(v, [(0, 0), (0, 0), *widths]))
    assert layers[0].activation_quantiser.zero_point.all()
    assert layers[0].weight_quantiser.zero_point.any()
    assert len(layers[0].weight_quantiser.zero_point) == (shape[1] if granularity == "channel" else 1)


LAYERS = {
    "Conv1d": (nn.Conv1d(4, 6, 3, 2, 1, groups=2), (4, 7)),
    "Conv1d same": (nn.Conv1d(4, 6, 4, padding="same", dilation=1), (4, 7)),
    "Conv1d circular": (nn.Conv1d(4, 6, 3, padding=2, padding_mode="circular"), (4, 7)),
    "Conv3d": (nn.Conv3d(2, 4, (2, 3, 2), (1, 2, 1), (1, 0, 1), (2, 1, 1), groups=2), (2, 4, 5, 4)),
    "ConvTranspose1d": (nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2), (4, 5)),
    "ConvTranspose2d": (nn.ConvTranspose2d(4, 6, (3, 2), 3, 1, (2, 0), 2, dilation=(1, 2)), (4, 3, 4)),
    "ConvTranspose3d": (nn.ConvTranspose3d(2, 4, 2, 2, (1, 0, 0), 1, 2), (2, 2, 3, 2)),
}
EXACT = ApproxConfig(multiplier="exact8s")


@pytest.fixture(params=LAYERS)
def pair(request):
    """An accurate layer, and a batch for it."""
    layer, shape = LAYERS[request.param]
    return copy.deepcopy(layer), torch.from_numpy(image(2, *shape))


def fake(x, quantiser):
    """Quantise and dequantise a signed symmetric tensor, all inside the range, with torch's own gradient."""
    scale = quantiser.scale.reshape(-1, *(1,) * (x.ndim - 1)) if quantiser.scale.numel() > 1 else quantiser.scale
    return x + (torch.round(x / scale) * scale - x).detach()


def test_accurate_products_and_gradients_equal_torch_on_dequantised_operands(pair):
    """Straight through: forward with the exact multiplier, and every gradient, are those of torch's own layer."""
    accurate, x = pair
    layer = copy.deepcopy(accurate)
    approximate_(layer, EXACT)
    calibrate(layer, [x])
    layer.eval()
    x.requires_grad_()
    y = layer(x)
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad((y * direction).sum(), [x, layer.weight, layer.bias])

    weight = accurate.weight
    x_hat = fake(x, layer.activation_quantiser)
    if accurate.transposed:  # a scale for each output channel, along the second axis of the weight
        scale = layer.weight_quantiser.scale.reshape(accurate.groups, -1)
        scale = scale.repeat_interleave(weight.shape[0] // accurate.groups, dim=0)
        scale = scale.reshape(*weight.shape[:2], *(1,) * (weight.ndim - 2))
        w_hat = weight + (torch.round(weight / scale) * scale - weight).detach()
    else:
        w_hat = fake(weight, layer.weight_quantiser)
    expected = torch.func.functional_call(accurate, {"weight": w_hat, "bias": accurate.bias}, (x_hat,))
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    wanted = torch.autograd.grad((expected * direction).sum(), [x, weight, accurate.bias])
    for found, reference in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-4)
        assert found.abs().sum() > 0


def test_conversion_state_copies_and_restoring(pair):
    layer, x = pair
    before, keys, expected = copy.deepcopy(layer), set(layer.state_dict()), layer(x)
    config = ApproxConfig(multiplier="bam8u_h1v5")
    approximate_(layer, config)
    assert type(layer).__name__ == f"Approx{type(before).__name__}"
    assert isinstance(layer, type(before))
    calibrate(layer, [x])
    y = layer.eval()(x)
    assert y.shape == expected.shape
    assert not torch.equal(y, expected)
    assert torch.equal(copy.deepcopy(layer)(x), y)
    other = copy.deepcopy(before)
    torch.nn.init.zeros_(other.weight)
    approximate_(other, config)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.eval()(x), y)
    assert torch.equal(layer(x[0]), y[0])
    assert torch.equal(layer.accumulate(x[0]), layer.accumulate(x)[0])
    assert layer(x[:0]).shape == (0, *y.shape[1:])
    restore_(layer)
    assert type(layer) is type(before)
    assert set(layer.state_dict()) == keys
    assert torch.equal(layer(x), expected)


def test_channels_last_in_three_dimensions():
    layer, shape = copy.deepcopy(LAYERS["Conv3d"][0]), LAYERS["Conv3d"][1]
    x = torch.from_numpy(image(2, *shape))
    approximate_(layer, EXACT)
    calibrate(layer, [x])
    y = layer.eval()(x)
    z = layer(x.to(memory_format=torch.channels_last_3d))
    assert torch.equal(z, y)
    assert y.is_contiguous()
    assert z.is_contiguous(memory_format=torch.channels_last_3d)


def test_output_size_of_transposed_convolutions():
    layer = nn.ConvTranspose2d(2, 3, 3, 2, 1)
    x = torch.from_numpy(image(1, 2, 4, 3))
    approximate_(layer, EXACT)
    calibrate(layer, [x])
    layer.eval()
    small, large = layer(x), layer(x, output_size=(8, 5))
    assert small.shape[2:] == (7, 5)
    assert large.shape[2:] == (8, 5)
    assert torch.equal(large[:, :, :7], small)
    assert layer.accumulate(x, output_size=(8, 6)).shape[2:] == (8, 6)
    assert layer.output_padding == (0, 0)
    with pytest.raises(ValueError, match="requested an output size"):
        layer(x, output_size=(9, 5))


def test_bad_inputs_are_refused():
    conv = ApproxConv1d(3, 4, 5, padding=1, config=EXACT)
    with pytest.raises(
        ConversionError, match=r"\(batch, 3, length\) or without the batch, got torch.float32 \(2, 4, 9\)"
    ):
        conv(torch.zeros(2, 4, 9))
    with pytest.raises(ConversionError, match=r"kernel \(5,\) .* does not fit the padded input \(4,\)"):
        conv(torch.zeros(1, 3, 2))
    with pytest.raises(ConversionError, match=r"\(batch, 2, depth, height, width\)"):
        ApproxConvTranspose3d(2, 1, 2, config=EXACT)(torch.zeros(1, 2, 3, 3, 3, dtype=torch.int32))
    with pytest.raises(ConversionError, match="does not fit"):
        ApproxConvTranspose1d(1, 1, 2, padding=2, config=EXACT)(torch.zeros(1, 1, 2))


@pytest.mark.parametrize("skip", [False, True])
def test_operand_distributions_count_every_product(pair, skip):
    """With a multiplier that is 1 everywhere the sums count the lanes: as many as both operands' counts add up to."""
    layer, x = pair
    approximate_(layer, ApproxConfig(multiplier=ones_multiplier(), skip_padding=skip, skip_inserted=skip))
    calibrate(layer, [x])
    layer.eval()
    products = int(layer.accumulate(x).sum())
    found = from_model(layer, [x])[""]
    assert int(found.weights_a.sum()) == products
    assert int(found.weights_b.sum()) == products


def ones_multiplier():
    table = asymmetric_table("4u", "4u")
    return type(table)(np.ones((16, 16), np.int64), "4u", name="ones4u")
