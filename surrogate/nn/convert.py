"""Turn a model's layers into approximate ones, in place, and back."""

from __future__ import annotations

import copy
import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from surrogate.nn.attention import (
    APPROXIMATE_PARTS,
    ApproxMultiheadAttention,
    join_attention_,
    split_attention_,
)
from surrogate.nn.config import ApproxConfig
from surrogate.nn.conv import ApproxConv1d, ApproxConv2d, ApproxConv3d
from surrogate.nn.conv_transpose import ApproxConvTranspose1d, ApproxConvTranspose2d, ApproxConvTranspose3d
from surrogate.nn.errors import ConversionError, add_layer
from surrogate.nn.fast_path import settle_fast_paths_
from surrogate.nn.layer import ApproxLayer
from surrogate.nn.linear import ApproxLinear
from surrogate.nn.matmul import ApproxMatmul, Matmul
from surrogate.nn.operation import MODES, ApproxOperation
from surrogate.nn.progress import Progress, reporting

Configs = ApproxConfig | Mapping[str, ApproxConfig | None]
Filter = Callable[[nn.Module, str], bool]

_LAYERS: dict[type[nn.Module], type[ApproxOperation]] = {
    nn.Linear: ApproxLinear,
    nn.Conv1d: ApproxConv1d,
    nn.Conv2d: ApproxConv2d,
    nn.Conv3d: ApproxConv3d,
    nn.ConvTranspose1d: ApproxConvTranspose1d,
    nn.ConvTranspose2d: ApproxConvTranspose2d,
    nn.ConvTranspose3d: ApproxConvTranspose3d,
}
_APPROXIMATE = {**_LAYERS, **APPROXIMATE_PARTS}
_ACCURATE = {new: old for old, new in _APPROXIMATE.items()}

