"""The sums of an approximate layer, differentiated by the derivative of the multiplier's own products.

With integers ``xq``, ``wq``, scales ``Sx``, ``Sw`` and zero points ``Zx``, ``Zw``, a layer without bias computes

    y = Sx Sw ( sum f(xq, wq) - Zx sum wq - Zw sum xq + N Zx Zw )

and its quantisers hand on ``x_hat = Sx (xq - Zx)`` and ``w_hat = Sw (wq - Zw)``, which are 0 in added lanes. So, with
the derivatives ``f_x`` and ``f_w`` of the product (`surrogate.nn.gradients.choice` says which), and sums over all lanes
that an operand takes part in,

    dL / dx_hat = sum dL/dy Sw (f_x(xq, wq) - Zw)
    dL / dw_hat = sum dL/dy Sx (f_w(xq, wq) - Zx)

of which ``f_x = wq`` and ``f_w = xq`` are the straight-through gradient. A learned scale acts through ``x_hat``, and by
itself: at constant ``x_hat``,

    dL / dSx = ( sum dL/dy y - sum dL/dx_hat x_hat ) / Sx

which is 0 of an accurate product; likewise for ``Sw``, of each output channel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from multipliers.operands import OperandFormat
from surrogate.nn.fixed_precision import FixedPrecision
from surrogate.nn.geometry import Convolution
from surrogate.nn.quantisation.quantiser import Quantiser


@dataclass(frozen=True)
class OperandKind:
    """What is known of a quantised operand before its values.

    Attributes
    ----------
    operand : OperandFormat
        The multiplier's operand.
    centred : bool
        Whether the zero point is 0 whatever the range.
    skips : bool
        Whether some lanes may be skipped; the index one past the last value marks them.
    """

    operand: OperandFormat
    centred: bool
    skips: bool

    @property
    def index_type(self) -> torch.dtype:
        """Narrowest datatype that holds the indices."""
        largest = self.operand.size if self.skips else self.operand.size - 1
        return next(d for d in (torch.uint8, torch.int16, torch.int32) if largest <= torch.iinfo(d).max)


@dataclass(frozen=True)
class QuantisedOperand:
    """One operand of a layer's products.

    Attributes
    ----------
    index : Tensor
        Integers less the smallest of the operand, as `surrogate.nn.engines.engine.Engine` takes them but of any integer
        datatype.
    scale, zero_point : Tensor
        One value, or one for each output channel.
    kind : OperandKind
        Format, and what may be left out.
    """

    index: Tensor
    scale: Tensor
    zero_point: Tensor
    kind: OperandKind

    @classmethod
    def of(cls, index: Tensor, quantiser: Quantiser, operand: OperandFormat, skips: bool = False) -> QuantisedOperand:
        """Take scale and zero point from the quantiser; ``operand`` is the multiplier's."""
        return cls(index, quantiser.scale, quantiser.zero_point, OperandKind(operand, quantiser.centred, skips))

    def steps(self) -> Tensor:
        """Return the integers less the zero point, 0 for skipped lanes, in the datatype of the scale."""
        shape = (-1,) + (1,) * (self.index.ndim - 1)
        operand = self.kind.operand
        steps = self.index + (operand.minimum - self.zero_point.reshape(shape)).to(self.scale.dtype)
        return steps.masked_fill_(self.index == operand.size, 0) if self.kind.skips else steps


