"""Residual networks for small images, of conventional convolutions."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from surrogate.nn.networks.seeded import Seeded


class ResidualBlock(nn.Module):
    """Two convolutions of 3 x 3 around which the input is added: ``relu(x' + F(x))``.

    Where the shape changes, ``x'`` is a convolution of 1 x 1 of ``x``, with a bias and without batch norm.
    """

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        same = stride == 1 and channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, channels, height, width)`` to ``(batch, out_channels, height / stride, width / stride)``."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(Seeded):
    """Residual network of ``6 n + 2`` layers for small images, as 3 x 32 x 32.

    A convolution of 3 x 3, three stages of ``n`` blocks (the second and third halve the image and double the
    channels), global average pooling and a linear layer. He, Zhang, Ren, Sun, "Deep Residual Learning for Image
    Recognition", CVPR 2016, section 4.2; shortcuts as in `ResidualBlock`.

    Parameters
    ----------
    depth : int
        Layers: 8, 14, 20, 32, ...
    channels : int
        Channels of the images.
    classes : int
        Number of classes.
    width : int
        Channels of the first stage.
    """

    def __init__(self, depth: int = 20, channels: int = 3, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth must be 6 n + 2 (8, 14, 20, ...), got {depth}")
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = nn.Sequential()
        before = width
        for stage in range(3):
            after = width << stage
            for block in range(depth // 6):
                self.stages.append(ResidualBlock(before, after, 2 if stage > 0 and block == 0 else 1))
                before = after
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores ``(batch, classes)`` of images ``(batch, channels, height, width)``."""
        y = self.stages(torch.relu(self.bn1(self.conv1(x))))
        return cast(Tensor, self.classifier(y.mean(dim=(2, 3))))


class ResNet8(ResNet):
    """`ResNet` of 8 layers: the image classifier of MLPerf Tiny.

    As there but for the biases before batch norm, which have no effect and are left out. Banbury et al., "MLPerf Tiny
    Benchmark", NeurIPS Datasets and Benchmarks 2021.

    Parameters
    ----------
    channels, classes, width
        As in `ResNet`.

    Examples
    --------
    >>> network = ResNet8.seeded(0)
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> sum(parameter.numel() for parameter in network.parameters())
    77946
    """

    def __init__(self, channels: int = 3, classes: int = 10, width: int = 16) -> None:
        super().__init__(8, channels, classes, width)
