"""How the margins of a network's decisions depend on the outputs of each layer.

The margin of an image against a class is the score of its own class less that of the other; the image is classified
correctly if all are positive. To first order, with ``g`` the gradient of a margin with respect to the outputs ``y`` of
a layer, a shift of a channel by ``s`` changes the margin by ``s sum g``, and a gain ``1 + e`` about the channel's mean
by ``e sum g (y - mean)``; the sums run over the positions of the channel. Errors that remain are taken to be random
from image to image and from channel to channel, but the same at all positions, for they come from the same weights:
of variance ``v`` they add ``v (sum g)**2`` to the variance of the margin. (Taken to be independent at each position
they average out, which measurements contradict: see ``docs/studies/assignment.md``.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from surrogate.nn.calibration import mode, run_batches
from surrogate.nn.convert import approximate_layers
from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.layer import ApproxLayer
from surrogate.nn.progress import Progress

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Derivatives of margins by the errors of one layer, see the module.

    Attributes
    ----------
    shift, gain : ndarray of float32, shape (images, rivals, channels)
    n_outputs : int
        Outputs for an image.
    """

    shift: Float32Array
    gain: Float32Array
    n_outputs: int


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """Margins of the accurate quantised network on some images, and how they depend on its layers.

    Attributes
    ----------
    margins : ndarray of float32, shape (images, rivals)
        Against the classes of the highest scores, in descending order of these.
    layers : dict of str to Sensitivity
    """

    margins: Float32Array
    layers: dict[str, Sensitivity]


def measure_sensitivities(
    model: nn.Module, batches: Iterable[Any], rivals: int = 9, progress: Progress = None
) -> Sensitivities:
    """Differentiate the margins of labelled images by the outputs of each approximate layer.

    Layers run accurate products of quantised operands. A backward pass is made for each rival.

    Parameters
    ----------
    model : nn.Module
        With calibrated approximate layers; maps images to class scores ``(images, classes)``.
    batches : iterable of (Tensor, Tensor)
        Images and their classes; iterated twice, so no generator.
    rivals : int
        How many other classes a margin is taken against, those of the highest scores; at most all of them.
    progress : bool or callable, optional
        As of `surrogate.nn.calibrate`.

    Raises
    ------
    ConversionError
        If the model has no approximate layer or a layer is not reached, scores or classes are not as described, or
        there is no batch.
    """
    layers = dict(approximate_layers(model))
    if not layers:
        raise ConversionError(
            "the model has no approximate layer; call approximate_(model, config) and calibrate first"
        )
    with mode(model, "quantised"):
        means = _channel_means(model, layers, batches)
        parts: list[_Batch] = []

        def differentiate(model: nn.Module, batch: Any) -> None:
            parts.append(_differentiate(model, layers, means, batch, rivals))

        run_batches(model, batches, differentiate, progress, "sensitivities")
    margins = np.concatenate([part.margins for part in parts])
    found = {}
    for name, n_outputs in parts[0].n_outputs.items():
        shift, gain = (np.concatenate([part.layers[name][i] for part in parts]) for i in range(2))
        found[name] = Sensitivity(shift, gain, n_outputs)
    return Sensitivities(margins, found)


@dataclass(frozen=True)
class _Batch:
    margins: Float32Array
    layers: dict[str, tuple[Float32Array, ...]]
    n_outputs: dict[str, int]


def _channel_means(model: nn.Module, layers: dict[str, ApproxLayer], batches: Iterable[Any]) -> dict[str, Tensor]:
    """Return the mean output of each channel, shape ``(channels, 1)``."""
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def add(name: str, y: Tensor) -> Tensor:
        rows = _by_channel(layers[name], y).double()
        sums[name] = sums.get(name, 0.0) + rows.sum(dim=(0, 2))
        counts[name] += rows.shape[0] * rows.shape[2]
        return y

    with _Outputs(layers, add):
        n = run_batches(model, batches, None, None)
    if n == 0:
        raise ConversionError("measuring sensitivities needs at least one batch of images and classes")
    missed = [name for name, count in counts.items() if count == 0]
    if missed:
        raise ConversionError(f"the batches never reached {missed[0]!r}; pass inputs that do, or leave it accurate")
    return {name: (sums[name] / counts[name]).float()[:, None] for name in layers}


