"""Layers of any two operands, 2 to 16 bits wide, quantised in every way, against sums of Python's own integers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
import surrogate
from multipliers import OperandFormat, TableMultiplier
from surrogate.nn import ApproxConfig, ApproxLinear, QuantiserConfig, calibrate
from surrogate.nn.quantisation.config import SCHEMES
from surrogate.nn.quantisation.observers import OBSERVERS


def formats(most):
    return st.builds(OperandFormat, st.integers(2, most), st.booleans())


def quantisers(operand, granularities):
    """Ways to quantise to an operand or to a narrower format of the same sign."""
    narrower = st.builds(OperandFormat, st.integers(2, operand.bits), st.just(operand.signed))
    return st.builds(
        QuantiserConfig,
        st.none() | narrower,
        scheme=st.sampled_from(SCHEMES),
        granularity=st.sampled_from(granularities),
        observer=st.sampled_from(OBSERVERS),
        percentile=st.sampled_from([80.0, 99.9]),
        learned_step=st.booleans(),
    )


def integers(x, quantiser):
    """Quantise by the definition, value by value, in NumPy."""
    shape = (-1,) + (1,) * (x.ndim - 1)
    scale = quantiser.scale.detach().numpy().reshape(shape)
    zero_point = quantiser.zero_point.numpy().reshape(shape).astype(np.int64)
    found = np.rint(x / scale).astype(np.int64) + zero_point
    return np.clip(found, quantiser.operand.minimum, quantiser.operand.maximum), scale.astype(np.float64), zero_point


def check(multiplier, config, seed):
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layer = ApproxLinear(5, 3, config=config)
    batches = [generator.normal(0.3, scale, (4, 5)).astype(np.float32) for scale in (1.0, 3.0)]
    calibrate(layer, [torch.from_numpy(x) for x in batches])
    x, w = batches[0], layer.weight.detach().numpy()
    xq, sx, zx = integers(x, layer.activation_quantiser)
    wq, sw, zw = integers(w, layer.weight_quantiser)
    operands = (xq[:, None], wq[None]) if config.activation_operand == "a" else (wq[None], xq[:, None])
    sums = np.asarray(multiplier(*np.broadcast_arrays(*operands))).sum(axis=2)
    np.testing.assert_array_equal(layer.accumulate(torch.from_numpy(x)).numpy(), sums)
    corrected = sums - zx * wq.sum(axis=1) - zw.T * xq.sum(axis=1)[:, None] + 5 * zx * zw.T
    outputs = sx * sw.T * corrected + layer.bias.detach().numpy()
    with torch.no_grad():
        y = layer.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, outputs, rtol=1e-5, atol=1e-5 * np.abs(outputs).max())


@settings(max_examples=40)
@given(data=st.data())
def test_tables_of_any_two_operands(data):
    role = data.draw(st.sampled_from("ab"))
    a, b = data.draw(formats(9)), data.draw(formats(9))
    activation, weight = (a, b) if role == "a" else (b, a)
    generator = np.random.default_rng(data.draw(st.integers(0, 3)))
    table = generator.integers(-(1 << 12), 1 << 12, (a.size, b.size))
    multiplier = TableMultiplier(table, a, b, name="random")
    config = ApproxConfig(
        multiplier=multiplier,
        backend="table",
        activation=data.draw(quantisers(activation, ["tensor"])),
        weight=data.draw(quantisers(weight, ["tensor", "channel"])),
        activation_operand=role,
    )
    check(multiplier, config, data.draw(st.integers(0, 3)))


@pytest.fixture(scope="module", params=["exact16s", "bam12u_h0v5", "exact12s"])
def wide(request):
    """A multiplier of wide operands, and a surrogate of it."""
    multiplier = multipliers.get(request.param)
    return multiplier, surrogate.discover(multiplier)


@pytest.mark.parametrize("narrow", [None, 2, 11])
@pytest.mark.parametrize("observer", OBSERVERS)
def test_wide_operands(wide, narrow, observer):
    multiplier, model = wide
    operand = None if narrow is None else OperandFormat(narrow, multiplier.b.signed)
    weight = QuantiserConfig(operand, granularity="channel", observer=observer)
    activation = QuantiserConfig(observer=observer, scheme="affine")
    check(multiplier, ApproxConfig(surrogate=model, activation=activation, weight=weight), seed=1)
