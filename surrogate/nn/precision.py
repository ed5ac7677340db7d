"""Float products that are really done in float32.

PyTorch may be told to compute float32 products in TF32 or bfloat16 (`torch.set_float32_matmul_precision`, autocast,
cuDNN's default for convolutions); integers beyond 11 or 8 significant bits would then be rounded in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


def _owners() -> list[Any]:
    """Parts of ``torch.backends`` that choose how float32 products are computed."""
    backends: Any = torch.backends  # not all of it is declared
    owners = [backends.mkldnn.matmul, backends.mkldnn.conv, backends.cudnn.conv]
    return [*owners, backends.cuda.matmul] if torch.cuda.is_available() else owners


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute float32 products as IEEE float32 within the block, whatever is set outside; no autocast."""
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))  # its convolutions may be Winograd transforms
        for owner in _owners():
            before = owner.fp32_precision
            if before != "ieee":
                stack.callback(setattr, owner, "fp32_precision", before)
                owner.fp32_precision = "ieee"
        yield
