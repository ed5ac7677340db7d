"""Layers as other modules: datatypes, autocast, memory formats, shared and parametrised weights, any training loop."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from surrogate.nn import (
    ApproxConv2d,
    ApproxConv3d,
    ApproxMatmul,
    ConversionError,
    approximate_,
    calibrate,
    restore_,
)
from tests.nn.conftest import asymmetric_table, configurations

CONFIGS = dict(zip(("table", "int8", "float32"), configurations(asymmetric_table("8u", "8s")), strict=True))
X = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


@pytest.fixture(params=CONFIGS)
def model(request):
    model = network()
    approximate_(model, CONFIGS[request.param])
    calibrate(model, [X])
    return model.eval()


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters()]


def test_autocast_changes_neither_sums_nor_the_datatype_of_outputs(model):
    expected, plain = model[0](X), gradients(model, (model(X) ** 2).mean())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model[0](X)
        loss = (model(X) ** 2).mean()
    assert torch.equal(y, expected)
    for one, other in zip(gradients(model, loss), plain, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other)


def test_inputs_that_autocast_has_narrowed_come_out_as_narrow(model):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = torch.mm(torch.eye(4), X.reshape(4, -1)).reshape(X.shape)
        assert narrow.dtype == model[0](narrow).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_other_datatypes_compute_the_same_integers_of_the_same_values(model, dtype):
    """Scales stay float32; narrow inputs and weights are widened, and only outputs and gradients rounded."""
    cast = copy.deepcopy(model).to(dtype)
    wide = copy.deepcopy(cast).float()  # the narrow weights, exactly
    x = X.to(dtype)
    assert torch.equal(cast[0].accumulate(x), wide[0].accumulate(x.float()))
    y, expected = cast[0](x), wide[0](x.float())
    assert y.dtype == dtype
    torch.testing.assert_close(y, expected.to(dtype), rtol=1e-6 if dtype == torch.float64 else 0, atol=1e-6)
    for grad in gradients(cast, (cast(x) ** 2).mean()):
        assert grad.dtype == dtype
        assert bool(grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_products_of_narrow_activations_are_those_of_the_same_values(dtype):
    product = ApproxMatmul(CONFIGS["int8"])
    x, y = torch.randn(3, 5, 7).to(dtype), torch.randn(7, 4).to(dtype)
    calibrate(product, [x], forward=lambda product, x: product(x, y))
    assert torch.equal(product.accumulate(x, y), product.accumulate(x.float(), y.float()))
    assert torch.equal(product.eval()(x, y), product(x.float(), y.float()).to(dtype))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("kind", "shape", "layout"),
    [(ApproxConv2d, (3, 4, 5, 6), torch.channels_last), (ApproxConv3d, (2, 4, 3, 4, 5), torch.channels_last_3d)],
)
def test_channels_last_goes_in_and_comes_out(kind, shape, layout, name):
    layer = kind(4, 6, 3, padding=1, groups=2, config=CONFIGS[name])
    x = torch.randn(shape)
    calibrate(layer, [x])
    y = layer.eval()(x)
    assert y.is_contiguous()
    layer.to(memory_format=layout)
    z = layer(x.to(memory_format=layout))
    assert z.is_contiguous(memory_format=layout)
    assert torch.equal(z, y)
    x = x.to(memory_format=layout).requires_grad_()
    layer(x).sum().backward()
    assert x.grad.shape == x.shape


def test_functional_call_computes_with_the_given_parameters(model):
    other = {name: p.detach() * 1.1 for name, p in model.named_parameters()}
    before = model(X)
    y = torch.func.functional_call(model, other, (X,))
    assert torch.equal(model(X), before)
    model.load_state_dict(other, strict=False)
    assert torch.equal(y, model(X))


def test_transforms_of_functions_are_refused(model):
    with pytest.raises(ConversionError, match=r"torch\.func's transforms"):
        torch.func.vmap(model)(X[:, None])
    with pytest.raises(ConversionError, match=r"torch\.func's transforms"):
        torch.func.grad(lambda x: model(x).sum())(X)
    product = ApproxMatmul(CONFIGS["int8"])
    calibrate(product, [X], forward=lambda product, x: product(x, x))
    with pytest.raises(ConversionError, match=r"torch\.func's transforms"):
        torch.func.vmap(product)(X, X)


def test_outputs_without_gradients_and_in_inference_mode_are_those_with(model):
    expected = model(X)
    with torch.no_grad():
        assert torch.equal(model(X), expected)
    with torch.inference_mode():
        y = model(X)
    assert y.is_inference()
    assert torch.equal(y, expected)
    model.train()
    assert all(bool(g.isfinite().all()) for g in gradients(model, model(X).sum()))  # after inference, training goes on


@pytest.mark.parametrize("function", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrised_weights_are_computed_anew_and_get_gradients(model, function):
    layer = model[0]
    getattr(parametrizations, function)(layer)
    y = model.train()(X)
    assert y.shape == (4, 3)
    for grad in gradients(model, (y**2).mean()):
        assert float(grad.abs().max()) > 0
    with torch.no_grad():
        for p in layer.parametrizations.weight.parameters():
            p.mul_(-1.5).add_(0.1)
    plain = ApproxConv2d(2, 4, 3, padding=1, config=layer.config).eval()
    plain.activation_quantiser.load_state_dict(layer.activation_quantiser.state_dict())
    plain.load_state_dict({"weight": layer.eval().weight, "bias": layer.bias}, strict=False)
    assert torch.equal(layer(X), plain(X))


def test_parametrised_layers_are_restored_after_the_parametrisation_is_removed(model):
    parametrizations.weight_norm(model[0])
    y = model(X)
    assert torch.equal(copy.deepcopy(model)(X), y)
    with pytest.raises(ConversionError, match="layer '0' is parametrised"):
        restore_(model)
    assert torch.equal(model(X), y)
    parametrize.remove_parametrizations(model[0], "weight")
    assert torch.equal(model(X), y)
    assert restore_(model) == ("0", "3")


def test_layers_that_are_parametrised_already_are_refused():
    model = network()
    parametrizations.weight_norm(model[0])
    with pytest.raises(ConversionError, match=r"layer '0' is parametrised.*remove_parametrizations"):
        approximate_(model, CONFIGS["int8"])
    assert type(model[3]) is nn.Linear


@pytest.mark.parametrize("name", CONFIGS)
def test_tied_weights_stay_tied_and_add_their_gradients(name):
    torch.manual_seed(0)
    embedding = nn.Embedding(11, 8)
    model = nn.Sequential(embedding, nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 11))
    model[3].weight = embedding.weight
    approximate_(model, CONFIGS[name])
    tokens = torch.arange(11)
    calibrate(model, [tokens])
    assert model[3].weight is embedding.weight
    assert len(list(model.parameters())) == 4
    y = model(tokens)
    (both,) = torch.autograd.grad(y.square().sum(), embedding.weight, retain_graph=True)
    hidden = model[2](model[1](embedding(tokens).detach()))
    (of_output,) = torch.autograd.grad(model[3](hidden.detach()).square().sum(), embedding.weight)
    assert not torch.allclose(both, of_output)
    with torch.no_grad():
        embedding.weight.mul_(0.5)
    assert not torch.equal(model(tokens), y)  # the output layer sees the change, too


def test_a_layer_used_twice_observes_both_inputs():
    torch.manual_seed(0)
    shared = nn.Linear(5, 5)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    approximate_(model, CONFIGS["int8"])
    x = torch.randn(9, 5)
    calibrate(model, [x])
    first = nn.functional.relu(nn.functional.linear(x, shared.weight, shared.bias)).detach()
    assert float(shared.activation_quantiser.maximum) == max(float(x.max()), float(first.max()))
    assert gradients(model, model(x).sum())[0].shape == (5, 5)


def test_nothing_depends_on_the_training_loop():
    """An optimiser made before conversion, hooks, moves and evaluation in between: the steps of a plain loop."""
    calls = []
    models = network(), network()
    optimiser = torch.optim.Adam(models[0].parameters(), lr=0.01)
    models[0][0].register_forward_hook(lambda layer, inputs, y: calls.append(tuple(y.shape)))
    for model in models:
        approximate_(model, CONFIGS["int8"])
    plain = torch.optim.Adam(models[1].parameters(), lr=0.01)
    for step in range(3):
        losses = []
        for model, each in zip(models, (optimiser, plain), strict=True):
            model.train()
            each.zero_grad(set_to_none=model is models[0])
            loss = (model(X + step) ** 2).mean()
            loss.backward()
            each.step()
            losses.append(loss.detach())
        assert torch.equal(*losses)
        models[0].to("cpu").eval()
        with torch.no_grad():
            models[0](X)
        models[0].load_state_dict(copy.deepcopy(models[0].state_dict()))
    assert calls == [(4, 4, 6, 6)] * 6