# These multiply by weights of their own in ways that no approximate layer does: not to be left accurate in silence.
_UNSUPPORTED = (nn.RNNBase, nn.RNNCellBase, nn.Bilinear)


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
    `surrogate.nn.attention`); a pattern that matches the name of the attention decides for all of them.

    Layers that multiply in other ways (recurrent and bilinear ones) are selected by default, and so refused, unless a
    pattern maps them to None. `torch.nn.TransformerEncoderLayer` bypasses its layers' forward in evaluation mode, which
    is switched off where one of them is made approximate: pass it, or a model that holds it, not only its layers.
    """
    split_attention_(model)
    try:
        chosen = _chosen(model, config, filter_fn, products)
        _convert(model, chosen)
    finally:
        join_attention_(model)
        settle_fast_paths_(model)
    _name_operations(model)
    return tuple(chosen)


def _chosen(
    model: nn.Module, config: Configs, filter_fn: Filter | None, products: bool
) -> dict[str, tuple[nn.Module, ApproxConfig]]:
    """Select layers, check that they are supported, and find their configurations."""
    candidates = list(_named_layers(model))
    kinds = (*_LAYERS, *_UNSUPPORTED, *((Matmul,) if products else ()))
    chosen: dict[str, tuple[nn.Module, ApproxConfig]] = {}
    used: set[str] = set()
    for name, layer in candidates:
        selected = filter_fn(layer, name) if filter_fn is not None else isinstance(layer, kinds)
        if not selected:
            continue
        pattern, wanted = _configuration(config, _names(model, name))
        used.add(pattern)
        if wanted is not None:
            _check_supported(model, layer, name)
            chosen[name] = layer, wanted
    if isinstance(config, Mapping):
        unused = [p for p in config if p not in used and p != "_default"]
        if unused:
            raise ConversionError(
                f"the pattern {unused[0]!r} decides for no selected layer; layers: {listed(n for n, _ in candidates)}"
            )
    if not chosen:
        raise ConversionError(
            f"no layer to make approximate; filter_fn and the patterns select none of "
            f"{listed(n for n, _ in candidates)}"
        )
    return chosen


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
            layer.__class__ = _APPROXIMATE[type(layer)]
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


def restore_(model: nn.Module, filter_fn: Filter | None = None) -> tuple[str, ...]:
    """Make approximate layers accurate again, in place; the inverse of `approximate_`.

    Returns
    -------
    tuple of str
        Names of the layers that were approximate.
    """
    restored = [
        (name, layer)
        for name, layer in model.named_modules(remove_duplicate=False)
        if isinstance(layer, ApproxOperation) and (filter_fn is None or filter_fn(layer, name))
    ]
    for _, layer in restored:
        _restore(layer)
    join_attention_(model)
    settle_fast_paths_(model)
    return tuple(name for name, _ in restored)


def approximate_layers(model: nn.Module) -> Iterator[tuple[str, ApproxLayer]]:
    """Yield the approximate layers of a model with their names, each once."""
    for name, layer in model.named_modules():
        if isinstance(layer, ApproxLayer):
            yield name, layer


def _operations(model: nn.Module) -> Iterator[tuple[str, ApproxOperation]]:
    """Yield all that observes ranges: approximate layers, and products of two activations."""
    for name, module in model.named_modules():
        if isinstance(module, ApproxOperation):
            yield name, module


def _name_operations(model: nn.Module) -> list[tuple[str, ApproxOperation]]:
    """Tell layers their names, for errors; return both."""
    found = list(_operations(model))
    for name, module in found:
        module.path = name
    return found


@contextmanager
def mode(model: nn.Module, name: str) -> Iterator[None]:
    """Run a model's approximate layers in another mode within the block.

    Parameters
    ----------
    model : nn.Module
        The model.
    name : {"approximate", "float", "calibrate", ...}
        See `ApproxLayer`, and `surrogate.nn.simulate` for the others: ``"quantised"``, ``"exact"``, ``"surrogate"``,
        ``"table"``, ``"linear"``, ``"noise"``, ``"relative"``.

    Raises
    ------
    ConversionError
        If there is no such mode, or a layer's configuration lacks what it needs. Modes are then as before.
    """
    if name not in MODES:
        raise ConversionError(f"mode must be one of {MODES}, got {name!r}")
    layers = [layer for _, layer in _operations(model)]
    before = [layer.mode for layer in layers]
    try:
        for layer in layers:
            layer.mode = name
        yield
    finally:
        for layer, previous in zip(layers, before, strict=True):
            layer.mode = previous


@torch.no_grad()
def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> None:
    """Learn the ranges of all activations from representative batches.

    The model runs in evaluation mode with accurate float layers; each approximate layer observes its activations over
    all batches, and sets their range as `QuantiserConfig.observer` says. Earlier ranges are forgotten; a batch
    of size 0 adds nothing to them.

    Parameters
    ----------
    model : nn.Module
        With approximate layers.
    batches : iterable
        Inputs of the model; of a tuple or list (as data loaders yield) the first element.
    forward : callable, optional
        ``forward(model, batch)`` instead, for models of other signatures.
    progress : bool or callable, optional
        True shows a bar on the terminal; a function is called ``progress(batches_done)`` after each batch.

    Raises
    ------
    ConversionError
        If the model has no approximate layer, there is no batch, or no activation ever reached a layer.
    QuantisationError
        If an activation is NaN or infinite.
    """
    layers = _name_operations(model)
    if not layers:
        raise ConversionError("the model has no approximate layer; call approximate_(model, config) first")
    with mode(model, "calibrate"):
        for _, layer in layers:
            layer.reset()
        count = run_batches(model, batches, forward, progress)
    if count == 0:
        raise ConversionError("calibrate needs at least one batch")
    missed = [name for name, layer in layers if not layer.calibrated]
    if missed:
        raise ConversionError(
            f"the batches never reached {listed(missed)}; pass inputs that do, or leave these layers accurate"
        )


@torch.no_grad()
def run_batches(
    model: nn.Module,
    batches: Iterable[Any],
    forward: Callable[[nn.Module, Any], object] | None,
    progress: Progress,
    description: str = "calibrating",
) -> int:
    """Run a model in evaluation mode over batches, as `calibrate` takes them; return how many there were."""
    training = [(module, module.training) for module in model.modules()]
    count = 0
    try:
        model.eval()
        with reporting(progress, description, batches) as report:
            for count, batch in enumerate(batches, 1):  # the number of batches is what is wanted
                if forward is not None:
                    forward(model, batch)
                else:
                    model(_input(batch))
                report(count)
    finally:
        for module, was in training:
            module.training = was
    return count


def _input(batch: Any) -> Tensor:
    first = batch[0] if isinstance(batch, list | tuple) else batch
    if not isinstance(first, Tensor):
        raise ConversionError(
            f"a batch must be a tensor or start with one, got {type(first).__name__}; "
            f"pass forward=lambda model, batch: ..."
        )
    return first


def _named_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield modules without children, and all that can be approximate, under every name that they have."""
    parts: list[str] = []
    for name, module in model.named_modules(remove_duplicate=False):
        if any(name.startswith(prefix) for prefix in parts):
            continue
        if isinstance(module, ApproxOperation):
            parts.append(f"{name}." if name else "")
        if isinstance(module, (*_APPROXIMATE, ApproxOperation)) or next(module.children(), None) is None:
            yield name, module