class ProductGradient(FixedPrecision, ABC):
    """Sums of a product's derivatives; buffers are made from the multiplier, and no part of a model's state."""

    @abstractmethod
    def sums(
        self,
        gradient: Tensor,
        x: QuantisedOperand,
        w: QuantisedOperand,
        convolution: Convolution,
        needs: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """Differentiate ``sum gradient * (sum f(xq, wq) - Zx sum wq - Zw sum xq)`` with respect to ``xq`` and ``wq``.

        Parameters
        ----------
        gradient : Tensor
            Shape ``(batch, out_height, out_width, out_channels)``, float32 or float64.
        x : QuantisedOperand
            Indices of shape ``(batch, height, width, channels)``, already padded.
        w : QuantisedOperand
            Indices of shape ``(out_channels, kernel_height, kernel_width, channels / groups)``.
        convolution : Convolution
            Geometry.
        needs : (bool, bool)
            Which of the two results are wanted.

        Returns
        -------
        Tensor or None
            For the activations; what it says of skipped lanes has no meaning.
        Tensor or None
            For the weights.
        """


def product_with_gradient(
    x_hat: Tensor,
    w_hat: Tensor,
    y: Tensor,
    x: QuantisedOperand,
    w: QuantisedOperand,
    convolution: Convolution,
    derivative: ProductGradient,
    *,
    channel_axis: int,
    steps: tuple[Tensor | None, Tensor | None] = (None, None),
) -> Tensor:
    """Return a given output; differentiate it as the module's text says.

    Parameters
    ----------
    x_hat, w_hat : Tensor
        Dequantised operands, laid out like the indices of ``x`` and ``w``; only their gradients matter.
    y : Tensor
        The approximate output, without bias.
    x, w : QuantisedOperand
        What it was computed from.
    convolution : Convolution
        Geometry.
    derivative : ProductGradient
        Of the multiplier.
    channel_axis : int
        Axis of the output's channels; the others, flattened, are the engine's.
    steps : (Tensor or None, Tensor or None)
        Scales of activations and weights that are learned, to receive their gradients.
    """
    result: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
        x_hat, w_hat, *steps, y, x, w, convolution, derivative, channel_axis
    )
    return result


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_hat: Tensor,
        w_hat: Tensor,
        x_step: Tensor | None,
        w_step: Tensor | None,
        y: Tensor,
        x: QuantisedOperand,
        w: QuantisedOperand,
        convolution: Convolution,
        derivative: ProductGradient,
        channel_axis: int,
    ) -> Tensor:
        # scales and zero points may be observed anew, in place, before the backward pass
        parameters = [v.detach().to(y.dtype, copy=True) for v in (x.scale, x.zero_point, w.scale, w.zero_point)]
        indices = [operand.index.to(operand.kind.index_type) for operand in (x, w)]
        learned = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
        ctx.save_for_backward(*indices, *parameters, y if learned else None)
        ctx.kinds = x.kind, w.kind
        ctx.convolution, ctx.derivative, ctx.channel_axis = convolution, derivative, channel_axis
        return y.view_as(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_index, w_index, x_scale, x_zero, w_scale, w_zero, y = ctx.saved_tensors
        x = QuantisedOperand(x_index, x_scale, x_zero, ctx.kinds[0])
        w = QuantisedOperand(w_index, w_scale, w_zero, ctx.kinds[1])
        need_x, need_w, need_x_step, need_w_step = ctx.needs_input_grad[:4]
        of_y = gradients[0].movedim(ctx.channel_axis, -1)
        size = ctx.convolution.output_size(*x_index.shape[1:3])
        of_sums = (of_y * w_scale).reshape(len(x_index), *size, of_y.shape[-1])
        needs = need_x or need_x_step, need_w or need_w_step
        of_x, of_w = ctx.derivative.sums(of_sums, x, w, ctx.convolution, needs)
        if of_w is not None:
            of_w *= (x_scale / w_scale).reshape(-1, 1, 1, 1)
        of_x_step = of_w_step = None
        if need_x_step or need_w_step:
            product = of_y * y.movedim(ctx.channel_axis, -1)
            if need_x_step:
                of_x_step = product.sum() / x_scale - (of_x * x.steps()).sum()
            if need_w_step:
                by_channel = product.flatten(0, -2).sum(dim=0)
                acting = by_channel / w_scale - (of_w * w.steps()).flatten(1).sum(dim=1)
                of_w_step = acting.sum_to_size(w_scale.shape)
        return of_x, of_w, of_x_step, of_w_step, *(None,) * 6
