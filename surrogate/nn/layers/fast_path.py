"""torch's fused transformer kernels, which bypass the forward of layers, kept off where a layer is approximate.

In evaluation mode and without gradients `torch.nn.TransformerEncoderLayer` hands the parameters of its layers to one
fused kernel, and `torch.nn.TransformerEncoder` packs padded inputs into a nested tensor for it. Both ask an attribute
of theirs first, which serves nothing else. The former also asks whether any of its parts has a hook: what is made
approximate by itself, out of sight of what holds it, gets one that does nothing.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from surrogate.nn.layers.operation import ApproxOperation

_SWITCHES: tuple[tuple[type[nn.Module], str, object], ...] = (
    (nn.TransformerEncoderLayer, "activation_relu_or_gelu", 0),
    (nn.TransformerEncoder, "use_nested_tensor", False),
)
_READ = (nn.Linear, nn.MultiheadAttention)  # whose parameters the fused kernel takes


def settle_fast_paths_(model: nn.Module) -> None:
    """Switch the fast path off in the modules that hold an approximate operation, and back on in those that do not.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig, ApproxLinear
    >>> layer = nn.TransformerEncoderLayer(4, 2, 8)
    >>> accurate, layer.linear1 = layer.linear1, ApproxLinear(4, 8, config=ApproxConfig(multiplier="exact8s"))
    >>> settle_fast_paths_(layer)
    >>> layer.activation_relu_or_gelu
    0
    >>> layer.linear1 = accurate
    >>> settle_fast_paths_(layer)
    >>> layer.activation_relu_or_gelu
    1
    """
    if isinstance(model, _READ) and _is_approximate(model) and not _hooks(model):
        model.register_forward_pre_hook(_stay_off_the_fast_path)
    for module in model.modules():
        approximate = _is_approximate(module)
        if not approximate:
            for key in _hooks(module):
                del module._forward_pre_hooks[key]
        for kind, name, off in _SWITCHES:
            if not isinstance(module, kind) or not hasattr(module, name):
                continue
            kept = f"_accurate_{name}"
            if approximate and not hasattr(module, kept):
                setattr(module, kept, getattr(module, name))
                setattr(module, name, off)
            elif not approximate and hasattr(module, kept):
                setattr(module, name, getattr(module, kept))
                delattr(module, kept)


def _is_approximate(module: nn.Module) -> bool:
    return any(isinstance(part, ApproxOperation) for part in module.modules())


def _stay_off_the_fast_path(_layer: nn.Module, _inputs: Any) -> None:
    """Do nothing; that it is there is what counts."""


def _hooks(module: nn.Module) -> list[int]:
    return [key for key, hook in module._forward_pre_hooks.items() if hook is _stay_off_the_fast_path]
