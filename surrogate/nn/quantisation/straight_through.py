"""Rounding to the integers of an operand, with the straight-through gradient.

``q = clamp(round(x / S) + Z, low, high)`` and ``x_hat = S (q - Z)``; rounding is half to even. The gradient of
``x_hat`` with respect to ``x`` is 1 where ``q`` was not clamped and 0 elsewhere (Bengio, Leonard, Courville, arXiv
1308.3432).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rounded(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Return ``round(x / S) + Z``, not yet clamped, in new memory."""
    return torch.div(x, scale).round_().add_(zero_point)


def straight_through_quantised(
    x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int
) -> tuple[Tensor, Tensor]:
    """Return ``x_hat``, differentiable straight through, and ``q``, which is not differentiable.

    Parameters
    ----------
    x : Tensor
        Values.
    scale, zero_point : Tensor
        ``S`` and ``Z`` in the datatype of ``x``, to broadcast along it.
    low, high : int
        Range of the integers.

    Examples
    --------
    >>> x = torch.tensor([0.6, 1.5, 2.5, 9.0], requires_grad=True)
    >>> x_hat, q = straight_through_quantised(x, torch.tensor(1.0), torch.tensor(0.0), 0, 7)
    >>> x_hat.sum().backward()
    >>> q.tolist(), x.grad.tolist()
    ([1.0, 2.0, 2.0, 7.0], [1.0, 1.0, 1.0, 0.0])
    """
    x_hat, q = _StraightThrough.apply(x, scale, zero_point, low, high)  # type: ignore[no-untyped-call]  # torch's is
    return x_hat, q


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
        integers = rounded(x, scale, zero_point)
        q = integers.clamp(low, high)
        ctx.save_for_backward(integers == q)
        ctx.mark_non_differentiable(q)
        return torch.sub(q, zero_point).mul_(scale), q

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None, None
