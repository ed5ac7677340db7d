"""Weights times random factors, in float and in mode "relative" of approximate layers."""

import copy

import pytest
import torch
from torch import nn

from surrogate.nn import (
    ApproxConfig,
    ApproxConv2d,
    ApproxConvTranspose2d,
    ApproxLinear,
    ConversionError,
    RelativeError,
    approximate_,
    calibrate,
    mode,
    perturb_weights_,
    restore_weights_,
)

ERROR = RelativeError(0.05, 0.2, seed=1)
X = torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2, groups=2), nn.Flatten(), nn.Linear(50, 3)
    )


def factors(layer):
    return layer.parametrizations.weight[0].factors


def test_both_passes_use_the_perturbed_weights():
    layer = nn.Linear(7, 4)
    original = layer.weight
    perturb_weights_(layer, ERROR)
    x = torch.randn(3, 7, requires_grad=True)
    upstream = torch.randn(3, 4)
    y = layer(x)
    y.backward(upstream)
    perturbed = original.detach() * factors(layer)
    torch.testing.assert_close(y, x @ perturbed.T + layer.bias)
    torch.testing.assert_close(x.grad, upstream @ perturbed)
    assert layer.parametrizations.weight.original is original  # what an optimiser holds
    torch.testing.assert_close(original.grad, upstream.T @ x.detach() * factors(layer))


def test_factors_have_the_moments_and_stay():
    layer = nn.Conv2d(64, 128, 3)
    perturb_weights_(layer, ERROR)
    drawn = factors(layer).clone() - 1
    assert drawn.mean().item() == pytest.approx(0.05, abs=4 * 0.2 / drawn.numel() ** 0.5)
    assert drawn.std().item() == pytest.approx(0.2, rel=0.01)
    assert drawn.abs().mean().item() == pytest.approx(ERROR.mre, rel=0.02)
    layer(torch.zeros(1, 64, 4, 4))
    assert torch.equal(factors(layer) - 1, drawn)


def test_factors_depend_on_seed_and_name_alone():
    first, second, other = network(), network(), network()
    perturb_weights_(first, ERROR)
    torch.manual_seed(99)
    perturb_weights_(second, {"4": ERROR})
    perturb_weights_(other, RelativeError(0.05, 0.2, seed=2))
    assert torch.equal(factors(first[4]), factors(second[4]))
    assert not torch.equal(factors(first[4]), factors(other[4]))
    pair = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    perturb_weights_(pair, ERROR)
    assert not torch.equal(factors(pair[0]), factors(pair[1]))


def test_modes_and_restoring():
    model, plain = network(), network()
    assert perturb_weights_(model, {"re:[02]": ERROR, "_default": None}) == ("0", "2")
    before = model(X)
    assert not torch.equal(before, plain(X))
    with mode(model, "float"):
        assert torch.equal(model(X), plain(X))
    assert torch.equal(model(X), before)
    with (
        pytest.raises(ConversionError, match=r"has modes 'relative' and 'float', not 'quantised'"),
        mode(model, "quantised"),
    ):
        pass
    assert torch.equal(copy.deepcopy(model)(X), before)
    assert "mre=0.1" in repr(model)
    assert restore_weights_(model) == ("0", "2")
    assert torch.equal(model(X), plain(X))
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_a_state_brings_its_factors():
    model, other = network(), network()
    perturb_weights_(model, ERROR)
    perturb_weights_(other, RelativeError(0.0, 0.3, seed=8))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(X), model(X))


@pytest.mark.parametrize(
    ("model", "errors", "message"),
    [
        (nn.LSTM(3, 3), ERROR, "is a LSTM, whose weights are not perturbed"),
        (nn.MultiheadAttention(4, 2), ERROR, "is a MultiheadAttention, whose weights"),
        (nn.ReLU(), ERROR, "no layer is selected"),
        (network(), {"7": ERROR}, "the pattern '7' decides for no layer; layers: '0', '2', '4'"),
        (network(), {"4": 0.1}, "'4' must map to a RelativeError or None, got 0.1"),
        (network(), 0.1, "errors must be a RelativeError or a mapping"),
        (ApproxLinear(3, 2, config=ApproxConfig(multiplier="exact4s")), ERROR, "its mode 'relative' perturbs weights"),
    ],
)
def test_what_cannot_be_perturbed_is_refused(model, errors, message):
    keys = model.state_dict().keys()
    with pytest.raises(ConversionError, match=message):
        perturb_weights_(model, errors)
    assert model.state_dict().keys() == keys


