"""ResNeXt: residual networks of grouped convolutions."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from surrogate.nn.networks.seeded import Seeded


class GroupedBlock(nn.Module):
    """A bottleneck with a grouped convolution: 1 x 1 to half the channels, 3 x 3 in groups, 1 x 1, around it the input.

    Where the shape changes, the input passes a convolution of 1 x 1, with a bias and without batch norm.
    """

    def __init__(self, channels: int, out_channels: int, stride: int, groups: int | None) -> None:
        super().__init__()
        inner = out_channels // 2
        groups = inner if groups is None else groups
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        same = stride == 1 and channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, channels, height, width)`` to ``(batch, out_channels, height / stride, width / stride)``."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class ResNeXt(Seeded):
    """ResNeXt of ``9 n + 2`` layers for small images: residual blocks whose convolutions of 3 x 3 are grouped.

    A convolution of 3 x 3, three stages of ``n`` blocks (the second and third halve the image and double the
    channels), global average pooling and a linear layer. Xie, Girshick, Dollar, Tu, He, "Aggregated Residual
    Transformations for Deep Neural Networks", CVPR 2017, section 3; narrower, shortcuts as in `GroupedBlock`.

    Parameters
    ----------
    depth : int
        Layers: 11, 20, 29, ...
    channels : int
        Channels of the images.
    classes : int
        Number of classes.
    width : int
        Channels after the first stage, a multiple of ``2 * groups``; those of the first convolution are half as many.
    groups : int or None
        Groups of the convolutions of 3 x 3 (the cardinality): 1 makes them conventional, None depthwise.

    Examples
    --------
    >>> ResNeXt(11, width=16)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, depth: int = 20, channels: int = 3, classes: int = 10, width: int = 32, groups: int | None = 4
    ) -> None:
        super().__init__()
        if depth < 11 or depth % 9 != 2:
            raise ValueError(f"depth must be 9 n + 2 (11, 20, 29, ...), got {depth}")
        if width <= 0 or width % (2 * (groups or 1)):
            raise ValueError(f"width must be a multiple of twice the {groups or 1} groups, got {width}")
        before = width // 2
        self.conv1 = nn.Conv2d(channels, before, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.stages = nn.Sequential()
        for stage in range(3):
            after = width << stage
            for block in range(depth // 9):
                self.stages.append(GroupedBlock(before, after, 2 if stage > 0 and block == 0 else 1, groups))
                before = after
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores ``(batch, classes)`` of images ``(batch, channels, height, width)``."""
        y = self.stages(torch.relu(self.bn1(self.conv1(x))))
        return cast(Tensor, self.classifier(y.mean(dim=(2, 3))))
