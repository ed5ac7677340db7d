"""MobileNet: depthwise convolutions, each before one of 1 x 1."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from surrogate.nn.networks.seeded import Seeded

_MOBILENET_BLOCKS = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1))
"""Channels of each block, in units of the first convolution's, and stride."""


class MobileNet(Seeded):
    """MobileNet for small images, as 3 x 32 x 32: depthwise convolutions of 3 x 3, each before one of 1 x 1.

    A convolution of 3 x 3, seven depthwise separable blocks of which three halve the image, global average pooling and
    a linear layer: 16 layers. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications", arXiv 1704.04861, table 1, without the first two halvings and the five repeated blocks.

    Parameters
    ----------
    channels : int
        Channels of the images.
    classes : int
        Number of classes.
    width : int
        Channels of the first convolution.

    Examples
    --------
    >>> import torch
    >>> MobileNet(width=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, channels: int = 3, classes: int = 10, width: int = 32) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        before = width
        for factor, stride in _MOBILENET_BLOCKS:
            after = factor * width
            for convolution in (
                nn.Conv2d(before, before, 3, stride, padding=1, groups=before, bias=False),
                nn.Conv2d(before, after, 1, bias=False),
            ):
                self.features.extend((convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)))
            before = after
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores ``(batch, classes)`` of images ``(batch, channels, height, width)``."""
        return cast(Tensor, self.classifier(self.features(x).mean(dim=(2, 3))))
