"""Errors of layers' outputs against NumPy, layer by layer, and what depends on what."""

import numpy as np
import pytest
import torch
from torch import nn

from surrogate.nn import (
    ApproxConfig,
    ConversionError,
    NotCalibratedError,
    approximate_,
    calibrate,
    error_variance,
    mode,
    output_errors,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 8, 1),
        nn.Flatten(),
        nn.Linear(32, 3),
    ).eval()


BATCHES = [torch.rand(n, 4, 6, 6, generator=torch.Generator().manual_seed(n)) for n in (5, 3, 8)]


def approximate(multiplier="mitchell8s", model=None):
    model = network() if model is None else model
    approximate_(model, ApproxConfig(multiplier=multiplier))
    calibrate(model, BATCHES)
    return model


def test_moments_are_those_of_all_outputs():
    model = approximate()
    found = output_errors(model, BATCHES)
    x = torch.cat(BATCHES)
    for name, module in model.named_children():
        with torch.no_grad():
            inputs, layers = x, [module]
            with mode(model, "quantised"):
                x = module(x)
            if name not in found:
                continue
            error = (layers[0](inputs) - x).double().numpy()
        y = x.double().numpy()
        y, error = (v.swapaxes(0, 1).reshape(v.shape[1], -1) for v in (y, error))
        moments = found[name]
        assert moments.n == y.shape[1]
        np.testing.assert_allclose(moments.mean.numpy(), y.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(moments.error_mean.numpy(), error.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(moments.variance.numpy(), y.var(axis=1), rtol=1e-6)
        np.testing.assert_allclose(moments.error_variance.numpy(), error.var(axis=1), rtol=1e-6)
        centred, residue = y - y.mean(axis=1, keepdims=True), error - error.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(moments.covariance.numpy(), (centred * residue).mean(axis=1), rtol=1e-5, atol=1e-12)
        gain = 1 + (centred * residue).sum() / (centred**2).sum()
        output = (y + error).var(axis=1).sum()
        assert moments.gain == pytest.approx(gain)
        assert moments.total_share == pytest.approx(error.var(axis=1).sum() / output)
        assert moments.share == pytest.approx((residue - (gain - 1) * centred).var(axis=1).sum() / output)


def test_kinds_of_layers():
    found = error_variance(approximate(), BATCHES)
    assert [(v.layer, v.kind, v.n_products) for v in found] == [
        ("0", "conventional", 36),
        ("3", "grouped", 36),
        ("5", "depthwise", 9),
        ("6", "pointwise", 8),
        ("8", "linear", 32),
    ]
    assert all(0 < v.share < v.total_share < 0.1 and 0.9 < v.gain < 1 for v in found)


def test_transposed_and_one_dimensional_layers_have_kinds_too():
    model = nn.Sequential(nn.Conv1d(4, 4, 3, groups=4), nn.ConvTranspose1d(4, 6, 3, groups=2), nn.Flatten(0))
    approximate_(model, ApproxConfig(multiplier="mitchell8s"))
    calibrate(model, [torch.rand(4, 9)])  # an input without a batch
    assert [(v.kind, v.n_products) for v in error_variance(model, [torch.rand(4, 9)])] == [
        ("depthwise", 3),
        ("grouped", 6),
    ]


def test_accurate_products_do_not_err():
    for value in error_variance(approximate("exact8s"), BATCHES):
        assert (value.gain, value.total_share, value.share) == (1, 0, 0)


def test_layers_are_measured_each_by_itself():
    model = approximate()
    first = {v.layer: v for v in error_variance(model, BATCHES)}
    rough = ApproxConfig(multiplier="mitchw8s_w3c2")
    approximate_(model, {"0": rough, "_default": ApproxConfig(multiplier="mitchell8s")})
    second = {v.layer: v for v in error_variance(model, BATCHES)}
    assert second["0"].share > first["0"].share
    assert [second[name] for name in "3568"] == [first[name] for name in "3568"]


def test_modes_and_training_are_as_before():
    model = approximate().train()
    error_variance(model, BATCHES)
    assert model.training
    assert {layer.mode for layer in (model[0], model[3], model[5], model[8])} == {"approximate"}
    assert not model[0]._forward_hooks


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ConversionError, match="no approximate layer"):
        error_variance(network(), BATCHES)
    model = network()
    approximate_(model, ApproxConfig(multiplier="mitchell8s"))
    with pytest.raises(NotCalibratedError, match="'0' has not seen the range"):
        error_variance(model, BATCHES)
    calibrate(model, BATCHES)
    with pytest.raises(ConversionError, match="at least one batch"):
        error_variance(model, [])
    with pytest.raises(ConversionError, match="never reached '0', '3'"):
        error_variance(model, [torch.empty(0, 4, 6, 6)])
