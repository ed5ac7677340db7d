"""Float products that are really done in the precision that they are asked for.

PyTorch may be told to compute float32 products in TF32 or bfloat16 (`torch.set_float32_matmul_precision`, autocast,
cuDNN's default for convolutions); integers beyond 11 or 8 significant bits would then be rounded in silence. On NVIDIA
GPUs it is told by default that parts of long float16 and bfloat16 sums may be rounded before they are added.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch

_REDUCTIONS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Leave autocast within the block; exported graphs are made without it, and cannot hold such a block."""
    return nullcontext() if torch.compiler.is_exporting() else torch.autocast(device.type, enabled=False)


@contextmanager
def full_precision(device: torch.device, processor: str = "ieee") -> Iterator[None]:
    """Compute float32 products as IEEE float32 within the block, whatever is set outside; no autocast.

    On a GPU sums of float16 and bfloat16 products, too, are float32 numbers throughout.

    Parameters
    ----------
    device : torch.device
        Where products are computed.
    processor : {"ieee", "bf16"}
        How processors multiply float32 matrices: as such, or, for factors that have at most 8 significant bits, in
        bfloat16 with float32 sums.
    """
    backends: Any = torch.backends  # not all of it is declared
    with ExitStack() as stack:
        if torch.amp.is_autocast_available(device.type):
            stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(backends.nnpack.flags(enabled=False))  # its convolutions may be Winograd transforms
        _set(stack, backends.mkldnn.matmul, "fp32_precision", backends.mkldnn.matmul.fp32_precision, processor)
        for owner in (backends.mkldnn.conv, backends.cudnn.conv):
            _set(stack, owner, "fp32_precision", owner.fp32_precision, "ieee")
        if device.type == "cuda":
            matmul = backends.cuda.matmul
            _set(stack, matmul, "fp32_precision", matmul.fp32_precision, "ieee")
            _set(stack, matmul, "allow_fp16_accumulation", matmul.allow_fp16_accumulation, False)
            for name in _REDUCTIONS:
                before = getattr(matmul, name)
                split = getattr(matmul, f"{name}_split_k", None)  # from PyTorch 2.10, which sets the two together
                if split is None:
                    _set(stack, matmul, name, before, False)
                else:
                    _set(stack, matmul, name, (before, split), (False, split))
        yield


def _set(stack: ExitStack, owner: Any, name: str, before: Any, value: Any) -> None:
    """Give an attribute a value, and at the end of the block the one that it had before."""
    if before != value:
        stack.callback(setattr, owner, name, before)
        setattr(owner, name, value)
