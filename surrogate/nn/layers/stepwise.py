"""Layers step by step, by any engine: quantise, sum products, rescale.

With activations ``x = Sx (xq - Zx)`` and weights ``w = Sw[c] (wq - Zw[c])``, a layer returns

    y[c] = Sx Sw[c] ( sum f(xq, wq) - Zx sum wq - Zw[c] sum xq + N Zx Zw[c] ) + bias[c]

with sums over the ``N`` lanes of a receptive field, and ``f`` the multiplier (``f(wq, xq)`` if the activation is its
operand ``b``). Sums are exact integers before they are rescaled, whatever the engine. The backward pass is straight
through, the gradient of the accurate layer at the dequantised operands, or what `surrogate.nn.gradients.choice` offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor

from surrogate.nn.config import ApproxConfig
from surrogate.nn.engines.engine import Engine
from surrogate.nn.geometry import Convolution
from surrogate.nn.gradients.product import QuantisedOperand, product_with_gradient
from surrogate.nn.layers.inputs import widened
from surrogate.nn.layers.quantised import QuantisedLayer
from surrogate.nn.products.precision import no_autocast


@dataclass(frozen=True)
class _Weights:
    """Quantised weights and all that follows from them alone."""

    source: Tensor
    scale: Tensor
    engine: Engine
    codes: Tensor  # integers, in the shape of the kernel
    prepared: Any
    sums: Tensor  # (out,), float64


class StepwiseLayer(QuantisedLayer):
    """The steps of a layer and their gradient; weights are transformed when they change."""

    parts = (*QuantisedLayer.parts, "_cache")

    def attach(self, config: ApproxConfig) -> Self:
        """See `ApproxOperation.attach`."""
        super().attach(config)
        self._cache: _Weights | None = None
        return self

    def step_by_step(self, x: Tensor) -> Tensor:
        """Compute the output, bias and gradient included, for an expanded input."""
        with no_autocast(x.device):
            learned = (x, self.weight, self.activation_quantiser.scale, self.weight_quantiser.scale)
            if torch.is_grad_enabled() and any(part.requires_grad for part in learned):
                y = self._differentiable(x)
            else:
                y = self._rescaled(self.activation_quantiser.integers(x))
            bias = cast(Tensor | None, self.bias)
            if bias is not None:
                y = y + self._per_channel(bias).to(y.dtype)
        return y

    @torch.no_grad()
    def accumulate(self, x: Tensor) -> Tensor:
        """Return the integer sums ``sum f(xq, wq)`` before rescaling, int64, in the layer's output shape.

        Raises
        ------
        ConversionError
            If the layer runs a surrogate of float factors, whose sums are not integers.
        """
        engine = self.integer_engine
        self.check_input(x)
        codes = self.activation_quantiser.integers(self.expand(widened(x)))
        sums = self.sums(engine, codes, self._weights().prepared)
        return self.from_sums(sums.to(torch.int64), codes)

    def prepare(self, engine: Engine, codes: Tensor) -> Any:
        """Transform quantised weights, in the shape of `kernel`, for `sums`; see `Engine.prepare`."""
        return engine.prepare(self.weight_indices(codes), self.convolution().groups)

    def sums(self, engine: Engine, codes: Tensor, prepared: Any) -> Tensor:
        """Sum products with quantised activations over all windows; see `Engine.sums`."""
        return engine.sums(self.arrange(*self.indices(codes)), prepared, self.convolution())

    def _differentiable(self, x: Tensor) -> Tensor:
        """Output without bias, with the gradient that is configured."""
        activation, weight = self.activation_quantiser, self.weight_quantiser
        x_hat, codes = activation(x)
        y = self._rescaled(codes)
        kernel = self.kernel(self.weight.to(x.dtype))
        w_hat, _ = weight(kernel)
        if self.derivative is None:
            return self.differentiable(x_hat, self.running.perturbed(w_hat, self.arrange_weights), y)
        skips = self.skips_zeros and self.adds_zeros
        return product_with_gradient(
            self.arrange(x_hat, x_hat.new_zeros(1)),
            self.arrange_weights(w_hat),
            y,
            QuantisedOperand.of(self.arrange(*self.indices(codes)), activation, self.config.activation_format, skips),
            QuantisedOperand.of(self.weight_indices(self._weights().codes), weight, self.config.weight_format),
            self.convolution(),
            self.derivative,
            channel_axis=self.channel_axis,
            steps=(activation.step(x), weight.step(kernel)),
        )

    def _per_channel(self, values: Tensor) -> Tensor:
        """Shape one value per output channel to broadcast along the output."""
        return values.reshape(-1, *(1,) * (self.weight.ndim - 2))

    @torch.no_grad()
    def _weights(self) -> _Weights:
        """Quantise and transform the weights, again if they changed.

        The comparison reads the weights once; a version counter would miss changes made through ``.data``. Compiled
        graphs cannot branch on it, and contain the transformation of the weights.
        """
        if torch.compiler.is_compiling():
            return self._transformed(self.weight.detach())
        cached = self._cache
        weight, engine = self.weight.detach(), self.running
        if (
            cached is not None
            and cached.engine is engine
            and cached.source.device == weight.device
            and cached.source.dtype == weight.dtype
            and torch.equal(cached.source, weight)
            and torch.equal(cached.scale, self.weight_quantiser.scale)  # which may be learned
        ):
            return cached
        self._cache = self._transformed(weight.clone())
        return self._cache

    def _transformed(self, weight: Tensor) -> _Weights:
        engine = self.running
        kernel = self.kernel(weight)
        if not torch.compiler.is_exporting():  # exported graphs hold the scales that they were made with
            self.weight_quantiser.observe(kernel)
        codes = self.weight_quantiser.integers(widened(kernel))
        sums = codes.double().flatten(1).sum(dim=1)
        scale = self.weight_quantiser.scale.detach().clone()
        return _Weights(weight, scale, engine, codes, self.prepare(engine, codes), sums)

    @torch.no_grad()
    def _rescaled(self, codes: Tensor) -> Tensor:
        """Sum products and apply scales and zero points: the layer's output without bias."""
        weights, convolution = self._weights(), self.convolution()
        sums = self.sums(self.running, codes, weights.prepared)
        activation, weight = self.activation_quantiser, self.weight_quantiser
        if not (activation.centred and weight.centred):
            sums = sums.double() + self._corrections(codes, weights, convolution)
        # every engine's sums are the same integers, rounded once to the output's datatype
        y = self.from_sums(sums, codes).to(codes.dtype)
        scale = activation.scale.to(codes.dtype) * weight.scale.to(codes.dtype)
        return y.mul_(self._per_channel(scale))

    def _corrections(self, codes: Tensor, weights: _Weights, convolution: Convolution) -> Tensor:
        """``-Zx sum wq - Zw sum xq + N Zx Zw`` over the lanes that are not skipped, float64 (exact: whole numbers)."""
        zx = self.activation_quantiser.zero_point.double()
        zw = self.weight_quantiser.zero_point.double().expand(len(weights.sums))
        nothing = torch.zeros_like(zx)
        groups = convolution.groups
        weight_sums = weights.sums
        if self.skips_zeros and self.adds_zeros:
            # all channels of a group are valid in the same places: one stands for all
            valid = self.arrange(codes.new_ones((1, groups, *codes.shape[2:])), nothing)
            by_channel = self.arrange_weights(weights.codes).double()
            w = by_channel.reshape(*by_channel.shape[:3], -1, codes.shape[1] // groups).sum(dim=4).permute(0, 3, 1, 2)
            weight_sums = torch.conv2d(
                valid.permute(0, 3, 1, 2), w, None, convolution.stride, 0, convolution.dilation, groups
            ).permute(0, 2, 3, 1)
            if len(valid) > 1:  # several images of one input
                weight_sums = weight_sums.repeat(codes.shape[0], 1, 1, 1)
        correction = -zx * weight_sums
        if self.weight_quantiser.centred:
            return correction
        axis = self.channel_axis
        parts = [part.sum(dim=axis, dtype=torch.float64) for part in codes.chunk(groups, dim=axis)]
        centred = torch.stack(parts, dim=axis) - codes.shape[axis] // groups * zx  # an added lane adds Zx - Zx = 0
        sums = convolution.window_sums(self.arrange(centred, nothing))
        by_group = sums.reshape(*sums.shape[:3], groups, sums.shape[3] // groups).sum(dim=4)
        return correction - zw * by_group.repeat_interleave(len(weights.sums) // groups, dim=3)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the transformed weights out of copies and pickles."""
        return {**self.__dict__, "_cache": None}
