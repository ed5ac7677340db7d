"""Tensors that layers compute with: floats of the usual datatypes, on a device that has float64."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from surrogate.nn.errors import ConversionError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Datatypes of activations and parameters; float8 holds too few digits even of the outputs of 8-bit operands."""

_UNSUPPORTED = {
    "meta": "holds no values; materialise the model (to_empty) and load its state first",
    "mps": "has no float64, which holds the corrections of zero points; use 'cpu' or 'cuda'",
}


def check_weight(weight: Tensor) -> None:
    """Raise `ConversionError` unless a layer's weight can be quantised and computed with."""
    if weight.dtype not in FLOATS:
        raise ConversionError(f"the weight is {weight.dtype}; layers compute in {_listed()}: cast the layer first")
    if weight.numel() == 0:
        raise ConversionError(f"the weight is empty, of shape {tuple(weight.shape)}: there is nothing to multiply with")
    check_device(weight.device, weight.device)


def check_device(x: torch.device, weight: torch.device) -> None:
    """Raise `ConversionError` unless input and weight are on one device, and a supported one."""
    if x != weight:
        raise ConversionError(f"the input is on {str(x)!r}, the layer on {str(weight)!r}; move one of them")
    if x.type in _UNSUPPORTED:
        raise ConversionError(f"the device {str(x)!r} {_UNSUPPORTED[x.type]}")


def widened(x: Tensor) -> Tensor:
    """Return activations as float32 or float64: 16-bit floats round quotients by the scale otherwise."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def refuse_transforms() -> None:
    """Raise `ConversionError` within `torch.func.grad`, `torch.func.vmap` and the like."""
    level = getattr(torch._C._functorch, "maybe_current_level", None)
    if level is not None and not torch.compiler.is_compiling() and level() is not None:
        raise ConversionError(
            "torch.func's transforms (grad, vmap, jvp, ...) do not reach through approximate layers; differentiate by "
            "backward() or torch.autograd.grad, and run many inputs as one batch"
        )


def refuse_input(x: Tensor, shape: str) -> NoReturn:
    """Raise the `ConversionError` of an input that is not a float tensor of a shape, described in words."""
    datatypes = "" if x.dtype in FLOATS else f"; layers compute in {_listed()}"
    raise ConversionError(f"expected a float tensor of shape {shape}, got {x.dtype} {tuple(x.shape)}{datatypes}")


def _listed() -> str:
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOATS)
