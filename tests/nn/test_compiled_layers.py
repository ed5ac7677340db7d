"""Whole layers in compiled code do what the same layers do step by step in torch."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from surrogate.nn import ApproxConfig, QuantiserConfig, approximate_, calibrate
from surrogate.nn.errors import OperandError
from surrogate.nn.native import available_kernels, library
from surrogate.nn.native.quantised import AffineIntegers, dequantised, quantise_activations
from tests.nn.conftest import asymmetric_table

pytestmark = pytest.mark.skipif(available_kernels() == ("torch",), reason="there is no compiled library here")

LAYERS = {
    "linear": (lambda: nn.Linear(70, 33), (3, 9, 70)),
    "no bias": (lambda: nn.Linear(5, 3, bias=False), (4, 5)),
    "plain": (lambda: nn.Conv2d(3, 20, 3), (4, 3, 13, 11)),
    "padded": (lambda: nn.Conv2d(3, 5, (3, 5), padding=(1, 2)), (2, 3, 33, 35)),
    "strided": (lambda: nn.Conv2d(4, 9, 3, stride=(2, 3), padding=1), (2, 4, 15, 17)),
    "dilated": (lambda: nn.Conv2d(2, 3, 3, dilation=2, padding=2), (3, 2, 20, 19)),
    "grouped": (lambda: nn.Conv2d(6, 4, 3, groups=2, padding=1), (2, 6, 9, 9)),
    "depthwise": (lambda: nn.Conv2d(7, 7, 3, groups=7, padding=1), (3, 7, 18, 31)),
    "pointwise": (lambda: nn.Conv2d(9, 17, 1), (2, 9, 8, 8)),
    "one dimension": (lambda: nn.Conv1d(3, 4, 5, padding=2, stride=2), (2, 3, 50)),
    "reflected": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 2, 8, 7)),
    "many lanes": (lambda: nn.Conv2d(40, 3, 3, padding=1), (1, 40, 6, 6)),
}
CONFIGURATIONS = {
    "unsigned": ("8u", "8u", {}),
    "signed": ("8s", "8s", {}),
    "narrow": ("8s", "8u", {"activation": QuantiserConfig("4s"), "weight": QuantiserConfig("3u")}),
    "affine": (
        "8s",
        "8s",
        {"activation": QuantiserConfig(scheme="affine"), "weight": QuantiserConfig(scheme="affine")},
    ),
}


def converted(build, shape, a, b, options):
    torch.manual_seed(0)
    layer = build()
    approximate_(layer, ApproxConfig(multiplier=asymmetric_table(a, b), backend="table", **options))
    calibrate(layer, [0.7 * torch.randn(shape)])  # so that later inputs are clamped, too
    return layer


def results(layer, x, monkeypatch, kernel):
    """Output and gradients, as one tuple."""
    monkeypatch.setenv(library.VARIABLE, kernel)
    layer, x = copy.deepcopy(layer), x.clone().requires_grad_()
    y = layer(x)
    y.backward(torch.linspace(-1, 1, y.numel()).reshape(y.shape))
    return (y.detach(), x.grad, *(part.grad for part in layer.parameters()))


@pytest.mark.parametrize("kernel", [name for name in available_kernels() if name != "torch"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_layer(monkeypatch, kernel, layer, configuration):
    build, shape = LAYERS[layer]
    layer = converted(build, shape, *CONFIGURATIONS[configuration])
    x = torch.randn(shape)
    for training in (False, True):
        layer.train(training)
        expected = results(layer, x, monkeypatch, "torch")
        found = results(layer, x, monkeypatch, kernel)
        assert torch.equal(found[0], expected[0])
        for ours, theirs in zip(found[1:], expected[1:], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
        assert torch.equal(found[1] == 0, expected[1] == 0)  # where an activation was clamped


def test_the_compiled_path_is_taken(monkeypatch):
    """Else the tests above would compare a thing with itself."""
    layer = converted(*LAYERS["padded"], "8u", "8u", {})
    monkeypatch.setattr(layer, "_rescaled", lambda codes: pytest.fail("step by step"))
    layer(torch.randn(LAYERS["padded"][1]))


@pytest.mark.parametrize("team", ["PyTorch's", "own"])
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_threads(threads, team, memory_format, monkeypatch):
    if team == "own":
        monkeypatch.setattr("surrogate.nn.native.threads.openmp_team", lambda: None)
    layer = converted(lambda: nn.Conv2d(70, 130, 3, padding=1), (6, 70, 9, 11), "8u", "8u", {})
    x = torch.randn(6, 70, 9, 11)
    expected = results(layer, x, monkeypatch, "torch")
    for module in ("sums", "quantised"):
        monkeypatch.setattr(f"surrogate.nn.native.{module}.worthwhile_threads", lambda *_: threads)
    found = results(layer, x.to(memory_format=memory_format), monkeypatch, "")
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1:], expected[1:], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_find_the_range_and_values_that_are_no_numbers(threads, monkeypatch):
    monkeypatch.setattr("surrogate.nn.native.quantised.worthwhile_threads", lambda *_: threads)
    grid, x = AffineIntegers(0.5, 3, 0, 255, 0), torch.linspace(0, 90, 6 * 130).reshape(6, 130, 1, 1)
    packed = quantise_activations(x, (6, 130, 1, 1), grid)
    assert (packed.smallest, packed.largest) == (3, 183)
    padded = quantise_activations(x + 10, (6, 130, 1, 1), grid, padding=(0, 0, 1, 0))
    assert (padded.smallest, padded.largest) == (3, 203)
    x[4, 129] = torch.nan
    with pytest.raises(OperandError, match="NaN"):
        quantise_activations(x, (6, 130, 1, 1), grid)


def test_channels_last(monkeypatch):
    layer = converted(lambda: nn.Conv2d(5, 6, 3, padding=1), (3, 5, 9, 10), "8u", "8u", {})
    x = torch.randn(3, 5, 9, 10)
    plain = results(layer, x, monkeypatch, "")
    last = results(layer, x.to(memory_format=torch.channels_last), monkeypatch, "")
    assert last[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last[0], plain[0])
    torch.testing.assert_close(last[1], plain[1])


@pytest.mark.parametrize("low", [0, 64, 128, 192])
def test_activations_of_a_part_of_the_range(monkeypatch, low):
    """Kernels then read only that part of each row of the table."""
    layer = converted(lambda: nn.Linear(40, 24), (8, 40), "8u", "8u", {})
    with torch.no_grad():
        layer.activation_quantiser.scale.fill_(1)
        layer.activation_quantiser.zero_point.fill_(low + 5)
        x = torch.randint(-5, 59, (300, 40)).float()
        layer.eval()
        outputs = []
        for kernel in available_kernels():
            monkeypatch.setenv(library.VARIABLE, kernel)
            outputs.append(layer(x))
    assert all(torch.equal(y, outputs[0]) for y in outputs)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=70),
    st.floats(2**-100, 2**100, width=32),
    st.integers(-128, 127),
    st.booleans(),
)
def test_integers_are_those_of_numpy(values, scale, zero, channels_last):
    x = np.array(values, dtype=np.float32)
    grid = AffineIntegers(scale, zero, -100, 90, -128)
    shape = (1, len(x), 1, 1) if channels_last else (1, 1, 1, len(x))
    packed = quantise_activations(torch.from_numpy(x), shape, grid, channels_last=channels_last, mark_inside=True)
    with np.errstate(over="ignore"):
        rounded = np.rint(x / np.float32(scale)) + np.float32(zero)
    expected = np.clip(rounded, -100, 90)
    np.testing.assert_array_equal(packed.codes[: len(x)].numpy().astype(int) - 128, expected)
    np.testing.assert_array_equal(packed.inside.numpy(), rounded == expected)
    assert (packed.smallest - 128, packed.largest - 128) == (expected.min(), expected.max())
    values = dequantised(packed.codes, shape, (0, 0, 0, 0), grid)
    reference = (expected.astype(np.float32) - np.float32(zero)) * np.float32(scale)
    np.testing.assert_array_equal(values.numpy().ravel(), reference)
