"""Small reference networks of the published studies."""

from __future__ import annotations

import re
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from surrogate.nn.errors import NetworkError


class _Seeded(nn.Module):
    """A network that can be built with reproducible weights."""

    @classmethod
    def seeded(cls, seed: int, *args: Any, **options: Any) -> Self:
        """Build one whose initial weights depend on ``seed`` alone; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(*args, **options)


class LeNet5(_Seeded):
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


class ResNet(_Seeded):
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


_VGG_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(_Seeded):
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


def create_network(name: str, image_shape: tuple[int, int, int], classes: int, seed: int = 0) -> nn.Module:
    """Build a reference network by its name, with reproducible weights.

    Parameters
    ----------
    name : str
        ``"lenet5"``, ``"resnet8"``, ``"resnet20"`` and so on, or ``"vgg11"`` to ``"vgg19"``, normalised by batches;
        ``-wN`` after it is the number of channels of the first stage, as ``"resnet20-w8"``.
    image_shape : tuple of int
        Channels, height, width.
    classes : int
        Number of classes.
    seed : int
        Decides the initial weights.

    Raises
    ------
    NetworkError
        If there is no such network, or none for such images.

    Examples
    --------
    >>> create_network("resnet20-w8", (3, 32, 32), 10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    channels, height, width_of_image = image_shape
    found = re.fullmatch(r"(lenet|resnet|vgg)(\d+)(?:-w([1-9]\d*))?", name)
    try:
        if found is None or (found[1] == "lenet" and (found[2] != "5" or found[3] is not None)):
            raise ValueError("its name is not one of lenet5, resnet8, resnet20, vgg11, with -wN for its width")
        depth, options = int(found[2]), {} if found[3] is None else {"width": int(found[3])}
        if found[1] == "resnet":
            return ResNet.seeded(seed, depth, channels, classes, **options)
        if found[1] == "vgg":
            return VGG.seeded(seed, depth, True, channels, classes, **options)
        if height != width_of_image:
            raise ValueError(f"images must be square, got {height} x {width_of_image}")
        return LeNet5.seeded(seed, height, channels, classes)
    except ValueError as error:
        raise NetworkError(f"there is no network {name!r} for images of {image_shape}: {error}") from None
