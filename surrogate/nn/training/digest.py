"""Whether two models are the same to the last bit."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def parameters_digest(model: nn.Module) -> str:
    """Return the SHA-256 of a model's parameters: their names, shapes, datatypes and bits, in hexadecimal digits.

    Buffers do not count, so that models whose layers run by other engines compare.

    Examples
    --------
    >>> model = nn.Linear(2, 3)
    >>> before = parameters_digest(model)
    >>> _ = model.bias.data.mul_(1 + 1e-6)
    >>> parameters_digest(model) == before
    False
    """
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}\n".encode())
        digest.update(parameter.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
