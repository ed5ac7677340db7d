"""Networks by name."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from surrogate.nn.errors import NetworkError
from surrogate.nn.networks.lenet import LeNet5
from surrogate.nn.networks.mobilenet import MobileNet
from surrogate.nn.networks.resnet import ResNet
from surrogate.nn.networks.resnext import ResNeXt
from surrogate.nn.networks.vgg import VGG

_NAME = re.compile(r"(lenet5|mobilenet|resnet|resnext|vgg)(\d+)?(-nobn)?(?:-w([1-9]\d*))?(-dw|-g[1-9]\d*)?")


def create_network(name: str, image_shape: tuple[int, int, int], classes: int, seed: int = 0) -> nn.Module:
    """Build a reference network by its name, with reproducible weights.

    Parameters
    ----------
    name : str
        ``"lenet5"``, ``"mobilenet"``, ``"resnet8"``, ``"resnet20"`` and so on, ``"resnext11"``, ``"resnext20"`` and
        so on, or ``"vgg11"`` to ``"vgg19"``, normalised by batches; ``"vgg11-nobn"`` is not. ``-wN`` after it is the
        network's ``width``, as ``"resnet20-w8"``; ``-gN``, or ``-dw`` for depthwise, the ``groups`` of a ResNeXt.
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
    >>> import torch
    >>> create_network("resnet20-w8", (3, 32, 32), 10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    channels, height, width_of_image = image_shape
    sizes: dict[str, Any] = {"channels": channels, "classes": classes}
    found = _NAME.fullmatch(name)
    try:
        if found is None:
            raise ValueError("names are such as lenet5, mobilenet, resnet8, resnext20 or vgg11, with -wN for the width")
        kind, depth, plain, width, groups = found.groups()
        if (kind in ("lenet5", "mobilenet")) != (depth is None):
            raise ValueError("a depth follows resnet, resnext and vgg, and them alone")
        if (plain and kind != "vgg") or (groups and kind != "resnext"):
            raise ValueError("-nobn is for vgg, -gN and -dw are for resnext")
        options = dict(sizes) if width is None else {**sizes, "width": int(width)}
        if groups is not None:
            options["groups"] = None if groups == "-dw" else int(groups[2:])
        if kind == "resnet":
            return ResNet.seeded(seed, int(depth), **options)
        if kind == "resnext":
            return ResNeXt.seeded(seed, int(depth), **options)
        if kind == "vgg":
            return VGG.seeded(seed, int(depth), batch_norm=plain is None, **options)
        if kind == "mobilenet":
            return MobileNet.seeded(seed, **options)
        if width is not None or height != width_of_image:
            raise ValueError(f"lenet5 has one width, and takes square images, got {height} x {width_of_image}")
        return LeNet5.seeded(seed, height, **sizes)
    except ValueError as error:
        raise NetworkError(f"there is no network {name!r} for images of {image_shape}: {error}") from None
