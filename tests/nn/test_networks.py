"""Reference networks: their published sizes, and reproducible weights."""

import pytest
import torch

from surrogate.nn.errors import NetworkError
from surrogate.nn.networks import VGG, LeNet5, MobileNet, ResNet, ResNet8, ResNeXt, create_network


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_resnet8_is_that_of_mlperf_tiny():
    network = ResNet8.seeded(0)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    statistics = sum(2 * norm.num_features for norm in norms)
    biases = sum(norm.num_features for norm in norms)  # which MLPerf Tiny's convolutions have before batch norm
    assert parameters(network) + statistics + biases == 78666  # its published size
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    shapes = []
    for block in network.stages:
        block.register_forward_hook(lambda _, __, y: shapes.append(tuple(y.shape)))
    assert network(x).shape == (2, 10)
    assert shapes == [(2, 16, 32, 32), (2, 32, 16, 16), (2, 64, 8, 8)]


@pytest.mark.parametrize("depth", [8, 14, 20])
def test_depth_counts_convolutions_of_the_main_path_and_the_linear_layer(depth):
    network = ResNet(depth, channels=1, classes=3, width=4)
    layers = [
        name
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear) and "shortcut" not in name
    ]
    assert len(layers) == depth
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 3)


@pytest.mark.parametrize(("depth", "published"), [(11, 9_220_480), (13, 9_404_992), (16, 14_714_688), (19, 20_024_384)])
def test_convolutions_of_vgg_are_the_published_ones(depth, published):
    with torch.device("meta"):
        network = VGG(depth, batch_norm=False)
    assert parameters(network.features) == published
    assert sum(isinstance(m, torch.nn.Conv2d) for m in network.features) + 3 == depth
    normalised = VGG(depth, width=2, channels=1, classes=3)
    assert all(m.bias is None for m in normalised.modules() if isinstance(m, torch.nn.Conv2d))
    assert normalised(torch.zeros(2, 1, 64, 32)).shape == (2, 3)


@pytest.mark.parametrize("kind", [LeNet5, ResNet8])
def test_seeds_decide_weights_and_leave_the_global_generator_alone(kind):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again, other = (kind.seeded(seed, classes=4) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    weights, same, others = (
        torch.cat([p.detach().ravel() for p in network.parameters()]) for network in (first, again, other)
    )
    assert torch.equal(weights, same)
    assert not torch.equal(weights, others)


def test_bad_sizes():
    with pytest.raises(ValueError, match=r"depth must be 6 n \+ 2 \(8, 14, 20, ...\), got 10"):
        ResNet(10)
    with pytest.raises(ValueError, match=r"depth must be one of \(11, 13, 16, 19\), got 12"):
        VGG(12)
    with pytest.raises(ValueError, match="image_size must be at least 8, got 4"):
        LeNet5(4)


def groups(network):
    return {m.groups for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)}


@pytest.mark.parametrize("depth", [11, 20])
def test_resnext_has_grouped_convolutions_within_its_blocks(depth):
    network = ResNeXt(depth, channels=1, classes=3, width=16, groups=4)
    layers = [
        m for n, m in network.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear) and "short" not in n
    ]
    assert len(layers) == depth
    assert groups(network) == {1, 4}  # the first layer, and the others
    assert [m.in_channels for m in network.modules() if getattr(m, "groups", 1) == 4][:: depth // 9] == [8, 16, 32]
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 3)


@pytest.mark.parametrize(("name", "expected"), [("g1", [1, 1, 1]), ("g2", [2, 2, 2]), ("dw", [4, 8, 16])])
def test_groups_of_resnext_go_from_conventional_to_depthwise(name, expected):
    network = create_network(f"resnext11-w8-{name}", (1, 8, 8), 3)
    assert [block.conv2.groups for block in network.stages] == expected


def test_mobilenet_has_a_depthwise_convolution_before_each_pointwise_one():
    network = MobileNet(channels=1, classes=3, width=4)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) + 1 == 16
    for depthwise, pointwise in zip(convolutions[1::2], convolutions[2::2], strict=True):
        assert depthwise.groups == depthwise.in_channels == depthwise.out_channels == pointwise.in_channels
        assert pointwise.kernel_size == (1, 1)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "kind", "n_norms"),
    [
        ("lenet5", LeNet5, 0),
        ("mobilenet-w4", MobileNet, 15),
        ("resnext11-w8", ResNeXt, 10),
        ("resnext11-w8-g1", ResNeXt, 10),
        ("resnext11-w8-dw", ResNeXt, 10),
        ("vgg11-w2", VGG, 8),
        ("vgg11-nobn-w2", VGG, 0),
    ],
)
def test_networks_have_names(name, kind, n_norms):
    network = create_network(name, (1, 8, 8), 3, seed=1)
    assert type(network) is kind
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()) == n_norms
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    "name", ["resnet", "lenet5-w4", "mobilenet20", "resnet8-nobn", "resnext20-w6", "resnet8-g2", "alexnet"]
)
def test_there_are_no_other_networks(name):
    with pytest.raises(NetworkError, match=f"there is no network '{name}'"):
        create_network(name, (1, 8, 8), 3)
