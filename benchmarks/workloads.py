"""Shapes and inputs of what is timed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.experiments import (
    Experiment,
    configuration,
    fake_quantised_step,
    forward,
    operation,
    training_step,
)
from surrogate.nn.networks import LeNet5, ResNet8


@dataclass(frozen=True)
class Size:
    """Sizes of all that is timed.

    Attributes
    ----------
    matrix : int
        Rows and columns of the matrices.
    images, side : int
        Batch and size of the images of single convolutions.
    batch : int
        Images in a batch of a network.
    narrow : int
        Divisor of the channels of single convolutions.
    """

    matrix: int = 1024
    images: int = 32
    side: int = 32
    batch: int = 64
    narrow: int = 1


FULL, TINY = Size(), Size(40, 2, 9, 3, 8)


def gemm(label: str, backend: str, size: Size, rectified: bool = False) -> Experiment:
    """Multiply square matrices; normally distributed activations, or only the positive ones."""
    torch.manual_seed(0)
    n = size.matrix
    x = torch.randn(n, n)
    return operation(nn.Linear(n, n), x.relu() if rectified else x, configuration(label, backend))


def convolution(label: str, backend: str, size: Size, channels: int, depthwise: bool = False) -> Experiment:
    """Convolve images, rectified, by 3 x 3 kernels with padding."""
    torch.manual_seed(0)
    channels //= size.narrow
    layer = nn.Conv2d(channels, channels, 3, padding=1, groups=channels if depthwise else 1)
    images = torch.randn(size.images, channels, size.side, size.side).relu()
    return operation(layer, images, configuration(label, backend))


def resnet8_forward(label: str, backend: str, size: Size, mode: str = "approximate") -> Experiment:
    """Run ResNet8 on images of 3 x 32 x 32."""
    return forward(ResNet8.seeded(0), _images(size, 3, 32), configuration(label, backend), mode)


def resnet8_step(label: str, backend: str, size: Size, mode: str = "approximate") -> Experiment:
    """Train ResNet8 by a step."""
    return training_step(ResNet8.seeded(0), _images(size, 3, 32), configuration(label, backend), mode)


def resnet8_fake(size: Size) -> Experiment:
    """Train ResNet8 by a step with torch's own fake quantisation."""
    return fake_quantised_step(ResNet8.seeded(0), _images(size, 3, 32))


def lenet_step(label: str, backend: str, size: Size, mode: str = "approximate") -> Experiment:
    """Train LeNet-5 by a step on images of 28 x 28."""
    return training_step(LeNet5.seeded(0), _images(size, 1, 28), configuration(label, backend), mode)


def lenet_fake(size: Size) -> Experiment:
    """Train LeNet-5 by a step with torch's own fake quantisation."""
    return fake_quantised_step(LeNet5.seeded(0), _images(size, 1, 28))


def _images(size: Size, channels: int, side: int) -> Tensor:
    return torch.randn(size.batch, channels, side, side, generator=torch.Generator().manual_seed(0))