def _differentiate(
    model: nn.Module, layers: dict[str, ApproxLayer], means: dict[str, Tensor], batch: Any, rivals: int
) -> _Batch:
    images, classes = _labelled(batch)
    outputs: dict[str, Tensor] = {}

    def keep(name: str, y: Tensor) -> Tensor:
        if name in outputs:
            raise ConversionError(f"layer {name!r} is called twice in one pass; give each call a layer of its own")
        outputs[name] = y if y.requires_grad else y.requires_grad_()
        return y.clone()  # what follows may overwrite its input, as nn.ReLU(inplace=True)

    with torch.enable_grad(), _Outputs(layers, keep):
        margins = _margins(model(images), classes, rivals)
        rows: dict[str, list[list[Tensor]]] = {name: [[], []] for name in layers}
        centred = {name: _by_channel(layers[name], y.detach()) - means[name] for name, y in outputs.items()}
        for rival in range(margins.shape[1]):
            last = rival == margins.shape[1] - 1
            gradients = torch.autograd.grad(margins[:, rival].sum(), list(outputs.values()), retain_graph=not last)
            for name, gradient in zip(outputs, gradients, strict=True):
                g = _by_channel(layers[name], gradient)
                for kind, value in zip(rows[name], (g, g * centred[name]), strict=True):
                    kind.append(value.sum(dim=2))
    return _Batch(
        margins.detach().cpu().numpy(),
        {name: tuple(torch.stack(kind, dim=1).cpu().numpy() for kind in kinds) for name, kinds in rows.items()},
        {name: y.numel() // len(images) for name, y in outputs.items()},
    )


def _labelled(batch: Any) -> tuple[Tensor, Tensor]:
    if not (isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)):
        raise ConversionError(f"a batch must be images and their classes, two tensors, got {type(batch).__name__}")
    images, classes = batch
    if classes.shape != (len(images),) or classes.is_floating_point():
        raise ConversionError(
            f"a batch of {len(images)} images needs as many whole numbers as classes, got {classes.dtype} "
            f"{tuple(classes.shape)}"
        )
    return images, classes


def _margins(scores: Tensor, classes: Tensor, rivals: int) -> Tensor:
    """Return the score of each image's class less those of the highest others, shape ``(images, rivals)``."""
    if scores.ndim != 2 or len(scores) != len(classes) or scores.shape[1] < 2:
        raise ConversionError(
            f"the model must map images to scores (images, classes), at least 2, got {tuple(scores.shape)}"
        )
    n_classes = scores.shape[1]
    if int(classes.min()) < 0 or int(classes.max()) >= n_classes:
        raise ConversionError(
            f"classes must be from 0 to {n_classes - 1}, the scores that the model has, got {int(classes.min())} to "
            f"{int(classes.max())}"
        )
    own = scores.gather(1, classes[:, None])
    others = scores.detach().scatter(1, classes[:, None], -torch.inf)
    which = others.topk(min(rivals, n_classes - 1), dim=1).indices
    return own - scores.gather(1, which)


def _by_channel(layer: ApproxLayer, y: Tensor) -> Tensor:
    """Bring outputs to ``(images, channels, positions)``."""
    y = y.movedim(layer.channel_axis, 1)
    return y.flatten(2) if y.ndim > 2 else y[:, :, None]


class _Outputs:
    """Within the block, a function sees and replaces the outputs of layers: ``function(name, y)``."""

    def __init__(self, layers: dict[str, ApproxLayer], function: Callable[[str, Tensor], Tensor]) -> None:
        self.layers, self.function = layers, function

    def __enter__(self) -> None:
        self.hooks = [
            layer.register_forward_hook(lambda _, __, y, name=name: self.function(name, y))
            for name, layer in self.layers.items()
        ]

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()
