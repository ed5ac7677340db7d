"""What approximate layers share: drop-in subclasses of torch's own, with the same parameters and state-dict keys.

With activations ``x = Sx (xq - Zx)`` and weights ``w = Sw[c] (wq - Zw[c])``, a layer returns

    y[c] = Sx Sw[c] ( sum f(xq, wq) - Zx sum wq - Zw[c] sum xq + N Zx Zw[c] ) + bias[c]

with sums over the ``N`` lanes of a receptive field, and ``f`` the multiplier (``f(wq, xq)`` if the activation is its
operand ``b``). Sums are exact integers before they are rescaled, whatever the engine. The backward pass is straight
through, the gradient of the accurate layer at the dequantised operands, or what `surrogate.nn.gradients.choice` offers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, cast

import torch
from torch import Tensor

from surrogate.nn.compiled.choice import fastest, size_class
from surrogate.nn.compiled.layer import CompiledLayer, CompiledWeights, Placement, activation_grid
from surrogate.nn.compiled.table_layer import table_layer
from surrogate.nn.config import ApproxConfig
from surrogate.nn.engines.engine import Engine
from surrogate.nn.errors import names_layer
from surrogate.nn.geometry import Convolution
from surrogate.nn.gradients.product import QuantisedOperand, product_with_gradient
from surrogate.nn.layers.inputs import check_device, check_weight, refuse_transforms, widened
from surrogate.nn.layers.operation import ApproxOperation
from surrogate.nn.native import NativeProducts, NativeTable
from surrogate.nn.products.precision import no_autocast
from surrogate.nn.quantisation.quantiser import Quantiser


@dataclass(frozen=True)
class _Weights:
    """Quantised weights and all that follows from them alone."""

    source: Tensor
    scale: Tensor
    engine: Engine
    codes: Tensor  # integers, in the shape of the kernel
    prepared: Any
    sums: Tensor  # (out,), float64


class ApproxLayer(ApproxOperation):
    """What approximate layers share: quantisers, transformed weights and the rescaling of sums.

    Attributes
    ----------
    activation_quantiser, weight_quantiser : Quantiser
        Weights follow the current parameter; the range of activations is observed while training or calibrating.
    """

    weight: Tensor
    parts = (*ApproxOperation.parts, "activation_quantiser", "weight_quantiser", "_cache", "_compiled_cache")
    channel_axis = 1
    """Axis of the input's channels or features."""
    adds_zeros = False
    """Whether some lanes hold no input, but a zero."""
    skips_zeros = False
    """Whether such lanes are skipped; else they hold the quantised zero."""

    def __init__(self, *args: Any, config: ApproxConfig, **options: Any) -> None:
        super().__init__(*args, **options)
        self.attach(config)

    def attach(self, config: ApproxConfig) -> Self:
        """Give a torch layer, whose class has been changed to this one, its approximate parts."""
        check_weight(self.weight)
        super().attach(config)
        device = self.weight.device
        kernel = self.kernel(self.weight)
        channels = kernel.shape[0] if config.weight.granularity == "channel" else 1
        self.activation_quantiser = Quantiser(config.activation, config.activation_format)
        self.weight_quantiser = Quantiser(config.weight, config.weight_format, channels)
        for part in (self.activation_quantiser, self.weight_quantiser, self.engine, self.product_gradient):
            if part is not None:
                part.to(device)
        self.fingerprint = self.fingerprint.to(device)
        self.weight_quantiser.observe(kernel)
        self._cache: _Weights | None = None
        self._compiled_cache: tuple[Tensor, CompiledWeights] | None = None
        self.train(self.training)
        return self

    @property
    def activations(self) -> dict[str, Quantiser]:
        """The quantiser of the input."""
        return {"activation_quantiser": self.activation_quantiser}

    def reset(self) -> None:
        """Forget the observed range of activations; a learned scale of weights starts anew, from these as they are."""
        super().reset()
        self.weight_quantiser.reset()
        self.weight_quantiser.observe(self.kernel(self.weight))

    @abstractmethod
    def convolution(self) -> Convolution:
        """Geometry of the engine's sums."""

    @abstractmethod
    def arrange(self, x: Tensor, zero: Tensor) -> Tensor:
        """Lay activations out as the engine takes them, with ``zero`` in added lanes and of its datatype."""

    @abstractmethod
    def arrange_weights(self, w: Tensor) -> Tensor:
        """Lay weights, as `kernel` returns them, out as the engine takes them."""

    @abstractmethod
    def from_sums(self, y: Tensor, like: Tensor) -> Tensor:
        """Bring the engine's sums to the layer's output shape, for an input of the shape of ``like``."""

    @abstractmethod
    def differentiable(self, x_hat: Tensor, w_hat: Tensor, y: Tensor) -> Tensor:
        """Return ``y`` with the gradient of the accurate product of the dequantised input and `kernel`."""

    def kernel(self, weight: Tensor) -> Tensor:
        """Bring weights to shape ``(out_channels, in_channels / groups, ...)``."""
        return weight

    def expand(self, x: Tensor) -> Tensor:
        """Pad with values of the input itself (reflect, replicate, circular), where the layer is told to."""
        return x

    def accurate(self, x: Tensor) -> Tensor:
        """Compute the accurate float layer."""
        return cast(Tensor, super().forward(x))

    @abstractmethod
    def check_input(self, x: Tensor) -> None:
        """Raise unless ``x`` has the layer's features or channels."""

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
            y = self._step_by_step(wide)
        elif (ways := self.running.ways) is None:
            y = compiled()
        else:
            sizes = size_class(*wide.shape, *self.weight.shape)
            convolution = self.convolution()
            shape_class = ways, type(self), sizes, convolution.stride, convolution.groups, torch.is_grad_enabled()
            natives = {"table": self.running.native(), "dot": self.running.native_products()}
            candidates: dict[str, Callable[[], Tensor]]
            candidates = {name: partial(compiled, native) for name, native in natives.items() if native is not None}
            candidates["products"] = partial(self._step_by_step, wide)
            y = fastest(candidates, shape_class)
        return y.to(x.dtype)

    def _step_by_step(self, x: Tensor) -> Tensor:
        """Output by the engine's sums, for an expanded input."""
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
        native = self.running.native() or self.running.native_products()
        if native is None or self.weight.dtype == torch.float64 or not self._suits_compiled_code(x):
            return None
        place = self.placement(x)
        if place is None or not CompiledLayer.holds(native, self.kernel(self.weight)[0].numel()):
            return None
        grid = activation_grid(self.activation_quantiser, self.config.activation_format.minimum)
        weights, bias = self._compiled_weights(), cast(Tensor | None, self.bias)
        x = x.contiguous(memory_format=place.memory_format)

        def run(by: NativeTable | NativeProducts = native) -> Tensor:
            layer = CompiledLayer(by, place, grid, weights)
            return layer(x, self.weight.float(), None if bias is None else bias.float())

        return run

    def operator_sides(self) -> tuple[list[int], list[int], list[int]] | None:
        """Return padding, stride and dilation of two dimensions, for `table_layer`; None where it has none for them."""
        return None

    def _operator(self, x: Tensor) -> Callable[[], Tensor] | None:
        """Return what computes the output in a compiled graph by one operator; None as in `_compiled`."""
        if torch.compiler.is_exporting():
            return None
        table, sides = self.running.compiled_table(), self.operator_sides()
        activation, weight = self.activation_quantiser, self.weight_quantiser
        if table is None or sides is None or self.weight.dtype != torch.float32 or not self._suits_compiled_code(x):
            return None
        weight.observe(self.weight.detach())
        limits = (
            [quantiser.low, quantiser.high, operand.minimum]
            for quantiser, operand in (
                (activation, self.config.activation_format),
                (weight, self.config.weight_format),
            )
        )
        parts = (activation.scale, activation.zero_point, weight.scale, weight.zero_point, table, *limits, *sides)
        groups, bias = self.convolution().groups, cast(Tensor | None, self.bias)
        kernel, flat = self.weight, x.ndim == 3 and self.weight.ndim == 3  # one dimension: an image of height 1
        if flat:
            x, kernel = x[:, :, None], kernel[:, :, None]

        def run() -> Tensor:
            y: Tensor = table_layer(x, kernel, bias, *parts, groups)[0]
            return y[:, :, 0] if flat else y

        return run

    @torch.no_grad()
    def _compiled_weights(self) -> CompiledWeights:
        """Quantise the weights for compiled code, again if they changed."""
        weight, cached = self.weight.detach(), self._compiled_cache
        if cached is not None and cached[0].dtype == weight.dtype and torch.equal(cached[0], weight):
            return cached[1]
        self.weight_quantiser.observe(self.kernel(weight))
        groups, minimum = self.convolution().groups, self.config.weight_format.minimum
        found = CompiledWeights.of(weight.float(), self.weight_quantiser, minimum, groups)
        self._compiled_cache = weight.clone(), found
        return found

    def _differentiable(self, x: Tensor) -> Tensor:
        """Output without bias, with the gradient that is configured."""
        activation, weight = self.activation_quantiser, self.weight_quantiser
        x_hat, codes = activation(x)
        y = self._rescaled(codes)
        kernel = self.kernel(self.weight.to(x.dtype))
        w_hat, _ = weight(kernel)
        if self.derivative is None:
            return self.differentiable(x_hat, w_hat, y)
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

    def weight_indices(self, codes: Tensor) -> Tensor:
        """Index quantised weights as the engine takes them."""
        return self.arrange_weights(codes).to(torch.int64) - self.config.weight_format.minimum

    def indices(self, codes: Tensor, skip: bool | None = None) -> tuple[Tensor, Tensor]:
        """Index quantised activations, and what added lanes hold; ``skip`` overrides whether these are skipped."""
        fmt = self.config.activation_format
        shifted = codes - fmt.minimum if fmt.minimum else codes
        zero = self.activation_quantiser.zero_point - fmt.minimum
        skips = self.skips_zeros if skip is None else skip
        return shifted, torch.full_like(zero, fmt.size) if skips else zero

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
        """Leave the cache of transformed weights out of copies and pickles."""
        return {**self.__dict__, "_cache": None, "_compiled_cache": None}
