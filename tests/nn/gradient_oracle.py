"""Gradients of an approximate operation, product by product, in NumPy: it shares no code with what it checks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np


def smoothed_slopes(values, half_window):
    """Moving average along the first axis, then central difference; at the ends that of the nearest full window."""
    last = len(values) - 1
    first_full, last_full = half_window + 1, last - half_window - 1
    assert first_full <= last_full
    smooth = {x: values[x - half_window : x + half_window + 1].mean(axis=0) for x in range(half_window, last_full + 2)}
    slopes = {x: (smooth[x + 1] - smooth[x - 1]) / 2 for x in range(first_full, last_full + 1)}
    return np.array([slopes[min(max(x, first_full), last_full)] for x in range(len(values))])


def differences(table, half_window):
    """Derivatives with respect to activation and weight."""
    return smoothed_slopes(table, half_window), smoothed_slopes(table.T, half_window).T


def regressions(table):
    """Slopes of the lines that fit rows and columns, as whole tables."""
    by_weight = [np.polyfit(range(len(table)), column, 1)[0] for column in table.T]
    by_activation = [np.polyfit(range(len(row)), row, 1)[0] for row in table]
    return np.broadcast_to(by_weight, table.shape), np.broadcast_to(by_activation, table.T.shape).T


@dataclass
class Operand:
    """Quantised values, and what the quantiser did to them."""

    value: np.ndarray
    scale: np.ndarray  # broadcasts to value
    zero_point: np.ndarray
    q: np.ndarray
    inside: np.ndarray
    n_values: int
    high: int

    @classmethod
    def of(cls, value, quantiser, shape=()):
        scale = quantiser.scale.detach().numpy().astype(value.dtype).reshape(shape or -1)
        zero_point = quantiser.zero_point.numpy().astype(np.int64).reshape(shape or -1)
        rounded = np.rint(value / scale) + zero_point
        q = np.clip(rounded, quantiser.low, quantiser.high).astype(np.int64)
        shared = len(value) if quantiser.batched else quantiser.scale.numel()
        return cls(value, scale, zero_point, q, rounded == q, value.size // shared, quantiser.high)

    def flat(self, values):
        return np.broadcast_to(values, self.value.shape).ravel()

    def of_step(self, of_q, of_output):
        """Gradient of the scales: of the output that they multiply, and of the integers, which are ``x / S`` within."""
        through = of_q.reshape(self.value.shape) * np.where(self.inside, -self.value / self.scale**2, 0)
        axes = tuple(i for i in range(through.ndim) if self.scale.size == 1 or self.scale.shape[i] == 1)
        total = through.sum(axis=axes).ravel() + of_output
        return total / np.sqrt(self.n_values * np.maximum(self.high - self.zero_point.ravel(), 1))


def gradients(lanes, x, w, table, minima, slopes, of_y):
    """Differentiate ``sum of_y * y`` with respect to the values of both operands, and to their scales.

    ``lanes`` holds flat places (output, activation, weight) of every product, the activation -1 where a lane holds a
    zero; ``table`` and its ``slopes`` with respect to both are indexed by (activation, weight).
    """
    at_y, at_x, at_w = np.array(lanes).reshape(-1, 3).T
    zx, sx = int(x.zero_point.ravel()[0]), float(x.scale.ravel()[0])
    xq = np.where(at_x < 0, zx, x.q.ravel()[at_x])
    wq, zw, sw = w.q.ravel()[at_w], w.flat(w.zero_point)[at_w], w.flat(w.scale)[at_w]
    index = xq - minima[0], wq - minima[1]
    g = of_y.ravel()[at_y]
    of_xq, of_wq = np.zeros(x.value.size), np.zeros(w.value.size)
    real = at_x >= 0
    np.add.at(of_xq, at_x[real], (g * sx * sw * (slopes[0][index] - zw))[real])
    np.add.at(of_wq, at_w, g * sx * sw * (slopes[1][index] - zx))
    terms = g * sx * sw * (table[index] - zx * wq - zw * xq + zx * zw)
    channels = np.zeros(w.scale.size)
    np.add.at(channels, w.flat(np.arange(w.scale.size).reshape(w.scale.shape))[at_w], terms)
    return (
        (of_xq.reshape(x.value.shape) / x.scale) * x.inside,
        (of_wq.reshape(w.value.shape) / w.scale) * w.inside,
        x.of_step(of_xq, terms.sum() / sx),
        w.of_step(of_wq, channels / w.scale.ravel()),
    )


def layer_lanes(layer, x_shape, y_shape):
    """Places of every product of a layer: a loop over outputs, channels of their group, and kernel positions."""
    n_dims = layer.weight.ndim - 2
    x_at = np.arange(np.prod(x_shape)).reshape(x_shape)
    w_at = np.arange(layer.weight.numel()).reshape(layer.weight.shape)
    if n_dims == 0:
        rows = x_at.reshape(-1, x_shape[-1])
        for y, (row, weights) in enumerate(product(rows, w_at)):
            yield from ((y, i, j) for i, j in zip(row, weights, strict=True))
        return
    transposed = layer.transposed
    if transposed:
        before, after = tuple(layer.padding), None
    else:
        widths = layer._reversed_padding_repeated_twice
        before, after = tuple(widths[-2::-2]), tuple(widths[::-2])
        modes = {"zeros": {"constant_values": -1}, "reflect": {"mode": "reflect"}}
        sides = ((0, 0), (0, 0), *zip(before, after, strict=True))
        x_at = np.pad(x_at, sides, **modes[layer.padding_mode])
    per_group = layer.in_channels // layer.groups
    skips = layer.config.skip_inserted if transposed else layer.config.skip_padding
    outputs = np.arange(np.prod(y_shape)).reshape(y_shape)
    for n, c, *at in np.ndindex(*y_shape):
        group, within = divmod(c, layer.out_channels // layer.groups)
        for i, tap in product(range(per_group), np.ndindex(*layer.kernel_size)):
            channel = group * per_group + i
            geometry = list(zip(at, tap, layer.stride, layer.dilation, before, strict=True))
            if transposed:
                places = [divmod(a + p - t * d, s) for a, t, s, d, p in geometry]
                inside = all(rest == 0 and 0 <= p < size for (p, rest), size in zip(places, x_shape[2:], strict=True))
                source = x_at[n, channel, *(p for p, _ in places)] if inside else -1
                weight = w_at[channel, within, *tap]
            else:
                source = x_at[n, channel, *(a * s + t * d for a, t, s, d, _ in geometry)]
                weight = w_at[c, i, *tap]
            if source >= 0 or not skips:
                yield outputs[n, c, *at], source, weight


def matmul_lanes(x_shape, y_shape):
    """Places of every product of ``torch.matmul``, by NumPy's own broadcasting."""
    x_at = np.arange(np.prod(x_shape)).reshape(x_shape if len(x_shape) > 1 else (1, -1))
    y_at = np.arange(np.prod(y_shape)).reshape(y_shape if len(y_shape) > 1 else (-1, 1))
    x_at, y_at = np.broadcast_arrays(x_at[..., :, :, None], y_at[..., None, :, :])  # (..., m, inner, n)
    z_at = np.arange(x_at.size // x_at.shape[-2]).reshape(*x_at.shape[:-2], 1, x_at.shape[-1])
    return np.stack([v.ravel() for v in np.broadcast_arrays(z_at, x_at, y_at)], axis=1)
