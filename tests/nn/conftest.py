"""A slow, obvious oracle of approximate layers, in NumPy and Python integers alone."""

from __future__ import annotations

from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import surrogate
from multipliers import OperandFormat, TableMultiplier
from surrogate.nn import ApproxConfig, calibrate


def _quantise(x, scale, zero_point, low, high):
    scale = np.asarray(scale, dtype=x.dtype)
    return np.clip(np.rint(x / scale) + zero_point, low, high).astype(np.int64)


def _sum_of_products(table, minimum_x, minimum_w, xs, ws, swapped):
    total = 0
    for x, w in zip(xs, ws, strict=True):
        i, j = int(x) - minimum_x, int(w) - minimum_w
        total += int(table[j, i] if swapped else table[i, j])
    return total


def _outputs(xq, wq, stride, dilation, groups):
    """Yield (position in the output, activations, weights) of a grouped convolution, window by window."""
    out_channels, per_group, *kernel = wq.shape
    sides = list(zip(xq.shape[2:], kernel, stride, dilation, strict=True))
    size = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in sides]
    for n, c, *at in product(range(len(xq)), range(out_channels), *map(range, size)):
        first = c // (out_channels // groups) * per_group
        window = [slice(i * s, i * s + (k - 1) * d + 1, d) for i, (_, k, s, d) in zip(at, sides, strict=True)]
        yield (n, c, *at), xq[n, first : first + per_group, *window].ravel(), wq[c].ravel()


def _scattered(xq, wq, stride, dilation, groups, padding, output_padding):
    """Like `_outputs` of a transposed convolution: each input goes to the outputs that its kernel positions reach."""
    out_channels, per_group, *kernel = wq.shape  # not flipped
    sides = list(zip(xq.shape[2:], kernel, stride, dilation, padding, output_padding, strict=True))
    size = [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, d, p, extra in sides]
    pairs = {at: [] for at in product(range(len(xq)), range(out_channels), *map(range, size))}
    for n, c, i in product(range(len(xq)), range(out_channels), range(per_group)):
        channel = c // (out_channels // groups) * per_group + i
        for at, tap in product(np.ndindex(*xq.shape[2:]), np.ndindex(*kernel)):
            place = [a * s + t * d - p for a, t, (_, _, s, d, p, _) in zip(at, tap, sides, strict=True)]
            if (n, c, *place) in pairs:
                pairs[n, c, *place].append((xq[n, channel, *at], wq[c, i, *tap]))
    for at, found in pairs.items():
        yield at, np.array([x for x, _ in found], dtype=np.int64), np.array([w for _, w in found], dtype=np.int64)


def _by_output_channel(weight, groups):
    """Reorder the weight ``(in, out / groups, ...)`` of a transposed convolution to ``(out, in / groups, ...)``."""
    n_in, n_out = weight.shape[0] // groups, weight.shape[1]
    found = np.empty((groups * n_out, n_in, *weight.shape[2:]), weight.dtype)
    for group, i, o in product(range(groups), range(n_in), range(n_out)):
        found[group * n_out + o, i] = weight[group * n_in + i, o]
    return found


