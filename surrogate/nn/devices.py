"""Devices that are asked for: there, or an error that says what is missing."""

from __future__ import annotations

import torch

from surrogate.nn.errors import ConversionError


def require_device(device: str | torch.device) -> torch.device:
    """Return a device that tensors can be moved to.

    Raises
    ------
    ConversionError
        If there is no such device here; says why.

    Examples
    --------
    >>> require_device("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ConversionError(f"{device!r} names no device: {str(error).splitlines()[0]}") from None
    if found.type != "cuda":
        return found
    if not (torch.version.cuda or torch.version.hip):
        raise ConversionError(
            f"device {str(found)!r}: this PyTorch ({torch.__version__}) is built without CUDA; install a build with it "
            f"(https://pytorch.org/get-started/locally), or use 'cpu'"
        )
    if not torch.cuda.is_available():
        raise ConversionError(
            f"device {str(found)!r}: PyTorch finds no GPU; see whether `nvidia-smi` (`rocm-smi`) lists one and whether "
            f"its driver is recent enough for CUDA {torch.version.cuda or torch.version.hip}, or use 'cpu'"
        )
    if found.index is not None and found.index >= torch.cuda.device_count():
        raise ConversionError(f"device {str(found)!r}: the last GPU here is 'cuda:{torch.cuda.device_count() - 1}'")
    return found