def test_perturbing_twice_is_refused():
    layer = nn.Linear(2, 2)
    perturb_weights_(layer, ERROR)
    with pytest.raises(ConversionError, match="parametrised"):
        perturb_weights_(layer, ERROR)
    with pytest.raises(ConversionError, match="parametrised"):
        approximate_(layer, ApproxConfig(multiplier="exact4s"))


@pytest.mark.parametrize(
    "make",
    [
        lambda config: ApproxLinear(6, 4, config=config),
        lambda config: ApproxConv2d(2, 4, 3, groups=2, padding=1, config=config),
        lambda config: ApproxConvTranspose2d(2, 4, 2, groups=2, stride=2, config=config),
    ],
)
def test_relative_mode_of_a_given_error_in_both_passes(make):
    """The layer at an input of whole numbers is linear: its Jacobian is what the backward pass must return."""
    layer = make(ApproxConfig(multiplier="exact8s", relative_error=ERROR)).double()
    x = torch.randn(2, 6) if isinstance(layer, ApproxLinear) else X[:2]
    x = x.double()
    calibrate(layer, [x])
    layer.eval()
    x_hat = layer.activation_quantiser(x)[0].detach()
    with mode(layer, "relative"):
        y = layer(x_hat.requires_grad_())
        upstream = torch.randn_like(y)
        y.backward(upstream)
        step = layer.activation_quantiser.scale.item()
        flat = x_hat.detach().flatten()
        for place in range(0, len(flat), 7):
            moved = flat.clone()
            moved[place] -= step * (1 if moved[place] > 0 else -1)  # one step, towards zero: not clamped
            with torch.no_grad():
                slope = ((layer(moved.reshape(x.shape)) - y) * upstream).sum() / (moved[place] - flat[place])
            assert x_hat.grad.flatten()[place].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-4)
        with mode(layer, "quantised"):
            accurate = layer(x_hat)
    assert not torch.allclose(y, accurate)


def test_relative_mode_has_the_error_that_is_given():
    layer = ApproxLinear(400, 300, bias=False, config=ApproxConfig(multiplier="exact8s", relative_error=ERROR))
    one = torch.eye(400)
    calibrate(layer, [one])
    layer.eval()
    found = []
    for name in ("quantised", "relative"):
        with mode(layer, name), torch.no_grad():
            found.append(layer(one))
    error = (found[1] / found[0] - 1)[found[0] != 0]
    assert error.mean().item() == pytest.approx(0.05, abs=4 * 0.2 / error.numel() ** 0.5)
    assert error.std().item() == pytest.approx(0.2, rel=0.01)


def test_relative_mode_draws_by_the_name_of_the_layer():
    models = [nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    x, outputs = torch.rand(3, 4), []
    for model in models:
        torch.rand(5)  # torch's generator has no part in it
        approximate_(model, ApproxConfig(multiplier="drum8s_k4"))
        calibrate(model, [x])
        with mode(model, "relative"):
            outputs.append(model.eval()(x))
        draws = [layer._simulators["relative"]._factors for layer in model]
        assert not torch.equal(*draws)
    assert torch.equal(*outputs)


def test_compiled_graphs_draw_the_same_errors():
    layer = nn.Linear(4, 3)
    approximate_(layer, ApproxConfig(multiplier="drum8s_k4"))
    x = torch.rand(5, 4)
    calibrate(layer, [x])
    layer.eval().mode = "relative"
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(x), layer(x))  # compiled first: nothing has been drawn yet


def test_a_relative_error_must_be_one():
    with pytest.raises(ConversionError, match=r"relative_error must be a RelativeError, got 0\.1"):
        ApproxConfig(multiplier="exact8s", relative_error=0.1)
