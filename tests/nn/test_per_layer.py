"""Surrogates per layer: each the best for what its layer multiplies, and usable as configurations."""

import numpy as np
import pytest
import torch
from torch import nn

import multipliers
from surrogate import FitError, Objective, discover, front
from surrogate.fit.gain import rms_residual, weighting_gain
from surrogate.nn import (
    ApproxConfig,
    ConversionError,
    approximate_,
    approximate_layers,
    calibrate,
    discover_per_layer,
    from_model,
)

M = multipliers.get("mitchell6u")


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
    model = nn.Sequential(*layers)
    return model, [torch.rand(16, 1, 8, 8) ** 3 for _ in range(2)]


def test_each_layer_gets_the_best_for_its_operands(network):
    model, batches = network
    found = discover_per_layer(model, batches, "mitchell6u", products=2)
    assert list(found) == ["0", "3"]
    counted = from_model(model, batches, ApproxConfig(multiplier="mitchell6u"))
    for name, fit in found.fits.items():
        weights = counted[name].weights_a, counted[name].weights_b
        assert fit.distributions == counted[name]
        assert fit.surrogate == discover(M, "lowrank", products=2, weights_a=weights[0], weights_b=weights[1])
        assert fit.residual == pytest.approx(front(M, *weights, most=2).residuals[2])
        gains = weighting_gain(M, *weights, most=2).gains
        assert fit.gain == pytest.approx(gains[2])
        assert fit.gain > 1.1
    assert not any(True for _ in approximate_layers(model))  # the model is left as it was


def test_it_is_a_mapping_of_configurations(network):
    model, batches = network
    found = discover_per_layer(model, batches, {"3": ApproxConfig(multiplier=M, activation_operand="b")}, products=1)
    assert len(found) == 1
    assert approximate_(model, found) == ("3",)
    calibrate(model, batches)
    (layer,) = [layer for _, layer in approximate_layers(model)]
    assert layer.config.surrogate == found["3"].surrogate
    assert layer.config.activation_operand == "b"
    # the weights are the operand a here: its distribution is that of the weights, which a normal network has around 0
    counts = found.fits["3"].distributions.weights_a
    assert counts.sum() == found.fits["3"].distributions.weights_b.sum()
    assert counts[0] == 0 or counts.argmax() > 8
    assert model(batches[0]).shape == (16, 10)


def test_calibrated_networks_and_objectives(network):
    model, batches = network
    approximate_(model, ApproxConfig(multiplier=M))
    calibrate(model, batches)
    told = []
    found = discover_per_layer(model, iter(batches), objective=Objective(max_share=0.2), progress=told.append)
    assert told == ["0", "3"]
    for name, fit in found.fits.items():
        weights = fit.distributions.weights_a, fit.distributions.weights_b
        curve = front(M, *weights)
        assert fit.residual <= 0.2 * curve.error
        assert fit.surrogate.n_products <= curve.products_for(0.2 * curve.error)
        assert fit.residual == rms_residual(fit.surrogate, M, *weights), name
    exact = discover_per_layer(model, batches, objective=Objective(exact=True))
    assert [(fit.residual, fit.gain) for fit in exact.fits.values()] == [(0.0, 1.0)] * 2


def test_bad_requests(network):
    model, batches = network
    for options in ({}, {"products": 2, "objective": Objective(exact=True)}):
        with pytest.raises(ConversionError, match="give products"):
            discover_per_layer(model, batches, M, **options)
    with pytest.raises(ConversionError, match="three times"):
        discover_per_layer(model, iter(batches), M, products=2)
    with pytest.raises(ConversionError, match="no approximate layer"):
        discover_per_layer(model, batches, products=2)
    with pytest.raises(FitError, match="positive integer"):
        discover_per_layer(model, batches, M, products=0)
    only = ApproxConfig(surrogate=discover(M, "lowrank", products=1))
    with pytest.raises(ConversionError, match="no multiplier to fit another to"):
        discover_per_layer(model, batches, only, products=2)


def test_gain_on_published_circuits(circuits_8x8u):
    activations, weights = np.exp(-np.arange(256) / 24), np.exp(-((np.arange(256) - 128) ** 2) / (2 * 20**2))
    gains = [weighting_gain(m, activations, weights, most=2).gains[2] for m in circuits_8x8u]
    assert min(gains) >= 1 - 1e-9  # never worse: the weighted one is the best there is
    assert 1.2 < np.median(gains) < 3


@pytest.fixture
def circuits_8x8u(shared):
    """Published unsigned 8-bit circuits with error that two products leave something of."""
    found = []
    for path in sorted((shared / "evoapprox").glob("mul8u_*.npz")):
        m = multipliers.TableMultiplier(np.load(path)["table"], "8u", name=path.stem)
        if front(m, most=2).residuals[2] > 1e-6:
            found.append(m)
    return found
