"""A slow, obvious oracle of approximate layers, in NumPy and Python integers alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest


def _quantise(x, scale, zero_point, low, high):
    scale = np.asarray(scale, dtype=x.dtype)
    return np.clip(np.rint(x / scale) + zero_point, low, high).astype(np.int64)


def _sum_of_products(table, minimum_x, minimum_w, xs, ws, swapped):
    total = 0
    for x, w in zip(xs, ws, strict=True):
        i, j = int(x) - minimum_x, int(w) - minimum_w
        total += int(table[j, i] if swapped else table[i, j])
    return total


def _outputs(xq, wq, geometry):
    """Yield (position in the output, activations, weights, number of lanes) of a grouped convolution, lane by lane."""
    batch, _, height, width = xq.shape
    out_channels, per_group, kernel_h, kernel_w = wq.shape
    (stride_h, stride_w), (dilation_h, dilation_w), groups = geometry
    out_h = (height - (kernel_h - 1) * dilation_h - 1) // stride_h + 1
    out_w = (width - (kernel_w - 1) * dilation_w - 1) // stride_w + 1
    for n in range(batch):
        for c in range(out_channels):
            first = c // (out_channels // groups) * per_group
            for i in range(out_h):
                for j in range(out_w):
                    rows = slice(i * stride_h, i * stride_h + (kernel_h - 1) * dilation_h + 1, dilation_h)
                    columns = slice(j * stride_w, j * stride_w + (kernel_w - 1) * dilation_w + 1, dilation_w)
                    patch = xq[n, first : first + per_group, rows, columns]
                    yield (n, c, i, j), patch.ravel(), wq[c].ravel()


def convolution(x, layer, table, minimum_a, minimum_b, pad, skip=None):
    """Integer sums and float outputs of a convolution; ``pad`` pads a float array, ``skip`` marks skipped lanes."""
    aq, wquant = layer.activation_quantiser, layer.weight_quantiser
    swapped = layer.config.activation_operand == "b"
    minimum_x, minimum_w = (minimum_b, minimum_a) if swapped else (minimum_a, minimum_b)
    sx, zx = aq.scale.numpy()[0], int(aq.zero_point[0])
    sw, zw = wquant.scale.numpy(), wquant.zero_point.numpy().astype(np.int64)
    weight = layer.weight.detach().numpy()
    if weight.ndim == 2:
        weight = weight[:, :, None, None]
    shape = (-1, 1, 1, 1)
    wq = _quantise(weight, sw.reshape(shape), zw.reshape(shape), wquant.low, wquant.high)
    xq = _quantise(pad(x), sx, zx, aq.low, aq.high)
    valid = np.ones(xq.shape, dtype=bool) if skip is None else ~np.broadcast_to(skip, xq.shape)
    pair = lambda v: tuple(v) if isinstance(v, tuple) else (v, v)  # noqa: E731
    geometry = (pair(getattr(layer, "stride", 1)), pair(getattr(layer, "dilation", 1)), getattr(layer, "groups", 1))
    masks = {at: keep for at, keep, _ in _outputs(valid, wq, geometry)}
    sw, zw = np.broadcast_to(sw, len(wq)), np.broadcast_to(zw, len(wq))
    sums, outputs = {}, {}
    for at, xs, ws in _outputs(xq, wq, geometry):
        keep = masks[at]
        xs, ws, c = xs[keep], ws[keep], at[1]
        total = _sum_of_products(table, minimum_x, minimum_w, xs, ws, swapped)
        sums[at] = total
        corrected = total - zx * int(ws.sum()) - int(zw[c]) * int(xs.sum()) + len(xs) * zx * int(zw[c])
        bias = 0.0 if layer.bias is None else float(layer.bias.detach()[c])
        outputs[at] = float(sx) * float(sw[c]) * corrected + bias
    size = np.max(list(sums), axis=0) + 1
    s, y = np.zeros(size, dtype=np.int64), np.zeros(size)
    for at in sums:
        s[at], y[at] = sums[at], outputs[at]
    return s, y


@pytest.fixture(scope="session")
def oracle():
    """The oracle: ``oracle.convolution(...)``."""
    return SimpleNamespace(convolution=convolution)
