"""Learned step sizes against the paper's gradient, one value at a time."""

import math

import pytest
import torch
from torch import nn

from multipliers import OperandFormat
from surrogate.nn import (
    ApproxConfig,
    ApproxLinear,
    QuantisationError,
    Quantiser,
    QuantiserConfig,
    approximate_,
    calibrate,
)

LEARNED = QuantiserConfig(learned_step=True)


def slow_gradient(x, upstream, scale, zero_point, low, high, n_values):
    """Equations 2 and 5 of the paper in Python floats; negative and positive levels count from the zero point."""
    levels_below, levels_above = zero_point - low, high - zero_point
    of_x, of_scale = [], 0.0
    for value, above in zip(x, upstream, strict=True):
        v = value / scale
        if v <= -levels_below - 0.5:
            slope, passes = -levels_below, 0.0
        elif v >= levels_above + 0.5:
            slope, passes = levels_above, 0.0
        else:
            slope, passes = round(v) - v, 1.0
        of_x.append(above * passes)
        of_scale += above * slope
    return of_x, of_scale / math.sqrt(n_values * levels_above)


@pytest.mark.parametrize("label", ["2s", "4s", "8s", "3u", "8u"])
@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_gradients_are_the_papers(label, scheme, channels):
    generator = torch.Generator().manual_seed(1)
    operand = OperandFormat.parse(label)
    quantiser = Quantiser(QuantiserConfig(scheme=scheme, learned_step=True), operand, channels=channels)
    x = torch.randn(3, 40, generator=generator)
    quantiser.observe(x * 0.5)  # so that some are clamped
    x.requires_grad_()
    upstream = torch.randn(3, 40, generator=generator)
    x_hat, q = quantiser(x)
    assert not q.requires_grad
    (x_hat * upstream).sum().backward()
    n_values = 120 if channels == 1 else 40
    totals = torch.zeros(channels or 1)
    for row in range(3):
        at = row if channels == 3 else 0
        step, zero = quantiser.scale[at].item(), int(quantiser.zero_point[at])
        of_x, of_scale = slow_gradient(
            x[row].tolist(), upstream[row].tolist(), step, zero, operand.minimum, operand.maximum, n_values
        )
        torch.testing.assert_close(x.grad[row], torch.tensor(of_x))
        totals[at] += of_scale
    torch.testing.assert_close(quantiser.scale.grad, totals, rtol=1e-4, atol=1e-5)


def test_values_are_those_of_the_quantiser_that_does_not_learn():
    x = torch.randn(50, generator=torch.Generator().manual_seed(0))
    plain, learned = Quantiser(QuantiserConfig(), OperandFormat(4, True)), Quantiser(LEARNED, OperandFormat(4, True))
    for quantiser in (plain, learned):
        quantiser.observe(x)
    assert plain.state_dict().keys() == learned.state_dict().keys()
    for one, other in zip(plain(x), learned(x), strict=True):
        assert torch.equal(one, other)


def test_training_moves_the_step_and_observation_does_not():
    quantiser = Quantiser(LEARNED, OperandFormat(3, True))
    quantiser.observe(torch.tensor([-1.0, 3.0]), "average")
    start = quantiser.scale.item()
    for how in ("average", "replace"):
        quantiser.observe(torch.tensor([-100.0, 100.0]), how)
        assert quantiser.scale.item() == start
    quantiser.observe(torch.tensor([-6.0, 6.0]), "extend")  # calibration
    assert quantiser.scale.item() == 2.0


def test_a_learned_step_comes_near_the_best_one():
    """Of values quantised to 3 bits, by plain gradient descent on the squared error, from the whole range."""
    x = torch.randn(1, 1000, generator=torch.Generator().manual_seed(3))
    quantiser = Quantiser(LEARNED, OperandFormat(3, True))
    quantiser.observe(x)
    optimiser = torch.optim.SGD(quantiser.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        ((quantiser(x)[0] - x) ** 2).sum().div(10).backward()
        optimiser.step()
    steps = torch.arange(20, 150) / 100
    errors = [float((s * (x / s).round().clamp(-4, 3) - x).square().mean()) for s in steps]
    assert (quantiser(x)[0] - x).square().mean().item() < 1.02 * min(errors)


def test_layers_learn_the_steps_of_weights_and_activations():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    weight = QuantiserConfig("4s", granularity="channel", learned_step=True)
    approximate_(model, ApproxConfig(multiplier="exact8s", activation=LEARNED, weight=weight))
    x = torch.randn(32, 6)
    calibrate(model, [x])
    steps = {name: p for name, p in model.named_parameters() if name.endswith("scale")}
    assert {tuple(p.shape) for p in steps.values()} == {(1,), (8,), (2,)}
    before = {name: p.detach().clone() for name, p in steps.items()}
    optimiser = torch.optim.SGD(steps.values(), lr=0.01)  # weights stay: their cache must follow the step alone
    model.train()
    first = model(x)
    first.square().mean().backward()
    optimiser.step()
    assert all(not torch.equal(p, before[name]) for name, p in steps.items())
    second = model(x)
    assert not torch.equal(first, second)
    layer = model[0]
    with torch.no_grad():
        layer.weight_quantiser.scale.mul_(1.7)
    w_hat, codes = layer.weight_quantiser(layer.weight)
    assert torch.equal(w_hat, codes * layer.weight_quantiser.scale[:, None])
    x_hat, _ = layer.activation_quantiser(x)
    torch.testing.assert_close(layer(x), x_hat @ w_hat.T + layer.bias)


def test_a_step_that_is_not_positive_is_refused():
    quantiser = Quantiser(LEARNED, OperandFormat(4, True))
    quantiser.observe(torch.ones(3))
    with torch.no_grad():
        quantiser.scale.neg_()
    with pytest.raises(QuantisationError, match="not positive; lower the learning rate"):
        quantiser(torch.ones(3))


def test_casting_a_model_leaves_learned_steps_in_float32():
    layer = ApproxLinear(3, 2, config=ApproxConfig(multiplier="exact8s", activation=LEARNED))
    calibrate(layer, [torch.rand(4, 3)])
    before = layer.activation_quantiser.scale.detach().clone()
    layer.half()
    assert layer.weight.dtype == torch.float16
    assert torch.equal(layer.activation_quantiser.scale, before)
    assert isinstance(layer.activation_quantiser.scale, nn.Parameter)


def test_steps_alone_can_be_learned():
    layer = ApproxLinear(6, 2, config=ApproxConfig(multiplier="exact8s", activation=LEARNED))
    calibrate(layer, [torch.rand(8, 6)])
    layer.weight.requires_grad_(False)
    layer(torch.rand(8, 6)).sum().backward()
    assert layer.activation_quantiser.scale.grad.abs().item() > 0


def test_calibration_sets_the_steps_of_weights_that_changed():
    weight = QuantiserConfig(learned_step=True)
    layer = ApproxLinear(6, 2, config=ApproxConfig(multiplier="exact8s", weight=weight))
    before = layer.weight_quantiser.scale.item()
    with torch.no_grad():
        layer.weight.mul_(4)
    calibrate(layer, [torch.rand(8, 6)])
    assert layer.weight_quantiser.scale.item() == pytest.approx(4 * before)
    restored = ApproxLinear(6, 2, config=ApproxConfig(multiplier="exact8s", weight=weight))
    restored.load_state_dict(layer.state_dict())
    x = torch.rand(3, 6)
    assert torch.equal(restored.eval()(x), layer.eval()(x))
