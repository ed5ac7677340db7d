"""Products of factors of at most 8 significant bits on processors, in bfloat16 with float32 sums.

PyTorch may compute float32 products in bfloat16 where ``torch.backends.mkldnn.matmul.fp32_precision = "bf16"`` permits
it: factors are rounded to 8 significant bits, which these survive, and sums stay float32. (A product of bfloat16
tensors rounds its sums to bfloat16.) Where the processor has no such instructions the permission does no harm.
"""

from __future__ import annotations

import torch
from torch import Tensor

from surrogate.nn.operators import probed
from surrogate.nn.products.precision import full_precision

_LARGEST = 255  # of 8 significant bits
_SHAPES = ((1, 7, 3), (33, 257, 17), (256, 256, 256))


def bfloat16_product(x: Tensor, w: Tensor) -> Tensor:
    """Multiply batches of bfloat16 matrices into float32.

    Examples
    --------
    >>> x = torch.tensor([[[255.0, 1.0]]], dtype=torch.bfloat16)
    >>> bfloat16_product(x, x.mT)
    tensor([[[65026.]]])
    """
    left, right = x.float(), w.float()
    with full_precision(x.device, processor="bf16"):
        return torch.bmm(left, right) if len(left) > 1 else torch.mm(left[0], right[0])[None]


@probed
def bfloat16_products_are_exact() -> bool:
    """Whether `bfloat16_product` rounds nothing while sums of magnitudes stay below 2**24, by a probe of such sums."""
    generator = torch.Generator().manual_seed(0)
    exact = True
    for batch in (1, 3):
        for rows, length, columns in _SHAPES:
            largest = min(_LARGEST, int((((1 << 24) - 1) / length) ** 0.5))
            x = largest - torch.randint(2 * largest + 1, (batch, rows, length), generator=generator)
            w = largest - torch.randint(2 * largest + 1, (batch, length, columns), generator=generator)
            x[:, 0], w[:, :, 0] = largest, largest
            expected = torch.bmm(x.double(), w.double())
            exact &= torch.equal(bfloat16_product(x.bfloat16(), w.bfloat16()).double(), expected)
    return exact
