"""VGG: plain stacks of convolutions, with batch normalisation or without."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from surrogate.nn.networks.seeded import Seeded

_VGG_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(Seeded):
    """VGG for small images, as 3 x 32 x 32: five stages of convolutions of 3 x 3, each halving the image, rounded up.

    Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, table 1, with
    one linear layer in place of its three, as usual for small images.

    Parameters
    ----------
    depth : {11, 13, 16, 19}
        Layers of the published network: convolutions, and three.
    batch_norm : bool
        Normalise after each convolution, which then has no bias.
    channels : int
        Channels of the images.
    classes : int
        Number of classes.
    width : int
        Channels of the first stage; the others have 2, 4, 8 and 8 times as many.

    Examples
    --------
    >>> import torch
    >>> VGG(16, width=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, depth: int = 16, batch_norm: bool = True, channels: int = 3, classes: int = 10, width: int = 64
    ) -> None:
        super().__init__()
        if depth not in _VGG_STAGES:
            raise ValueError(f"depth must be one of {tuple(_VGG_STAGES)}, got {depth}")
        self.features = nn.Sequential()
        before = channels
        for stage, n_convolutions in enumerate(_VGG_STAGES[depth]):
            after = width << min(stage, 3)
            for _ in range(n_convolutions):
                self.features.append(nn.Conv2d(before, after, 3, padding=1, bias=not batch_norm))
                if batch_norm:
                    self.features.append(nn.BatchNorm2d(after))
                self.features.append(nn.ReLU(inplace=True))
                before = after
            self.features.append(nn.MaxPool2d(2, ceil_mode=True))
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores ``(batch, classes)`` of images ``(batch, channels, height, width)``."""
        return cast(Tensor, self.classifier(self.features(x).mean(dim=(2, 3))))
