"""Turn a model's layers into approximate ones, in place, and back."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import nn

from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import add_layer
from surrogate.nn.layers.attention import join_attention_, split_attention_
from surrogate.nn.layers.fast_path import settle_fast_paths_
from surrogate.nn.layers.layer import ApproxLayer
from surrogate.nn.layers.matmul import ApproxMatmul
from surrogate.nn.layers.operation import ApproxOperation, name_operations
from surrogate.nn.selection import ACCURATE, APPROXIMATE, Configs, Filter, chosen_layers, refuse_parametrised


def approximate_(
    model: nn.Module, config: Configs, filter_fn: Filter | None = None, *, products: bool = False
) -> tuple[str, ...]:
    r"""Make layers of a model approximate, in place.

    Layers keep their identity, parameters, buffers and hooks, so optimisers stay valid; only their class changes, as
    in `torch.nn.utils.parametrize`. Layers that are approximate already are reconfigured: they keep the range of their
    activations if these are quantised as before, and are calibrated anew if not.

    Parameters
    ----------
    model : nn.Module
        The model, or a single layer.
    config : ApproxConfig, or mapping of str to ApproxConfig or None
        One configuration for all layers, or one per name pattern: an exact layer name, a shell pattern such as
        ``"features.*"``, a regular expression such as ``"re:layer[12]\\..*"``, or ``"_default"``. Exact names come
        first, then patterns in their order, then the default. None, or no match, leaves a layer as it is.
    filter_fn : callable, optional
        ``filter_fn(layer, name)`` selects the layers. By default every layer of a supported type: `torch.nn.Linear`,
        convolutions and transposed convolutions of one to three dimensions, and the projections of
        `torch.nn.MultiheadAttention`, which becomes an `ApproxMultiheadAttention`.
    products : bool
        Whether products of two activations are selected by default, too: every `Matmul`, and those of attention.

    Returns
    -------
    tuple of str
        Names of the layers that are approximate now.

    Raises
    ------
    ConversionError
        If no layer is selected, a pattern matches no layer, or a selected layer is of an unsupported type. The model
        is then unchanged.

    Notes
    -----
    The parts of an attention are layers of their own, ``"attention.q_proj"``, ``"attention.scores"`` and so on (see
    `surrogate.nn.layers.attention`); a pattern that matches the name of the attention decides for all of them.

    Layers that multiply in other ways (recurrent and bilinear ones) are selected by default, and so refused, unless a
    pattern maps them to None. `torch.nn.TransformerEncoderLayer` bypasses its layers' forward in evaluation mode, which
    is switched off where one of them is made approximate; see `surrogate.nn.layers.fast_path`.
    """
    split_attention_(model)
    try:
        chosen = chosen_layers(model, config, filter_fn, products)
        _convert(model, chosen)
    finally:
        join_attention_(model)
        settle_fast_paths_(model)
    name_operations(model)
    return tuple(chosen)


def _convert(model: nn.Module, chosen: Mapping[str, tuple[nn.Module, ApproxConfig]]) -> None:
    """Change the class of layers and give them their approximate parts; on failure none of them."""
    before: list[tuple[nn.Module, type[nn.Module], dict[str, Any]]] = []
    try:
        for name, (layer, wanted) in chosen.items():
            if any(layer is other for other, _, _ in before):  # shared under several names
                continue
            before.append((layer, type(layer), _copied_state(layer)))
            earlier = layer.activations if isinstance(layer, ApproxOperation) else {}
            _restore(layer)
            layer.__class__ = APPROXIMATE[type(layer)]
            try:
                operation = cast(ApproxOperation, layer).attach(wanted)
            except Exception as error:
                add_layer(error, layer, name)
                raise
            if isinstance(operation, ApproxMatmul):
                operation.to(_device(model, name))
            for part, quantiser in operation.activations.items():
                old = earlier.get(part)
                if old is not None and (old.config, old.operand) == (quantiser.config, quantiser.operand):
                    quantiser.load_state_dict(old.state_dict())
    except Exception:
        for layer, kind, state in before:
            layer.__class__ = kind
            layer.__dict__.clear()
            layer.__dict__.update(state)
        raise


def _device(model: nn.Module, name: str) -> torch.device:
    """Find where the nearest module that holds a layer, and has parameters, keeps them."""
    while name:
        name = name.rpartition(".")[0]
        parameter = next(model.get_submodule(name).parameters(), None)
        if parameter is not None:
            return parameter.device
    return torch.device("cpu")


def _copied_state(layer: nn.Module) -> dict[str, Any]:
    """Copy a layer's attributes, and the dictionaries of its parameters, buffers and modules, but not these."""
    return {key: copy.copy(value) if isinstance(value, dict) else value for key, value in layer.__dict__.items()}


def restore_(model: nn.Module, filter_fn: Filter | None = None) -> tuple[str, ...]:
    """Make approximate layers accurate again, in place; the inverse of `approximate_`.

    Returns
    -------
    tuple of str
        Names of the layers that were approximate.

    Raises
    ------
    ConversionError
        If a layer has been parametrised since. The model is then unchanged.
    """
    restored = [
        (name, layer)
        for name, layer in model.named_modules(remove_duplicate=False)
        if isinstance(layer, ApproxOperation) and (filter_fn is None or filter_fn(layer, name))
    ]
    for name, layer in restored:
        refuse_parametrised(layer, f"layer {name!r}" if name else "the model")
    for _, layer in restored:
        _restore(layer)
    join_attention_(model)
    settle_fast_paths_(model)
    return tuple(name for name, _ in restored)


def _restore(layer: nn.Module) -> None:
    """Make an operation accurate, unless it is (a layer may have several names)."""
    if isinstance(layer, ApproxOperation):
        accurate = ACCURATE[type(layer)]
        layer.detach_()
        layer.__class__ = accurate  # type: ignore[assignment]  # no longer an ApproxLayer


def approximate_layers(model: nn.Module) -> Iterator[tuple[str, ApproxLayer]]:
    """Yield the approximate layers of a model with their names, each once."""
    for name, layer in model.named_modules():
        if isinstance(layer, ApproxLayer):
            yield name, layer
