"""Folded models against the models themselves, in evaluation mode."""

import copy

import pytest
import torch
from torch import nn

from surrogate.nn import (
    ApproxConfig,
    ConversionError,
    QuantiserConfig,
    approximate_,
    approximate_layers,
    calibrate,
    fold_batch_norm_,
)


class Block(nn.Module):
    """A residual block with a projection, as in ResNet."""

    def __init__(self, channels, stride=2):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 2 * channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(2 * channels)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * channels)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, stride), nn.BatchNorm2d(2 * channels))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Dynamic(Block):
    """The same with a branch on values, which cannot be traced."""

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


def trained(model, *shape):
    """A model whose normalisations have statistics and factors of their own."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    for _ in range(5):
        model.train()(2 * torch.randn(*shape) + 0.3)
    return model.eval()


MODELS = {
    "residual": (lambda: Block(3), (4, 3, 8, 8), {("conv1", "bn1"), ("conv2", "bn2"), ("shortcut.0", "shortcut.1")}),
    "not traceable": (lambda: Dynamic(3), (4, 3, 8, 8), {("shortcut.0", "shortcut.1")}),
    "linear": (lambda: nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU()), (6, 5), {("0", "1")}),
    "no factors": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4, affine=False)), (6, 2, 9), {("0", "1")}),
    "depthwise": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.BatchNorm2d(8, eps=0.1)),
        (6, 4, 5, 5),
        {("0", "1")},
    ),
    "volume": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2)), (3, 1, 4, 4, 4), {("0", "1")}),
    "transposed groups": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)),
        (3, 4, 5, 5),
        {("0", "1")},
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose1d(3, 2, 3, bias=False), nn.BatchNorm1d(2)),
        (3, 3, 5),
        {("0", "1")},
    ),
    "nested": (
        lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.BatchNorm2d(4), Block(4)),
        (3, 3, 6, 6),
        {("0.0", "1"), ("2.conv1", "2.bn1"), ("2.conv2", "2.bn2"), ("2.shortcut.0", "2.shortcut.1")},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_folding_leaves_the_output_as_it_was(name):
    make, shape, expected = MODELS[name]
    model = trained(make(), *shape)
    x = torch.randn(*shape)
    before, parameters = model(x), dict(model.named_parameters())
    assert set(fold_batch_norm_(model)) == expected
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-5)
    for layer, norm in expected:
        assert type(model.get_submodule(norm)) is nn.Identity
        assert model.get_submodule(layer).weight is parameters[f"{layer}.weight"]
    assert fold_batch_norm_(model) == ()


def test_folding_is_accurate_in_float64():
    model = trained(Block(3), 4, 3, 8, 8).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    before = model(x)
    fold_batch_norm_(model)
    torch.testing.assert_close(model(x), before, rtol=1e-12, atol=1e-12)


def test_explicit_pairs_fold_what_cannot_be_traced():
    model = trained(Dynamic(3), 4, 3, 8, 8)
    x = torch.rand(4, 3, 8, 8)
    before = model(x)
    pairs = (("conv1", "bn1"), ("conv2", "bn2"))
    assert fold_batch_norm_(model, pairs) == pairs
    assert type(model.shortcut[1]) is nn.BatchNorm2d
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-5)


class UsedTwice(nn.Module):
    def __init__(self, which):
        super().__init__()
        self.which = which
        self.conv, self.bn = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x):
        y = self.conv(x)
        if self.which == "output":
            return self.bn(y) + y
        if self.which == "layer":
            return self.bn(self.conv(y))
        return self.bn(self.bn(y))


@pytest.mark.parametrize("which", ["output", "layer", "norm"])
def test_what_is_used_otherwise_is_left_alone(which):
    model = trained(UsedTwice(which), 4, 2, 3, 3)
    x = torch.randn(4, 2, 3, 3)
    before = model(x)
    assert fold_batch_norm_(model) == ()
    assert torch.equal(model(x), before)


def test_folded_weights_are_those_that_are_quantised():
    model = trained(Block(3), 4, 3, 8, 8)
    x = torch.randn(4, 3, 8, 8)
    before = model(x)
    fold_batch_norm_(model)
    config = ApproxConfig(multiplier="exact8s", weight=QuantiserConfig(granularity="channel"))
    assert len(approximate_(model, config)) == 3
    calibrate(model, [x])
    assert (model(x) - before).abs().max().item() < 0.05 * before.abs().max().item()


def test_approximate_layers_fold_too():
    model = trained(Block(3), 4, 3, 8, 8)
    x = torch.randn(4, 3, 8, 8)
    approximate_(model, ApproxConfig(multiplier="exact8s"))
    calibrate(model, [x])
    before = model(x)
    assert len(fold_batch_norm_(model)) == 3
    # per channel, a positive or negative factor scales weights and steps alike
    torch.testing.assert_close(model(x), before, rtol=1e-3, atol=1e-3)
    assert len(list(approximate_layers(model))) == 3


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("0", "2")], r"cannot fold '2' \(ReLU\) into '0' \(Conv2d\)"),
        ([("2", "1")], "folds into a linear or convolution layer"),
        ([("0", "3")], "3 features do not fit 2 output channels"),
        ([("0", "1"), ("0", "1")], "occurs in several pairs"),
    ],
)
def test_pairs_that_do_not_fit_are_refused_and_nothing_changes(pairs, message):
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.BatchNorm2d(3))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ConversionError, match=message):
        fold_batch_norm_(model, pairs)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert type(model[1]) is nn.BatchNorm2d


def test_what_has_no_weights_or_statistics_to_fold_is_refused():
    bare = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    with pytest.raises(ConversionError, match="no running statistics"):
        fold_batch_norm_(bare)
    parametrised = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), nn.BatchNorm1d(2))
    with pytest.raises(ConversionError, match="parametris"):
        fold_batch_norm_(parametrised)
    learned = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    approximate_(learned, ApproxConfig(multiplier="exact8s", weight=QuantiserConfig(learned_step=True)))
    with pytest.raises(ConversionError, match="fold before approximate_"):
        fold_batch_norm_(learned)
