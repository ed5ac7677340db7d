"""Float products that are really done in float32.

PyTorch may be told to compute float32 products in TF32 or bfloat16 (`torch.set_float32_matmul_precision`, autocast,
cuDNN's default for convolutions); integers beyond 11 or 8 significant bits would then be rounded in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


def _settings() -> list[tuple[Any, str, str | bool]]:
    """Owner, attribute and full-precision value of every setting that this torch has."""
    backends = torch.backends
    modern = [
        (getattr(getattr(backends, name, None), part, None), "fp32_precision", "ieee")
        for name, part in (("mkldnn", "matmul"), ("mkldnn", "conv"), ("cudnn", "conv"))
    ]
    if torch.cuda.is_available():
        modern.append((backends.cuda.matmul, "fp32_precision", "ieee"))
    if all(hasattr(owner, attribute) for owner, attribute, _ in modern):
        return list(modern)
    return [(backends.cuda.matmul, "allow_tf32", False), (backends.cudnn, "allow_tf32", False)]


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute float32 products as IEEE float32 within the block, whatever is set outside; no autocast."""
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))  # its convolutions may be Winograd transforms
        for owner, attribute, value in _settings():
            before = getattr(owner, attribute)
            if before != value:
                stack.callback(setattr, owner, attribute, before)
                setattr(owner, attribute, value)
        yield
