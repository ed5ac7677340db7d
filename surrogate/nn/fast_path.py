"""torch's fused transformer kernels, which bypass the forward of layers, kept off where a layer is approximate.

In evaluation mode and without gradients `torch.nn.TransformerEncoderLayer` hands the parameters of its layers to one
fused kernel, and `torch.nn.TransformerEncoder` packs padded inputs into a nested tensor for it. Both ask an attribute
of theirs first, which serves nothing else.
"""

from __future__ import annotations

from torch import nn

from surrogate.nn.operation import ApproxOperation

_SWITCHES: tuple[tuple[type[nn.Module], str, object], ...] = (
    (nn.TransformerEncoderLayer, "activation_relu_or_gelu", 0),
    (nn.TransformerEncoder, "use_nested_tensor", False),
)


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
    for module in model.modules():
        for kind, name, off in _SWITCHES:
            if not isinstance(module, kind) or not hasattr(module, name):
                continue
            kept = f"_accurate_{name}"
            approximate = any(isinstance(part, ApproxOperation) for part in module.modules())
            if approximate and not hasattr(module, kept):
                setattr(module, kept, getattr(module, name))
                setattr(module, name, off)
            elif not approximate and hasattr(module, kept):
                setattr(module, name, getattr(module, kept))
                delattr(module, kept)
