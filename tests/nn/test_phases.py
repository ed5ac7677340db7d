"""Phases of transposed convolutions: every input meets every tap where the definition says, and zeros meet none."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from surrogate.nn import (
    ApproxConfig,
    ApproxConvTranspose1d,
    ApproxConvTranspose2d,
    ApproxConvTranspose3d,
    QuantiserConfig,
    calibrate,
)
from surrogate.nn.layers.lanes import LaneLayout
from surrogate.nn.layers.phases import phases, phases_by_window
from tests.nn.conftest import asymmetric_table, image

CLASSES = {1: ApproxConvTranspose1d, 2: ApproxConvTranspose2d, 3: ApproxConvTranspose3d}


def meetings(layout, size):
    """Triples (output, tap, input) of one dimension, by phases."""
    (n,) = size
    for phase in phases(layout):
        (outputs,), (taps,) = phase.outputs, phase.taps
        ((n_taps,), (dilation,), (before,)) = phase.layout.kernel, phase.layout.dilation, phase.layout.before
        (n_outputs,) = phase.layout.output_size(size)
        assert max(0, n_outputs) == len(range(*outputs.indices(*layout.output_size(size))))
        assert n_taps == len(range(*taps.indices(*layout.kernel)))
        for q, j in product(range(n_outputs), range(n_taps)):
            if 0 <= (i := q + dilation * j - before) < n:
                yield outputs.start + q * outputs.step, taps.start + j * taps.step, i


@given(
    n=st.integers(1, 6),
    kernel=st.integers(1, 7),
    dilation=st.integers(1, 5),
    spread=st.integers(1, 6),
    padding=st.integers(0, 9),
    extra=st.integers(0, 5),
)
def test_every_meeting_of_an_input_and_a_tap_is_in_one_phase(n, kernel, dilation, spread, padding, extra):
    before = (kernel - 1) * dilation - padding
    layout = LaneLayout((kernel,), (1,), (dilation,), 1, (before,), (before + extra,), (spread,))
    (n_outputs,) = layout.output_size((n,))
    assume(n_outputs > 0)
    found = list(meetings(layout, (n,)))
    places = product(range(n_outputs), range(kernel), range(n))
    assert sorted(found) == [(o, u, i) for o, u, i in places if o + dilation * u == before + spread * i]


@st.composite
def layers(draw, dimensions):
    """A layer and the size of an input that fits it."""
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dimensions))  # noqa: E731
    most = {1: 5, 2: 3, 3: 2}[dimensions]
    groups, stride = draw(st.integers(1, 2)), each(1, 4)
    output_padding = tuple(draw(st.integers(0, s - 1)) for s in stride)
    kernel, dilation, padding, size = each(1, most), each(1, 3), each(0, 2), each(1, most)
    sides = zip(size, kernel, stride, dilation, padding, output_padding, strict=True)
    assume(min((n - 1) * s + d * (k - 1) + 1 - 2 * p + e for n, k, s, d, p, e in sides) > 0)
    affine = QuantiserConfig(scheme="affine")
    config = ApproxConfig(
        multiplier=asymmetric_table("4u", "3u"),
        backend=draw(st.sampled_from(["table", "auto"])),
        activation=affine,
        weight=affine,
        activation_operand=draw(st.sampled_from("ab")),
    )
    torch.manual_seed(draw(st.integers(0, 9)))
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    options = {"groups": groups, "dilation": dilation, "bias": draw(st.booleans())}
    return CLASSES[dimensions](*channels, kernel, stride, padding, output_padding, config=config, **options), size


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@settings(max_examples=25)
@given(data=st.data())
def test_layers_equal_the_oracle(oracle, dimensions, data):
    layer, size = data.draw(layers(dimensions))
    x = image(2, layer.in_channels, *size) + 0.3
    calibrate(layer, [torch.from_numpy(x)])
    table = layer.config.multiplier
    products = table(table.a.values()[:, None], table.b.values()[None, :])
    sums, outputs = oracle.convolution(x, layer, products, 0, 0, None)
    np.testing.assert_array_equal(layer.accumulate(torch.from_numpy(x)).numpy(), sums)
    with torch.no_grad():
        y = layer.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, outputs, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(outputs).max())))


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    spread=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.integers(0, 3),
    extra=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_phases_of_one_window_go_together_whatever_the_output_padding(kernel, spread, padding, extra):
    before = tuple(k - 1 - padding for k in kernel)
    after = tuple(b + e for b, e in zip(before, extra, strict=True))
    layout = LaneLayout(kernel, (1, 1), (1, 1), 1, before, after, spread)
    together = phases_by_window(layout)
    assert sorted(map(repr, phases(layout))) == sorted(repr(phase) for _, found in together for phase in found)
    for window, found in together:
        for phase in found:
            plain = phase.layout
            assert (plain.kernel, plain.dilation, plain.before) == (window.kernel, window.dilation, window.before)
            assert all(n <= most for n, most in zip(plain.output_size((9, 9)), window.output_size((9, 9)), strict=True))
    plain = replace(layout, after=before)
    assert [[p.taps for p in found] for _, found in together] == [
        [p.taps for p in found] for _, found in phases_by_window(plain)
    ]
    if kernel == spread:
        assert len(together) == 1 or padding > 0


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (6, 3), (2, 2)])
def test_a_stride_that_divides_the_kernel_divides_the_work(kernel, stride):
    """Per dimension, and in all by ``stride ** 2``: lanes that products are summed over."""
    layer = ApproxConvTranspose2d(1, 1, kernel, stride, config=ApproxConfig(multiplier="exact4u"))
    layout, size = layer.layout(), (5, 7)
    lanes = np.prod(layout.output_size(size)) * kernel**2
    assert sum(np.prod(p.layout.output_size(size)) * np.prod(p.layout.kernel) for p in phases(layout)) == (
        lanes / stride**2
    )
