"""Which layers of a model become approximate, and as which classes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.utils import parametrize

from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.attention import APPROXIMATE_PARTS, ApproxMultiheadAttention
from surrogate.nn.layers.conv import ApproxConv1d, ApproxConv2d, ApproxConv3d
from surrogate.nn.layers.conv_transpose import ApproxConvTranspose1d, ApproxConvTranspose2d, ApproxConvTranspose3d
from surrogate.nn.layers.linear import ApproxLinear
from surrogate.nn.layers.matmul import Matmul
from surrogate.nn.layers.operation import ApproxOperation

Configs = ApproxConfig | Mapping[str, ApproxConfig | None]
Filter = Callable[[nn.Module, str], bool]

LAYERS: dict[type[nn.Module], type[ApproxOperation]] = {
    nn.Linear: ApproxLinear,
    nn.Conv1d: ApproxConv1d,
    nn.Conv2d: ApproxConv2d,
    nn.Conv3d: ApproxConv3d,
    nn.ConvTranspose1d: ApproxConvTranspose1d,
    nn.ConvTranspose2d: ApproxConvTranspose2d,
    nn.ConvTranspose3d: ApproxConvTranspose3d,
}
APPROXIMATE = {**LAYERS, **APPROXIMATE_PARTS}
ACCURATE = {new: old for old, new in APPROXIMATE.items()}

# These multiply by weights of their own in ways that no approximate layer does: not to be left accurate in silence.
UNSUPPORTED = (nn.RNNBase, nn.RNNCellBase, nn.Bilinear)


def chosen_layers(
    model: nn.Module, config: Configs, filter_fn: Filter | None, products: bool
) -> dict[str, tuple[nn.Module, ApproxConfig]]:
    """Select layers, check that they are supported, and find their configurations."""
    candidates = list(_named_layers(model))
    kinds = (*LAYERS, *UNSUPPORTED, *((Matmul,) if products else ()))
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
            skipped = not products and filter_fn is None and any(isinstance(layer, Matmul) for _, layer in candidates)
            raise ConversionError(
                f"the pattern {unused[0]!r} decides for no selected layer; layers: {listed(n for n, _ in candidates)}"
                f"{'; products of two activations are selected with products=True' if skipped else ''}"
            )
    if not chosen:
        raise ConversionError(
            f"no layer to make approximate; filter_fn and the patterns select none of "
            f"{listed(n for n, _ in candidates)}"
        )
    return chosen


def _named_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield modules without children, and all that can be approximate, under every name that they have."""
    parts: list[str] = []
    for name, module in model.named_modules(remove_duplicate=False):
        if any(name.startswith(prefix) for prefix in parts):
            continue
        if isinstance(module, ApproxOperation):
            parts.append(f"{name}." if name else "")
        if isinstance(module, (*APPROXIMATE, ApproxOperation)) or next(module.children(), None) is None:
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
    pattern = deciding_pattern(config, names)
    return pattern, config.get(pattern)


def deciding_pattern(patterns: Iterable[str], names: tuple[str, ...]) -> str:
    """Find which of some patterns decides for a layer of any of these names; "_default" if no other does.

    Exact names come first, then patterns in their order: of the shell, or after ``re:`` regular expressions.
    """
    patterns = [pattern for pattern in patterns if pattern != "_default"]
    for name in names:
        if name in patterns:
            return name
    for pattern in patterns:
        if pattern.startswith("re:"):
            matches = any(re.fullmatch(pattern[3:], name) for name in names)
        else:
            matches = any(fnmatch.fnmatchcase(name, pattern) for name in names)
        if matches:
            return pattern
    return "_default"


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
    refuse_parametrised(layer, where)
    if type(layer) not in (ACCURATE if isinstance(layer, ApproxOperation) else APPROXIMATE):
        raise ConversionError(
            f"{where} is a {type(layer).__name__}; supported are {', '.join(t.__name__ for t in LAYERS)}, Matmul and "
            f"MultiheadAttention (not their subclasses); exclude it with filter_fn or a pattern that maps to None"
        )


def refuse_parametrised(layer: nn.Module, where: str) -> None:
    """Raise `ConversionError` if `torch.nn.utils.parametrize` has changed the class of a layer."""
    if parametrize.is_parametrized(layer):
        raise ConversionError(
            f"{where} is parametrised, which has changed its class; call remove_parametrizations first (approximate "
            f"layers can be parametrised afterwards)"
        )


def listed(names: Iterable[str]) -> str:
    """Name layers for a message, the first few of many."""
    shown = [repr(n) if n else "the model itself" for n in names]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "") if shown else "(none)"
