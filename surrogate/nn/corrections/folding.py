"""Batch normalisation folded into the layer before it, as accelerators compute it.

In evaluation mode a batch normalisation with running mean ``m`` and variance ``v`` maps the output of channel ``c`` to
``s (y - m) + beta`` with ``s = gamma / sqrt(v + eps)``. With weights ``s w`` and bias ``s (bias - m) + beta`` the layer
does that by itself (Jacob et al., CVPR 2018, arXiv 1712.05877, section 3.2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from surrogate.nn.corrections.pairs import LAYERS, NORMS, TRANSPOSED, Pairs, batch_norm_pairs
from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.layer import ApproxLayer


@torch.no_grad()
def fold_batch_norm_(model: nn.Module, pairs: Pairs | None = None) -> tuple[tuple[str, str], ...]:
    """Fold batch normalisations into the linear and convolution layers before them, in place.

    Parameters keep their identity (a bias is added where there was none), normalisations become `torch.nn.Identity`.
    In evaluation mode the model's output stays the same but for rounding; in training mode it no longer depends on the
    statistics of the batch. Call it after training with batch normalisation and before `surrogate.nn.approximate_`,
    so that the folded weights are quantised.

    Parameters
    ----------
    model : nn.Module
        The model. A `torch.nn.BatchNorm1d` after a `torch.nn.Linear` is taken to see ``(batch, features)``.
    pairs : iterable of (str, str), optional
        Names of layers and of the normalisations that see their output and nothing else. By default those that
        `surrogate.nn.corrections.pairs.batch_norm_pairs` finds.

    Returns
    -------
    tuple of (str, str)
        Names of the pairs that were folded.

    Raises
    ------
    ConversionError
        If a pair does not fit together, or a normalisation has no running statistics. The model is then unchanged.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    >>> fold_batch_norm_(model)
    (('0', '1'),)
    """
    found = tuple(batch_norm_pairs(model) if pairs is None else pairs)
    modules = [(model.get_submodule(layer), model.get_submodule(norm)) for layer, norm in found]
    for names, (layer, norm) in zip(found, modules, strict=True):
        _check(names, layer, norm)
    if len({id(module) for pair in modules for module in pair}) < 2 * len(modules):
        raise ConversionError(f"a layer or normalisation occurs in several pairs of {found}; each is folded once")
    for (_, name), (layer, norm) in zip(found, modules, strict=True):
        _fold(layer, norm)
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, nn.Identity())
    return found


def _fold(layer: Any, norm: Any) -> None:
    """Change weight and bias; computed in float64, so that they are rounded once."""
    factor = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.affine:
        factor = factor * norm.weight.double()
    weight, rest = layer.weight.double(), (1,) * (layer.weight.ndim - 2)
    if isinstance(layer, TRANSPOSED):  # (in, out / groups, ...), the inputs of a group together
        by_group = factor.reshape(layer.groups, 1, -1, *rest)
        weight = (weight.unflatten(0, (layer.groups, -1)) * by_group).flatten(0, 1)
    else:
        weight = weight * factor.reshape(-1, 1, *rest)
    bias = -norm.running_mean.double() if layer.bias is None else layer.bias.double() - norm.running_mean.double()
    bias = factor * bias + (norm.bias.double() if norm.affine else 0)
    layer.weight.copy_(weight)
    if layer.bias is None:
        layer.bias = nn.Parameter(bias.to(layer.weight), requires_grad=layer.weight.requires_grad)
    else:
        layer.bias.copy_(bias)


def _check(names: tuple[str, str], layer: nn.Module, norm: nn.Module) -> None:
    where = f"cannot fold {names[1]!r} ({type(norm).__name__}) into {names[0]!r} ({type(layer).__name__})"
    if not isinstance(layer, LAYERS) or not isinstance(norm, NORMS):
        raise ConversionError(f"{where}: a batch normalisation folds into a linear or convolution layer")
    channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    if channels != norm.num_features:
        raise ConversionError(f"{where}: {norm.num_features} features do not fit {channels} output channels")
    if norm.running_mean is None or norm.running_var is None:
        raise ConversionError(f"{where}: it has no running statistics; train it with track_running_stats=True")
    if parametrize.is_parametrized(layer):
        raise ConversionError(f"{where}: the layer is parametrised; call remove_parametrizations first")
    if isinstance(layer, ApproxLayer) and layer.config.weight.learned_step:
        raise ConversionError(f"{where}: the layer has learned the steps of other weights; fold before approximate_")
