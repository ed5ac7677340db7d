"""Products of integer factors on the matrix units of GPUs: in int8 with int32 sums, in 16-bit floats with float32 sums.

**int8.** cuBLAS multiplies int8 matrices of more than 16 rows, whose rows have a multiple of 8 elements: others are
padded with zeros, which add nothing, to multiples of 16, the alignment of its fast kernels.

**float16, bfloat16.** Integers of at most 11 significant bits (up to 65504) are exact in float16, and of at most 8 in
bfloat16; products of two such have at most 22, which float32 holds. A matrix unit aligns the addends of a sum to the
largest of them and drops what is beyond the 24 bits that it keeps (Fasi, Higham, Mikaitis and Pranesh, "Numerical
behavior of NVIDIA tensor cores", PeerJ Computer Science 7:e330, 2021). Integers lose nothing there while the magnitudes
of all addends of a sum stay below 2**24 together, in whatever order it adds: longer sums are cut into pieces, as those
in float32 are. The result is asked for in float32: in the datatype of the factors it would be rounded.

What is claimed here is probed on each device before it is relied upon.
"""

from __future__ import annotations

import torch
from torch import Tensor

from surrogate.nn.operators import probed
from surrogate.nn.products.precision import full_precision

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
"""Datatypes of 16 bits, whose products have float32 sums."""

COSTS = {"int8": 0.035, "float16": 0.07, "bfloat16": 0.07, "float32": 1.0, "float64": 32.0}
"""Cost of a product, in multiples of a float32 one, by NVIDIA's data sheets: A100 and H100 (dense); float64 by those of
GPUs without units for it, where it is the last resort."""

_FEWEST_ROWS = 32
_ALIGNMENT = 16


def int8_product(x: Tensor, w: Tensor) -> Tensor:
    """Multiply int8 matrices ``(rows, length)`` and ``(length, columns)`` of any shape into int32.

    Examples
    --------
    >>> x, w = torch.full((2, 3), 5, dtype=torch.int8), torch.full((3, 1), -7, dtype=torch.int8)
    >>> int8_product(x, w)
    tensor([[-105],
            [-105]], dtype=torch.int32)
    """
    (rows, length), columns = x.shape, w.shape[1]
    long, wide = _aligned(length), _aligned(columns)
    x = torch.nn.functional.pad(x, (0, long - length, 0, max(0, _FEWEST_ROWS - rows)))
    w = torch.nn.functional.pad(w.T, (0, long - length, 0, wide - columns))  # columns contiguous, as its kernels want
    return torch._int_mm(x.contiguous(), w.contiguous().T)[:rows, :columns]


def _aligned(length: int) -> int:
    return -(-max(1, length) // _ALIGNMENT) * _ALIGNMENT


def half_product(x: Tensor, w: Tensor) -> Tensor:
    """Multiply batches of matrices of 16-bit floats, ``(batch, rows, length)``, into float32."""
    with full_precision(x.device):
        if len(x) > 1:
            return torch.bmm(x, w, out_dtype=torch.float32)
        return torch.mm(x[0], w[0], out_dtype=torch.float32)[None]


@probed
def half_products_are_exact(name: str, device: torch.device) -> bool:
    """Whether products of a datatype of `HALVES` exist on a device and round nothing.

    Probed once, with sums that are odd and as large as they may be, of few large factors and of many small ones.
    """
    generator = torch.Generator().manual_seed(0)
    dtype, largest = HALVES[name], {"float16": 2047, "bfloat16": 255}[name]
    for factor in (largest, 127, 31):
        length = ((1 << 24) // factor**2 - 1) | 1  # odd, as the factors are: so is the sum
        x = factor - 2 * torch.randint(0, factor + 1, (2, 32, length), generator=generator)
        w = factor - 2 * torch.randint(0, factor + 1, (2, length, 16), generator=generator)
        x[:, 0], w[:, :, 0] = factor, factor
        try:
            found = [half_product(x[:n].to(device, dtype), w[:n].to(device, dtype)) for n in (1, 2)]
        except (AssertionError, RuntimeError, NotImplementedError, TypeError):  # also of a device that is not there
            return False
        expected = torch.bmm(x.double(), w.double())
        if not all(torch.equal(each.double().cpu(), expected[: len(each)]) for each in found):
            return False
    return True
