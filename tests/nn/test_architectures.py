"""Whole networks: converted, calibrated, run, trained, saved, folded and restored, by every exact engine alike."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from multipliers import TableMultiplier
from surrogate.nn import (
    ApproxConfig,
    approximate_,
    approximate_layers,
    calibrate,
    fold_batch_norm_,
    mode,
    restore_,
)
from surrogate.nn.networks import VGG, LeNet5, ResNet8
from tests.nn.architectures import MobileNetV2, VisionTransformer, basic_resnet, bottleneck_resnet
from tests.nn.conftest import asymmetric_table, exact_surrogate

pytestmark = pytest.mark.usefixtures("one_thread")

X = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
X32 = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))

ARCHITECTURES = {
    "LeNet5": (lambda: LeNet5(16, channels=3, classes=5), X),
    "ResNet8": (lambda: ResNet8(classes=5, width=4), X),
    "ResNet, basic": (basic_resnet, X),
    "ResNeXt, bottleneck": (bottleneck_resnet, X),
    "MobileNetV2": (MobileNetV2, X),
    "VGG11": (lambda: VGG(11, batch_norm=False, classes=5, width=3), X32),
    "VGG11, normalised": (lambda: VGG(11, classes=5, width=3), X32),
    "vision transformer": (VisionTransformer, X),
}
TABLE = asymmetric_table("8u", "8s")
CONFIGS = (ApproxConfig(multiplier=TABLE, backend="table"), ApproxConfig(surrogate=exact_surrogate(TABLE)))

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def network(name):
    make, x = ARCHITECTURES[name]
    torch.manual_seed(0)
    return make(), x


def converted(name, config=CONFIGS[0], **options):
    model, x = network(name)
    names = approximate_(model, config, products=True, **options)
    calibrate(model, [x])
    return model, x, names


@every_architecture
def test_every_layer_is_converted_and_restored(name):
    model, x = network(name)
    accurate, keys = copy.deepcopy(model).eval(), list(model.state_dict())
    names = approximate_(model, CONFIGS[0])
    attention = [n for n, m in accurate.named_modules() if isinstance(m, nn.MultiheadAttention)]
    layers = {n for n, m in accurate.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert set(names) == layers | {f"{n}.{part}_proj" for n in attention for part in "qkv"}
    assert {n for n, _ in approximate_layers(model)} == set(names)
    calibrate(model, [x])
    with mode(model.eval(), "float"):
        torch.testing.assert_close(model(x), accurate(x), rtol=1e-4, atol=1e-5)
    assert restore_(model) == names
    assert list(model.state_dict()) == keys
    assert torch.equal(model(x), accurate(x))


@every_architecture
def test_engines_train_alike(name):
    outputs, gradients = [], []
    for config in CONFIGS:
        model, x, _ = converted(name, config)
        torch.manual_seed(2)  # of dropout
        y = model.train()(x)
        loss = nn.functional.cross_entropy(y, torch.arange(len(x)))
        loss.backward()
        outputs.append(y)
        gradients.append({n: p.grad for n, p in model.named_parameters()})
        torch.optim.SGD(model.parameters(), 0.05).step()
        torch.manual_seed(2)
        assert nn.functional.cross_entropy(model(x), torch.arange(len(x))) != loss
    assert torch.equal(*outputs)  # sums are integers; gradients are summed as each engine likes
    scale = max(float(g.abs().max()) for g in gradients[0].values())
    for n, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][n], gradient, rtol=1e-3, atol=1e-5 * scale)


@every_architecture
def test_quantised_mode_is_the_exact_multiplier(name):
    accurate = TableMultiplier(TABLE.a.values()[:, None] * TABLE.b.values(), TABLE.a, TABLE.b, name="accurate")
    model, x, _ = converted(name)
    approximate = model.eval()(x)
    exact, _, _ = converted(name, ApproxConfig(multiplier=accurate, backend="table"))
    with mode(model, "quantised"):
        assert torch.equal(model(x), exact.eval()(x))
        assert not torch.equal(model(x), approximate)


@pytest.mark.parametrize("config", CONFIGS, ids=["table", "surrogate"])
@every_architecture
def test_states_are_saved_and_loaded(name, config, tmp_path):
    model, x, _ = converted(name, config)
    model.train()(x)  # ranges and statistics move on
    y = model.eval()(x)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other, _ = network(name)
    approximate_(other, config, products=True)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(other.eval()(x), y)
    assert torch.equal(copy.deepcopy(model)(x), y)
    restore_(other)
    plain, _ = network(name)
    plain.load_state_dict(other.state_dict())


def lookups(layer, x, table):
    """Sums of products of a convolution or linear layer by NumPy, window by window."""
    quantiser = layer.activation_quantiser
    codes = np.rint(x.numpy() / np.float32(quantiser.scale[0])).astype(int) + int(quantiser.zero_point[0])
    codes = np.clip(codes, quantiser.low, quantiser.high)
    weight, weights = layer.weight.detach().numpy(), layer.weight_quantiser
    scale, ones = weights.scale.numpy(), (1,) * (weight.ndim - 1)
    w = np.clip(np.rint(weight / scale.reshape(-1, *ones)).astype(int), weights.low, weights.high) - table.b.minimum
    values = table.table()
    if weight.ndim == 2:
        return values[codes[..., None, :] - table.a.minimum, w].sum(axis=-1)
    (ph, pw), (sh, sw), groups = layer.padding, layer.stride, layer.groups
    padded = np.pad(codes, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=int(quantiser.zero_point[0]))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))[:, :, ::sh, ::sw]
    found = []
    for part, kernels in zip(np.split(windows, groups, axis=1), np.split(w, groups), strict=True):
        products = values[part[:, None] - table.a.minimum, kernels[None, :, :, None, None]]
        found.append(products.sum(axis=(2, 5, 6)))
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("name", ["ResNeXt, bottleneck", "MobileNetV2", "vision transformer"])
def test_sums_of_every_layer_are_lookups_in_the_table(name):
    model, x, names = converted(name)
    seen = []

    def check(layer, inputs):
        if layer in seen:
            return
        seen.append(layer)
        np.testing.assert_array_equal(layer.accumulate(inputs[0]).numpy(), lookups(layer, inputs[0], TABLE))

    for _, layer in approximate_layers(model):
        layer.register_forward_pre_hook(check)
    with torch.no_grad():
        model.eval()(x[:1])
    assert len(seen) == len([n for n in names if not n.endswith((".scores", ".context"))])


@pytest.mark.parametrize(
    "name", ["ResNet8", "ResNet, basic", "ResNeXt, bottleneck", "MobileNetV2", "VGG11, normalised"]
)
def test_batch_norm_is_folded_everywhere(name):
    model, x = network(name)
    for _ in range(3):
        model.train()(x)  # so that there are statistics
    expected = model.eval()(x)
    n_norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert len(fold_batch_norm_(model)) == n_norms > 0
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-4)
    approximate_(model, CONFIGS[0])
    calibrate(model, [x])
    y = model(x)
    unfolded, _, _ = converted(name)
    assert not torch.equal(y, unfolded.eval()(x))
    with mode(model, "float"):
        torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-4)


def test_in_place_activations_change_no_gradient():
    gradients = []
    for inplace in (True, False):
        model, x, _ = converted("ResNet, basic")
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = inplace
        model.train()(x).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_layers_that_are_used_twice_see_the_range_of_both_uses():
    block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True))
    model = nn.Sequential(block, block, nn.Flatten(), nn.Linear(3 * 16 * 16, 5))
    assert approximate_(model, CONFIGS[0]) == ("0.0", "1.0", "3")
    with torch.no_grad():
        block[0].bias.fill_(3.0)
    calibrate(model, [X])
    with mode(model, "float"), torch.no_grad():
        once = block(X)
    assert float(block[0].activation_quantiser.maximum) == float(once.max()) > float(X.max())
    model(X).sum().backward()
    assert block[0].weight.grad is not None
    assert restore_(model) == ("0.0", "1.0", "3")


def test_networks_are_mapped_layer_by_layer():
    model, x = network("vision transformer")
    other = CONFIGS[1]
    names = approximate_(
        model,
        {"conv_proj": None, "encoder.0.self_attention": CONFIGS[0], "encoder.1.*": other, "heads": CONFIGS[0]},
        products=True,
    )
    assert len(names) == 6 + 8 + 1
    assert model.encoder[1].self_attention.scores.config.backend == "surrogate"
    assert type(model.encoder[0].mlp[0]) is nn.Linear
    calibrate(model, [x])
    assert model(x).shape == (3, 5)
