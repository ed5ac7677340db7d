"""Learned step size quantisation (LSQ: Esser, McKinstry, Bablani, Appuswamy, Modha, ICLR 2020, arXiv 1902.08153).

With ``v = x / S`` and integers ``low .. high`` around the zero point ``Z``, ``x_hat = S (clamp(round(v) + Z) - Z)`` is
differentiated (equations 2, 3 and 5; the zero point is constant)

    d x_hat / d x = 1 within the range, 0 where it is clamped
    d x_hat / d S = round(v) - v within, low - Z below, high - Z above

and the gradient of ``S`` is scaled by ``1 / sqrt(n (high - Z))``, with ``n`` the number of values that share the step
(section 2.2: weights of the layer or channel; activations of one sample), so that steps change at the pace of weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from surrogate.nn.errors import QuantisationError
from surrogate.nn.operators import opaque


def learned_step_quantised(
    x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int, n_values: int
) -> tuple[Tensor, Tensor]:
    """Quantise, with the gradients of the module's text.

    Parameters
    ----------
    x : Tensor
        Values.
    scale, zero_point : Tensor
        ``S > 0`` and ``Z``, broadcastable to ``x``, each along its first axis at most.
    low, high : int
        Range of the integers.
    n_values : int
        How many values share a step.

    Returns
    -------
    x_hat, q : Tensor
        Dequantised values, differentiable, and the integers.
    """
    x_hat, q = _LearnedStep.apply(x, scale, zero_point, low, high, n_values)  # type: ignore[no-untyped-call]
    return x_hat, q


@opaque("positive_steps", torch.empty_like)
def positive_steps(scale: Tensor) -> Tensor:
    """Return learned steps, without a gradient; raise `QuantisationError` unless all are positive."""
    if not bool((scale > 0).all()):
        raise QuantisationError(
            f"a learned step size is {scale.min().item():.3g}, not positive; lower the learning rate"
        )
    return scale.detach().clone()


def with_scaled_gradient(scale: Tensor, zero_point: Tensor, high: int, n_values: int) -> Tensor:
    """Return a step size itself, with its gradient scaled like that of `learned_step_quantised`.

    For a use of the step beside ``x_hat``; arguments as there.
    """
    scaled = scale * _gradient_scale(zero_point, high, n_values)
    return scaled + (scale - scaled).detach()


def _gradient_scale(zero_point: Tensor, high: int, n_values: int) -> Tensor:
    positive = (high - zero_point).clamp(min=1.0)  # a zero point at the upper end has no positive integers
    return 1 / (positive * max(1, n_values)).sqrt()


class _LearnedStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int, n_values: int
    ) -> tuple[Tensor, Tensor]:
        scale = positive_steps(scale)
        rounded = torch.round(x / scale) + zero_point
        q = rounded.clamp(low, high)
        ctx.save_for_backward(x, scale, q - zero_point, rounded == q)
        ctx.gradient_scale = _gradient_scale(zero_point, high, n_values)
        ctx.mark_non_differentiable(q)
        return (q - zero_point) * scale, q

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, steps, inside = ctx.saved_tensors
        gradient = gradients[0]
        slope = torch.where(inside, steps - x / scale, steps)
        of_scale = (gradient * slope).sum_to_size(scale.shape) * ctx.gradient_scale
        return gradient * inside, of_scale, None, None, None, None
