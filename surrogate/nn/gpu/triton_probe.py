"""Whether the Triton table kernel runs on a device, and if not, why."""

from __future__ import annotations

import torch

from surrogate.nn.geometry import Convolution
from surrogate.nn.gpu.triton_table import TritonTable
from surrogate.nn.operators import probed

_CAPABILITY = (7, 0)  # of the first NVIDIA GPUs that Triton compiles for


@probed
def triton_trouble(device: torch.device) -> str | None:
    """Say why the Triton kernel cannot run on a device; None if it does.

    The kernel is compiled and compared with plain torch when a device is first asked for.

    Examples
    --------
    >>> triton_trouble(torch.device("cpu"))
    'Triton compiles for GPUs, and this device is a cpu'
    """
    if device.type != "cuda":
        return f"Triton compiles for GPUs, and this device is a {device.type}"
    if not torch.cuda.is_available():
        return "PyTorch finds no CUDA device"
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < _CAPABILITY:
        return f"Triton needs compute capability {'.'.join(map(str, _CAPABILITY))} or later"
    try:
        exact = runs_exactly(device)
    except ImportError:
        return "Triton is not installed; pip install triton"
    except Exception as error:  # no C compiler for Triton's launcher, an unknown GPU: whatever it is, plain torch runs
        return f"the kernel does not run: {type(error).__name__}: {error}"
    return None if exact else "the kernel's sums are wrong here"


def runs_exactly(device: torch.device) -> bool:
    """Whether a convolution of random entries, extremes and skipped lanes has the right sums on a device."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randint(0, 1 << 16, (256, 256), generator=generator)
    table[0, 0], table[255, 255] = 0, (1 << 16) - 1
    x = torch.randint(0, 257, (2, 9, 9, 3), generator=generator)
    w = torch.randint(0, 256, (10, 3, 3, 3), generator=generator)
    convolution = Convolution((3, 3), (2, 1))
    held = TritonTable.of(table.to(device), 0, (1 << 16) - 1)
    sums = held.sums(x.to(device, torch.int32), held.prepare(w.to(device), 1), convolution)
    patches = convolution.patches(x).flatten(3)
    padded = torch.nn.functional.pad(table, (0, 0, 0, 1))
    expected = padded[patches[:, :, :, None], w.flatten(1)].sum(dim=4)
    return bool(torch.equal(sums.cpu().long(), expected))