def _names(model: nn.Module, name: str) -> tuple[str, ...]:
    """Name a layer for patterns: by its own name, and as a part of an attention also by that one's."""
    parent = name.rpartition(".")[0]
    if name and isinstance(model.get_submodule(parent), ApproxMultiheadAttention):
        return name, parent
    return (name,)


def _configuration(config: Configs, names: tuple[str, ...]) -> tuple[str, ApproxConfig | None]:
    """Find the pattern that decides for a layer of any of these names, and its configuration."""
    if isinstance(config, ApproxConfig):
        return "", config
    if not isinstance(config, Mapping):
        raise ConversionError(f"config must be an ApproxConfig or a mapping of patterns to them, got {config!r:.80}")
    for pattern, wanted in config.items():
        if wanted is not None and not isinstance(wanted, ApproxConfig):
            raise ConversionError(f"the pattern {pattern!r} must map to an ApproxConfig or None, got {wanted!r:.80}")
    for name in names:
        if name in config:
            return name, config[name]
    for pattern, wanted in config.items():
        if pattern == "_default":
            continue
        if pattern.startswith("re:"):
            matches = any(re.fullmatch(pattern[3:], name) for name in names)
        else:
            matches = any(fnmatch.fnmatchcase(name, pattern) for name in names)
        if matches:
            return pattern, wanted
    return "_default", config.get("_default")


def _check_supported(model: nn.Module, layer: nn.Module, name: str) -> None:
    where = f"layer {name!r}" if name else "the model"
    parent = name.rpartition(".")[0]
    holder = model.get_submodule(parent) if name else None
    if isinstance(layer, NonDynamicallyQuantizableLinear) and not isinstance(holder, ApproxMultiheadAttention):
        raise ConversionError(
            f"{where} is the output projection of {f'{parent!r}, a ' if parent else 'a '}"
            f"{type(holder).__name__ if holder is not None else 'MultiheadAttention'}, which reads its parameters and "
            f"bypasses its forward; only MultiheadAttention itself can be made approximate, as a whole, not its "
            f"subclasses; exclude it with filter_fn or a pattern that maps to None"
        )
    if type(layer) not in (_ACCURATE if isinstance(layer, ApproxOperation) else _APPROXIMATE):
        raise ConversionError(
            f"{where} is a {type(layer).__name__}; supported are {', '.join(t.__name__ for t in _LAYERS)}, Matmul and "
            f"MultiheadAttention (not their subclasses); exclude it with filter_fn or a pattern that maps to None"
        )


def _copied_state(layer: nn.Module) -> dict[str, Any]:
    """Copy a layer's attributes, and the dictionaries of its parameters, buffers and modules, but not these."""
    return {key: copy.copy(value) if isinstance(value, dict) else value for key, value in layer.__dict__.items()}


def _restore(layer: nn.Module) -> None:
    """Make an operation accurate, unless it is (a layer may have several names)."""
    if isinstance(layer, ApproxOperation):
        accurate = _ACCURATE[type(layer)]
        layer.detach_()
        layer.__class__ = accurate  # type: ignore[assignment]  # no longer an ApproxLayer


def listed(names: Iterable[str]) -> str:
    """Name layers for a message, the first few of many."""
    shown = [repr(n) if n else "the model itself" for n in names]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "") if shown else "(none)"
