"""Straight-through gradients: those of the accurate layer at the dequantised operands, clamped operands cut off."""

import pytest
import torch
from torch import nn

import surrogate
from multipliers import get
from surrogate.nn import ApproxConfig, ApproxConv2d, ApproxLinear, QuantiserConfig

MODEL = surrogate.discover(get("bam8u_h1v6"))
CONFIGS = {
    "surrogate": ApproxConfig(surrogate=MODEL),
    "table": ApproxConfig(multiplier=get("bam8u_h1v6"), backend="table"),
    "skip": ApproxConfig(surrogate=MODEL, skip_padding=True),
    "symmetric": ApproxConfig(multiplier="bam8s_h0v5", weight=QuantiserConfig(operand="4s")),
}


def reference(x, weight, bias, layer, product):
    """Fake quantisation written out with torch's autograd."""

    def fake(v, quantiser):
        shape = (-1,) + (1,) * (v.ndim - 1) if quantiser.scale.numel() > 1 else ()
        scale, zero = quantiser.scale.reshape(shape), quantiser.zero_point.reshape(shape)
        low, high = (quantiser.low - zero) * scale, (quantiser.high - zero) * scale
        rounded = torch.round(v / scale) + zero
        inside = (rounded >= quantiser.low) & (rounded <= quantiser.high)
        value = torch.minimum(torch.maximum(torch.round(v / scale) * scale, low), high)
        return torch.where(inside, v + (value - v).detach(), value.detach())

    return product(fake(x, layer.activation_quantiser), fake(weight, layer.weight_quantiser), bias)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"dilation": 2, "padding": (2, 1)},
        {"groups": 2, "padding": "same"},
        {"groups": 4, "padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_convolution(config, options):
    torch.manual_seed(0)
    layer = ApproxConv2d(4, 8, 3, **options, config=CONFIGS[config])
    accurate = nn.Conv2d(4, 8, 3, **options)
    x = torch.randn(3, 4, 7, 6, requires_grad=True)
    layer.train()
    y = layer(x)
    direction = torch.randn_like(y)
    (y * direction).sum().backward()

    clone, weight, bias = (v.detach().clone().requires_grad_() for v in (x, layer.weight, layer.bias))

    def product(x_hat, w_hat, b):
        return accurate._conv_forward(x_hat, w_hat, b)

    (reference(clone, weight, bias, layer, product) * direction).sum().backward()
    torch.testing.assert_close(x.grad, clone.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.weight.grad, weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.bias.grad, bias.grad, rtol=1e-4, atol=1e-4)
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 6), (6,)], ids=str)
def test_linear(config, shape):
    torch.manual_seed(0)
    layer = ApproxLinear(6, 4, config=CONFIGS[config])
    x = torch.randn(shape, requires_grad=True)
    y = layer.train()(x)
    direction = torch.randn_like(y)
    (y * direction).sum().backward()
    clone, weight, bias = (v.detach().clone().requires_grad_() for v in (x, layer.weight, layer.bias))
    (reference(clone, weight, bias, layer, nn.functional.linear) * direction).sum().backward()
    torch.testing.assert_close(x.grad, clone.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.weight.grad, weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.bias.grad, bias.grad, rtol=1e-4, atol=1e-4)


def test_clamped_activations_get_no_gradient():
    layer = ApproxLinear(2, 1, config=ApproxConfig(multiplier="exact8s"))
    layer.train()(torch.tensor([[1.0, -1.0]]))
    layer.eval()
    x = torch.tensor([[5.0, 0.5]], requires_grad=True)
    layer(x).sum().backward()
    assert x.grad[0, 0] == 0
    assert x.grad[0, 1] != 0


def test_only_what_needs_a_gradient_gets_one():
    layer = ApproxLinear(3, 2, config=ApproxConfig(multiplier="exact8s")).train()
    layer.weight.requires_grad_(False)
    x = torch.randn(4, 3, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None
    assert layer.bias.grad.tolist() == [4.0, 4.0]
    with torch.no_grad():
        assert not layer(x).requires_grad
    frozen = ApproxLinear(3, 2, config=ApproxConfig(multiplier="exact8s")).requires_grad_(False).train()
    assert not frozen(torch.randn(4, 3)).requires_grad
