"""Approximate layers: what their mode says, in the fastest way that there is.

Compiled code does whole layers at once, bit for bit what `surrogate.nn.layers.stepwise` does step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self, cast

import torch
from torch import Tensor

from surrogate.nn.compiled.choice import fastest, size_class
from surrogate.nn.compiled.layer import CompiledLayer, CompiledWeights, Placement, activation_grid
from surrogate.nn.compiled.table_layer import table_layer
from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import names_layer
from surrogate.nn.layers.inputs import check_device, refuse_transforms, widened
from surrogate.nn.layers.stepwise import StepwiseLayer
from surrogate.nn.native import NativeProducts, NativeTable


class _Remembered:
    """Quantised weights and what they were made of; to set a module's own attributes takes ten times as long."""

    source: Tensor
    weights: CompiledWeights | None = None


class ApproxLayer(StepwiseLayer):
    """What approximate layers share."""

    parts = (*StepwiseLayer.parts, "_compiled_cache")

    def attach(self, config: ApproxConfig) -> Self:
        """See `ApproxOperation.attach`."""
        super().attach(config)
        self._compiled_cache = _Remembered()
        return self

    @names_layer
    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer as its mode says."""
        if self.mode == "float":
            return self.accurate(x)
        self.check_input(x)
        check_device(x.device, self.weight.device)
        refuse_transforms()
        if self.mode == "calibrate":
            self.activation_quantiser.observe(x, "extend")
            return self.accurate(x)
        if self.training:
            self.activation_quantiser.observe(x, "average")
        wide = self.expand(widened(x))
        compiled = self._compiled(wide)
        if compiled is None:
            y = self.step_by_step(wide)
        elif (ways := self.running.ways) is None:
            y = compiled()
        else:
            sizes = size_class(*wide.shape, *self.weight.shape)
            convolution = self.convolution()
            shape_class = ways, type(self), sizes, convolution.stride, convolution.groups, torch.is_grad_enabled()
            natives = {"table": self.running.native(), "dot": self.running.native_products()}
            candidates: dict[str, Callable[[], Tensor]]
            candidates = {name: partial(compiled, native) for name, native in natives.items() if native is not None}
            candidates["products"] = partial(self.step_by_step, wide)
            y = fastest(candidates, shape_class)
        return y.to(x.dtype)

    def placement(self, x: Tensor) -> Placement | None:
        """How compiled code sees an input, expanded already, and the output; None where it cannot."""
        return None

    def _suits_compiled_code(self, x: Tensor) -> bool:
        """Whether datatype, quantisers and padding are such as whole layers of compiled code take."""
        quantisers = self.activation_quantiser, self.weight_quantiser
        learned = any(quantiser.config.learned_step for quantiser in quantisers)
        skips = self.skips_zeros and self.adds_zeros
        return x.dtype == torch.float32 and not learned and not skips and self.activation_quantiser.calibrated

    def _compiled(self, x: Tensor) -> Callable[..., Tensor] | None:
        """Return what computes the output for an expanded input by compiled code, the given or else the first.

        None where there is none for this layer, machine, datatype or kind of gradient.
        """
        if self.derivative is not None:
            return None
        if torch.compiler.is_compiling():
            return self._operator(x)
        engine, weight = self.running, self.weight
        native = engine.native() or engine.native_products()
        if native is None or weight.dtype == torch.float64 or not self._suits_compiled_code(x):
            return None
        place = self.placement(x)
        if place is None or not CompiledLayer.holds(native, weight.numel() // len(weight)):
            return None
        grid = activation_grid(self.activation_quantiser, self.config.activation_format.minimum)
        weights, bias = self._compiled_weights(), cast(Tensor | None, self.bias)
        x = x.contiguous(memory_format=place.memory_format)

        def run(by: NativeTable | NativeProducts = native) -> Tensor:
            layer = CompiledLayer(by, place, grid, weights)
            return layer(x, weight.float(), None if bias is None else bias.float())

        return run

    def _operator(self, x: Tensor) -> Callable[[], Tensor] | None:
        """Return what computes the output in a compiled graph by one operator; None as in `_compiled`."""
        if torch.compiler.is_exporting():
            return None
        table, place = self.running.compiled_table(), self.placement(x)
        activation, weight = self.activation_quantiser, self.weight_quantiser
        if table is None or place is None or self.weight.dtype != torch.float32 or not self._suits_compiled_code(x):
            return None
        weight.observe(self.weight.detach())
        limits = (
            [quantiser.low, quantiser.high, operand.minimum]
            for quantiser, operand in (
                (activation, self.config.activation_format),
                (weight, self.config.weight_format),
            )
        )
        parts = (activation.scale, activation.zero_point, weight.scale, weight.zero_point, table, *limits, *place.sides)
        groups, bias = place.convolution.groups, cast(Tensor | None, self.bias)
        kernel, flat = self.weight, x.ndim == 3 and self.weight.ndim == 3  # one dimension: an image of height 1
        if flat:
            x, kernel = x[:, :, None], kernel[:, :, None]

        def run() -> Tensor:
            y: Tensor = table_layer(x, kernel, bias, *parts, groups)[0]
            return y[:, :, 0] if flat else y

        return run

    def _compiled_weights(self) -> CompiledWeights:
        """Quantise the weights for compiled code, again if they changed."""
        weight, held = self.weight.detach(), self._compiled_cache
        if held.weights is None or held.source.dtype != weight.dtype or not torch.equal(held.source, weight):
            quantiser = self.weight_quantiser
            quantiser.observe(self.kernel(weight))
            groups, minimum = self.convolution().groups, self.config.weight_format.minimum
            held.weights = CompiledWeights.of(weight.float(), quantiser, minimum, groups)
            held.source = weight.clone()
        return held.weights

    def __getstate__(self) -> dict[str, Any]:
        """Leave the quantised weights out of copies and pickles."""
        return {**super().__getstate__(), "_compiled_cache": _Remembered()}
