"""The forward sum of an approximate layer with the straight-through gradient of the accurate one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class AccurateConvolution:
    """A convolution as torch describes it, of one to three dimensions; attributes as in `torch.nn.ConvTranspose2d`."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = (0,)

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of input, weight and bias that are ``wanted``, at ``x`` and ``w``."""
        found: tuple[Tensor | None, Tensor | None, Tensor | None] = torch.ops.aten.convolution_backward(
            gradient,
            x,
            w,
            [w.shape[1] * self.groups if self.transposed else w.shape[0]],
            self.stride,
            self.padding,
            self.dilation,
            self.transposed,
            self.output_padding,
            self.groups,
            wanted,
        )
        return found


def straight_through_product(
    x_hat: Tensor, w_hat: Tensor, y: Tensor, convolution: AccurateConvolution | None
) -> Tensor:
    """Return a given output; differentiate as if it were the accurate product of the dequantised operands.

    Parameters
    ----------
    x_hat, w_hat : Tensor
        Dequantised activations and weights: ``(..., in_features)`` and ``(out_features, in_features)`` of a linear
        layer, else ``(batch, channels, *size)`` and torch's ``weight`` of the convolution.
    y : Tensor
        The approximate output, without bias.
    convolution : AccurateConvolution or None
        The accurate operation; None for a linear layer.
    """
    result: Tensor = _StraightThroughProduct.apply(x_hat, w_hat, y, convolution)  # type: ignore[no-untyped-call]
    return result


def linear_gradients(
    gradient: Tensor, columns: Tensor, w: Tensor, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of input and weight of a linear layer that are ``wanted``.

    Parameters
    ----------
    gradient : Tensor
        Of the output, ``(..., out_features)``.
    columns : Tensor
        The inputs, transposed: ``(in_features, rows)``, contiguous. Every caller has them so: another order in memory
        would have other roundings.
    w : Tensor
        The weight.
    """
    grad_w = (columns @ gradient.reshape(-1, gradient.shape[-1])).T if wanted[1] else None
    return gradient @ w if wanted[0] else None, grad_w


def layer_gradients(
    gradient: Tensor, x: Tensor, w: Tensor, convolution: AccurateConvolution | None, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of input, weight and bias that are ``wanted``.

    Of a linear layer (``convolution`` None) ``x`` holds the inputs transposed, as of `linear_gradients`.
    """
    grad_bias: Tensor | None = None
    if wanted[2]:
        axes = tuple(range(gradient.ndim - 1)) if convolution is None else (0, *range(2, gradient.ndim))
        grad_bias = gradient.sum(dim=axes) if axes else gradient
    if convolution is None:
        return *linear_gradients(gradient, x, w, wanted[:2]), grad_bias
    return *convolution.gradients(gradient, x, w, (*wanted[:2], False))[:2], grad_bias


class _StraightThroughProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_hat: Tensor, w_hat: Tensor, y: Tensor, convolution: AccurateConvolution | None) -> Tensor:
        ctx.save_for_backward(x_hat, w_hat)
        ctx.convolution = convolution
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x_hat, w_hat = ctx.saved_tensors
        need_x, need_w = ctx.needs_input_grad[:2]
        if ctx.convolution is None:
            columns = x_hat.reshape(-1, w_hat.shape[1]).T.contiguous() if need_w else x_hat
            grad_x, grad_w = linear_gradients(gradient, columns, w_hat, (need_x, need_w))
        else:
            convolution: AccurateConvolution = ctx.convolution
            grad_x, grad_w, _ = convolution.gradients(gradient, x_hat, w_hat, (need_x, need_w, False))
        return grad_x, grad_w, None, None
