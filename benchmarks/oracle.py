"""The exactness check: outputs of a layer against integer sums of NumPy, computed from the multiplier alone.

Shares no code with what it checks: it quantises, pads, cuts windows and sums by itself. Of large outputs it compares a
random subset, which always holds the corners, where padding is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from multipliers.multiplier import Multiplier
from surrogate.nn import ApproxLayer, Quantiser

Integers = NDArray[np.int64]

OUTPUTS = 2000
"""Outputs compared, of larger ones."""

_TABLE_PAIRS = 1 << 16  # operand pairs up to which products are read from a table


class InexactError(AssertionError):
    """A timed result differs from the oracle."""


@dataclass(frozen=True)
class Sums:
    """Integer sums of a layer for given activations.

    Attributes
    ----------
    multiplier : Multiplier
        What the layer simulates; the activation is its operand ``a``.
    x : ndarray
        Quantised activations, shape ``(batch, channels, height, width)``, padded with the quantised zero.
    w : ndarray
        Quantised weights, shape ``(out_channels, channels / groups, height, width)``.
    stride, dilation : (int, int)
    groups : int
    """

    multiplier: Multiplier
    x: Integers
    w: Integers
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @classmethod
    def of(cls, multiplier: Multiplier, layer: ApproxLayer, x: Tensor) -> Sums:
        """Quantise the input and the weights of a linear layer or a two-dimensional convolution, padded with zeros."""
        weight = layer.weight.detach().numpy()
        values = x.detach().numpy()
        if isinstance(layer, nn.Linear):
            weight, values = weight[:, :, None, None], values.reshape(-1, values.shape[-1], 1, 1)
        codes = quantised(values, layer.activation_quantiser)
        padding = getattr(layer, "padding", (0, 0))
        zero = int(layer.activation_quantiser.zero_point[0])
        codes = np.pad(codes, ((0, 0), (0, 0), *((n, n) for n in padding)), constant_values=zero)
        geometry = {name: getattr(layer, name) for name in ("stride", "dilation", "groups") if hasattr(layer, name)}
        return cls(multiplier, codes, quantised(weight, layer.weight_quantiser), **geometry)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the output, ``(batch, out_channels, height, width)``."""
        sides = zip(self.x.shape[2:], self.w.shape[2:], self.stride, self.dilation, strict=True)
        height, width = ((n - (k - 1) * d - 1) // s + 1 for n, k, s, d in sides)
        return len(self.x), len(self.w), height, width

    def some(self, rng: np.random.Generator, count: int = OUTPUTS) -> Integers:
        """Draw positions in the output, shape ``(count, 4)``; all of them if there are no more."""
        shape = self.shape
        size = int(np.prod(shape))
        if size <= count:
            return np.stack(np.unravel_index(np.arange(size), shape), axis=1)
        corners = np.stack(np.meshgrid(*([0, n - 1] for n in shape), indexing="ij"), axis=-1).reshape(-1, 4)
        return np.concatenate([corners, rng.integers(0, shape, (count - len(corners), 4))])

    def windows(self, at: Integers) -> tuple[Integers, Integers]:
        """Activations and weights that meet at each position, two arrays of shape ``(count, lanes)``."""
        n, c, y, x = (part[:, None, None, None] for part in at.T)
        per_group, height, width = self.w.shape[1:]
        first = c // (len(self.w) // self.groups) * per_group
        channels = first + np.arange(per_group)[None, :, None, None]
        rows = y * self.stride[0] + np.arange(height)[None, None, :, None] * self.dilation[0]
        columns = x * self.stride[1] + np.arange(width)[None, None, None, :] * self.dilation[1]
        return self.x[n, channels, rows, columns].reshape(len(at), -1), self.w[at[:, 1]].reshape(len(at), -1)

    def products(self, xs: Integers, ws: Integers) -> Integers:
        """Look products up, or compute them where a table would be too large."""
        m = self.multiplier
        if m.n_pairs > _TABLE_PAIRS:
            return m(xs, ws)
        found: Integers = self._table[xs - m.a.minimum, ws - m.b.minimum]
        return found

    @cached_property
    def _table(self) -> Integers:
        return self.multiplier(self.multiplier.a.values()[:, None], self.multiplier.b.values()[None, :])

    def __call__(self, at: Integers) -> Integers:
        """Sums ``sum f(xq, wq)`` at the given positions."""
        found: Integers = self.products(*self.windows(at)).sum(axis=1)
        return found


def quantised(values: NDArray[np.float32], quantiser: Quantiser) -> Integers:
    """Round four-dimensional values to the integers of a layer's quantiser, half to even."""
    scale, zero_point = (part.detach().numpy().reshape(-1, 1, 1, 1) for part in (quantiser.scale, quantiser.zero_point))
    found: Integers = np.clip(np.rint(values / scale) + zero_point, quantiser.low, quantiser.high).astype(np.int64)
    return found


def check_sums(sums: Sums, found: Tensor, rng: np.random.Generator) -> int:
    """Compare an engine's sums, ``(batch, height, width, out_channels)``, as integers; return how many.

    Raises
    ------
    InexactError
        If any differs.
    """
    at = sums.some(rng)
    n, c, y, x = at.T
    got = found.numpy()[n, y, x, c]
    expected = sums(at)
    _refuse(at, got, expected, got == expected)
    return len(at)


def check_layer(multiplier: Multiplier, layer: ApproxLayer, x: Tensor, y: Tensor, rng: np.random.Generator) -> int:
    """Compare a layer's float output with exact sums, rescaled in float64; return how many outputs.

    The output may differ by the rounding of a few float32 operations, relative to the sum without its bias and to the
    bias; an integer that is wrong by one shows wherever sums stay below about 2**20.

    Raises
    ------
    InexactError
        If any output differs by more.
    """
    sums = Sums.of(multiplier, layer, x)
    at = sums.some(rng)
    channels = at[:, 1]
    xs, ws = sums.windows(at)
    activation, weight = layer.activation_quantiser, layer.weight_quantiser
    zx = int(activation.zero_point[0])
    zw = np.broadcast_to(weight.zero_point.numpy().astype(np.int64), len(sums.w))[channels]
    corrected = sums.products(xs, ws).sum(axis=1) - zx * ws.sum(axis=1) - zw * xs.sum(axis=1) + xs.shape[1] * zx * zw
    scale = np.broadcast_to(weight.scale.detach().numpy().astype(np.float64), len(sums.w))[channels]
    scaled = float(activation.scale[0]) * scale * corrected
    added = cast(Tensor | None, layer.bias)
    bias = np.zeros(len(at)) if added is None else added.detach().numpy().astype(np.float64)[channels]
    got = y.detach().reshape(sums.shape).numpy()[tuple(at.T)]
    tolerance = 4 * np.finfo(np.float32).eps * (np.abs(scaled) + np.abs(bias)) + np.finfo(np.float32).tiny
    _refuse(at, got, scaled + bias, np.abs(got - (scaled + bias)) <= tolerance)
    return len(at)


def _refuse(at: Integers, got: NDArray[Any], expected: NDArray[Any], equal: NDArray[np.bool_]) -> None:
    if equal.all():
        return
    wrong = np.flatnonzero(~equal)
    first = wrong[0]
    raise InexactError(
        f"{len(wrong)} of {len(at)} outputs compared differ from the oracle; the first, at (image, channel, row, "
        f"column) = {tuple(map(int, at[first]))}, is {got[first]}, not {expected[first]}"
    )
