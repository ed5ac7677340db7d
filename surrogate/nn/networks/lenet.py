"""LeNet-5: two convolutions and three linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from surrogate.nn.networks.seeded import Seeded


class LeNet5(Seeded):
    """LeNet-5 with rectifiers and max pooling, for square grey-scale images.

    Two convolutions of 5 x 5 (6 and 16 channels) with 2 x 2 pooling, and three linear layers (120, 84, classes).
    LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998.

    Parameters
    ----------
    image_size : int
        Height and width of the images, at least 8; below 16 the second convolution is padded, too.
    channels : int
        Channels of the images.
    classes : int
        Number of classes.
    """

    def __init__(self, image_size: int = 28, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        if image_size < 8:
            raise ValueError(f"image_size must be at least 8, got {image_size}")
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5, padding=0 if image_size >= 16 else 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        with torch.no_grad():
            width = self.features(torch.zeros(1, channels, image_size, image_size)).numel()
        self.classifier = nn.Sequential(
            nn.Linear(width, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Class scores ``(batch, classes)`` of images ``(batch, channels, height, width)``."""
        scores: Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return scores