def convolution(x, layer, table, minimum_a, minimum_b, pad, skip=None):
    """Integer sums and float outputs of a layer, lane by lane.

    ``pad`` pads a float array; ``skip`` marks lanes of it that are skipped. With ``pad`` None a transposed convolution
    scatters its inputs; else ``pad`` also inserts the zeros between them.
    """
    aq, wquant = layer.activation_quantiser, layer.weight_quantiser
    swapped = layer.config.activation_operand == "b"
    minimum_x, minimum_w = (minimum_b, minimum_a) if swapped else (minimum_a, minimum_b)
    sx, zx = aq.scale.numpy()[0], int(aq.zero_point[0])
    sw, zw = wquant.scale.numpy(), wquant.zero_point.numpy().astype(np.int64)
    weight = layer.weight.detach().numpy()
    if weight.ndim == 2:
        weight = weight[:, :, None, None]
    ones, groups = (1,) * (weight.ndim - 2), getattr(layer, "groups", 1)
    stride, dilation = getattr(layer, "stride", ones), getattr(layer, "dilation", ones)
    transposed = getattr(layer, "transposed", False)
    if transposed:
        weight = _by_output_channel(weight, groups)
        if pad is not None:
            weight, stride = np.flip(weight, axis=tuple(range(2, weight.ndim))), ones
    shape = (-1, 1, *ones)
    wq = _quantise(weight, sw.reshape(shape), zw.reshape(shape), wquant.low, wquant.high)
    xq = _quantise(x if pad is None else pad(x), sx, zx, aq.low, aq.high)
    if pad is None:
        found = list(_scattered(xq, wq, stride, dilation, groups, layer.padding, layer.output_padding))
    else:
        found = list(_outputs(xq, wq, stride, dilation, groups))
    if skip is not None:
        valid = ~np.broadcast_to(skip, xq.shape)
        masks = {at: keep for at, keep, _ in _outputs(valid, wq, stride, dilation, groups)}
        found = [(at, xs[masks[at]], ws[masks[at]]) for at, xs, ws in found]
    sw, zw = np.broadcast_to(sw, len(wq)), np.broadcast_to(zw, len(wq))
    size = np.max([at for at, _, _ in found], axis=0) + 1
    sums, outputs = np.zeros(size, dtype=np.int64), np.zeros(size)
    for at, xs, ws in found:
        c = at[1]
        total = _sum_of_products(table, minimum_x, minimum_w, xs, ws, swapped)
        sums[at] = total
        corrected = total - zx * int(ws.sum()) - int(zw[c]) * int(xs.sum()) + len(xs) * zx * int(zw[c])
        bias = 0.0 if layer.bias is None else float(layer.bias.detach()[c])
        outputs[at] = float(sx) * float(sw[c]) * corrected + bias
    return sums, outputs


@cache
def asymmetric_table(a, b, seed=0):
    """Full of noise, not commutative, f(0, 0) != 0, of low enough rank for an exact surrogate."""
    generator = np.random.default_rng(seed)
    a, b = OperandFormat.parse(a), OperandFormat.parse(b)
    table = a.values()[:, None] * b.values()[None, :]
    for _ in range(3):
        table = table + np.outer(generator.integers(-3, 4, a.size), generator.integers(-3, 4, b.size))
    table[-a.minimum, -b.minimum] += 5
    assert table[-a.minimum, -b.minimum] != 0
    return TableMultiplier(table, a, b, name=f"random{a}x{b}")


@cache
def exact_surrogate(multiplier):
    model = surrogate.discover(multiplier)
    assert model.is_exact
    return model


def configurations(multiplier, **options):
    model = exact_surrogate(multiplier)
    yield ApproxConfig(multiplier=multiplier, backend="table", **options)
    yield ApproxConfig(surrogate=model, **options)
    yield ApproxConfig(surrogate=model, arithmetic="float32", **options)


def check_against_oracle(layers, oracle, x, pad, skip=None):
    """Sums equal as integers, outputs equal to the digit between layers and close to the oracle."""
    first = None
    for layer in layers:
        calibrate(layer, [torch.from_numpy(x)])
        layer.eval()
        multiplier = layer.config.multiplier or layer.config.surrogate
        table = multiplier(multiplier.a.values()[:, None], multiplier.b.values()[None, :])
        sums, outputs = oracle.convolution(x, layer, table, multiplier.a.minimum, multiplier.b.minimum, pad, skip)
        with torch.no_grad():
            y = layer(torch.from_numpy(x))
        np.testing.assert_array_equal(layer.accumulate(torch.from_numpy(x)).numpy().reshape(sums.shape), sums)
        scale = max(1.0, float(np.abs(outputs).max()))
        np.testing.assert_allclose(y.numpy().reshape(sums.shape), outputs, rtol=1e-5, atol=1e-5 * scale)
        first = y if first is None else first
        assert torch.equal(y, first)  # to the digit, whatever the engine


def image(*shape, seed=5):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


FORMATS = [("8s", "8s"), ("8u", "8u"), ("8u", "4u"), ("7u", "7u"), ("8u", "8s"), ("6s", "5u")]


@pytest.fixture
def one_thread():
    """One thread of torch's: tiny networks spend their time waiting for others, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def oracle():
    """The oracle: ``oracle.convolution(...)``."""
    return SimpleNamespace(convolution=convolution)
