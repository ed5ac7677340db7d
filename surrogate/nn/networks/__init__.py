"""Small reference networks of the published studies."""

from surrogate.nn.networks.create import create_network
from surrogate.nn.networks.lenet import LeNet5
from surrogate.nn.networks.mobilenet import MobileNet
from surrogate.nn.networks.resnet import ResidualBlock, ResNet, ResNet8
from surrogate.nn.networks.resnext import GroupedBlock, ResNeXt
from surrogate.nn.networks.vgg import VGG

__all__ = [
    "VGG",
    "GroupedBlock",
    "LeNet5",
    "MobileNet",
    "ResNeXt",
    "ResNet",
    "ResNet8",
    "ResidualBlock",
    "create_network",
]
