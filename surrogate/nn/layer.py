"""What approximate layers share: drop-in subclasses of torch's own, with the same parameters and state-dict keys.

With activations ``x = Sx (xq - Zx)`` and weights ``w = Sw[c] (wq - Zw[c])``, a layer returns

    y[c] = Sx Sw[c] ( sum f(xq, wq) - Zx sum wq - Zw[c] sum xq + N Zx Zw[c] ) + bias[c]

with sums over the ``N`` lanes of a receptive field, and ``f`` the multiplier (``f(wq, xq)`` if the activation is its
operand ``b``). Sums are exact integers before they are rescaled, whatever the engine. The backward pass is straight
through: the gradient of the accurate layer at the dequantised operands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import ConversionError
from surrogate.nn.functional import straight_through_product
from surrogate.nn.geometry import POINTWISE, Convolution
from surrogate.nn.quantise import Quantiser

MODES = ("approximate", "calibrate", "float")


@dataclass(frozen=True)
class _Weights:
    """Quantised weights and all that follows from them alone."""

    source: Tensor
    indices: Tensor  # (out, height, width, in / groups)
    prepared: Any
    sums: Tensor  # (out,), float64


class ApproxLayer(nn.Module, ABC):
    """What approximate layers share: quantisers, engine, modes and the rescaling of sums.

    Attributes
    ----------
    config : ApproxConfig
        As given, backend settled.
    activation_quantiser, weight_quantiser : Quantiser
        Weights follow the current parameter; the range of activations is observed while training or calibrating.
    mode : {"approximate", "calibrate", "float"}
        ``"calibrate"`` observes ranges and computes like ``"float"``: accurately, without quantisation.
    """

    config: ApproxConfig
    weight: Tensor
    fingerprint: Tensor

    def attach(self, config: ApproxConfig) -> Self:
        """Give a torch layer, whose class has been changed to this one, its approximate parts."""
        self.config = config.resolved()
        device = self.weight.device
        channels = self.weight.shape[0] if config.weight.granularity == "channel" else 1
        self.activation_quantiser = Quantiser(config.activation, config.activation_format)
        self.weight_quantiser = Quantiser(config.weight, config.weight_format, channels)
        self.engine = self.config.engine()
        digest = bytes.fromhex(self.config.reference.fingerprint)
        self.register_buffer("fingerprint", torch.tensor(list(digest), dtype=torch.uint8))
        for part in (self.activation_quantiser, self.weight_quantiser, self.engine):
            part.to(device)
        self.fingerprint = self.fingerprint.to(device)
        self.weight_quantiser.observe(self.weight)
        self.mode = "approximate"
        self._cache: _Weights | None = None
        self.train(self.training)
        return self

    def detach_(self) -> Self:
        """Remove the approximate parts; the inverse of `attach`."""
        for name in ("activation_quantiser", "weight_quantiser", "engine", "fingerprint", "config", "mode", "_cache"):
            delattr(self, name)
        return self

    @property
    def exact(self) -> bool:
        """Whether sums equal those of the multiplier as integers."""
        return self.engine.exact

    @property
    def calibrated(self) -> bool:
        """Whether a range of activations has been observed."""
        return self.activation_quantiser.calibrated

    @abstractmethod
    def convolution(self) -> Convolution:
        """Geometry of the sums."""

    @abstractmethod
    def accurate(self, x: Tensor) -> Tensor:
        """Compute the accurate float layer."""

    @abstractmethod
    def to_lanes(self, x: Tensor) -> Tensor:
        """Bring activations to ``(batch, height, width, channels)``, unpadded."""

    @abstractmethod
    def from_sums(self, y: Tensor, like: Tensor) -> Tensor:
        """Bring ``(batch, height, width, channels)`` to the layer's output shape."""

    def padding_width(self) -> tuple[int, int, int, int]:
        """Lanes of zeros to add left, right, above and below."""
        return (0, 0, 0, 0)

    def expand(self, x: Tensor) -> Tensor:
        """Pad with values of the input itself (reflect, replicate, circular), where the layer is told to."""
        return x

    @abstractmethod
    def check_input(self, x: Tensor) -> None:
        """Raise unless ``x`` has the layer's features or channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer as its mode says."""
        if self.mode == "float":
            return self.accurate(x)
        self.check_input(x)
        if self.mode == "calibrate":
            self.activation_quantiser.observe(x, "extend")
            return self.accurate(x)
        if self.training:
            self.activation_quantiser.observe(x, "average")
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        with torch.autocast(x.device.type, enabled=False):
            if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
                y = self._differentiable(self.expand(wide))
            else:
                y = self._rescaled(self.activation_quantiser.integers(self.expand(wide)))
            bias = cast(Tensor | None, self.bias)
            if bias is not None:
                y = y + (bias if self.convolution() is POINTWISE else bias[:, None, None]).to(y.dtype)
        return y.to(x.dtype)

    def _differentiable(self, x: Tensor) -> Tensor:
        """Output without bias, with straight-through gradients."""
        x_hat, codes = self.activation_quantiser(x)
        y = self._rescaled(codes)
        w_hat, _ = self.weight_quantiser(self.weight.to(x.dtype))
        convolution = self.convolution()
        if convolution is POINTWISE:
            return straight_through_product(x_hat, w_hat, y, None)
        return straight_through_product(nn.functional.pad(x_hat, self.padding_width()), w_hat, y, convolution)

    @torch.no_grad()
    def accumulate(self, x: Tensor) -> Tensor:
        """Return the integer sums ``sum f(xq, wq)`` before rescaling, int64, in the layer's output shape.

        Raises
        ------
        ConversionError
            If the layer runs a surrogate of float factors, whose sums are not integers.
        """
        if not getattr(self.engine, "integer", True):
            raise ConversionError("this layer runs a surrogate of float factors; its sums are not integers")
        self.check_input(x)
        codes = self.activation_quantiser.integers(self.expand(x))
        sums = self.engine.sums(self._indices(codes), self._weights().prepared, self.convolution())
        return self.from_sums(sums.to(torch.int64), codes)

    @torch.no_grad()
    def _weights(self) -> _Weights:
        """Quantise and transform the weights, again if they changed.

        The comparison reads the weights once; a version counter would miss changes made through ``.data``.
        """
        cached = self._cache
        weight = self.weight.detach()
        if (
            cached is not None
            and cached.source.device == weight.device
            and cached.source.dtype == weight.dtype
            and torch.equal(cached.source, weight)
        ):
            return cached
        self.weight_quantiser.observe(weight)
        codes = self.weight_quantiser.integers(weight.float() if weight.dtype != torch.float64 else weight)
        if codes.ndim == 2:
            codes = codes[:, :, None, None]
        lanes = codes.permute(0, 2, 3, 1).contiguous()
        indices = lanes.to(torch.int64) - self.config.weight_format.minimum
        prepared = self.engine.prepare(indices, self.convolution().groups)
        sums = lanes.double().flatten(1).sum(dim=1)
        self._cache = _Weights(weight.clone(), indices, prepared, sums)
        return self._cache

    def _indices(self, codes: Tensor) -> Tensor:
        """Index activations in channels-last layout, padded with the quantised zero or with skipped lanes."""
        fmt = self.config.activation_format
        shifted = codes - fmt.minimum if fmt.minimum else codes
        lanes = self.to_lanes(shifted).to(torch.int32, memory_format=torch.contiguous_format)
        if any(self.padding_width()):
            skipped = torch.full_like(self.activation_quantiser.zero_point, fmt.size)
            zero = skipped if self.config.skip_padding else self.activation_quantiser.zero_point - fmt.minimum
            lanes = pad_lanes(lanes, self.padding_width(), zero)
        return lanes

    @torch.no_grad()
    def _rescaled(self, codes: Tensor) -> Tensor:
        """Sum products and apply scales and zero points: the layer's output without bias."""
        weights, convolution = self._weights(), self.convolution()
        sums = self.engine.sums(self._indices(codes), weights.prepared, convolution)
        activation, weight = self.activation_quantiser, self.weight_quantiser
        if not (activation.centred and weight.centred):
            sums = sums.double() + self._corrections(codes, weights, convolution)
        # every engine's sums are the same integers, rounded once to the output's datatype
        y = self.from_sums(sums, codes).to(codes.dtype)
        scale = activation.scale.to(codes.dtype) * weight.scale.to(codes.dtype)
        return y.mul_(scale if convolution is POINTWISE else scale[:, None, None])

    def _corrections(self, codes: Tensor, weights: _Weights, convolution: Convolution) -> Tensor:
        """``-Zx sum wq - Zw sum xq + N Zx Zw`` over the lanes that are not skipped, float64 (exact: whole numbers)."""
        zx = self.activation_quantiser.zero_point.double()
        zw = self.weight_quantiser.zero_point.double().expand(len(weights.sums))
        lanes, nothing = self.to_lanes(codes), torch.zeros_like(zx)
        groups = convolution.groups
        weight_sums = weights.sums
        if self.config.skip_padding and any(self.padding_width()):
            valid = pad_lanes(torch.ones_like(lanes[:1], dtype=torch.float64), self.padding_width(), nothing)
            w = (weights.indices + self.config.weight_format.minimum).double().permute(0, 3, 1, 2)
            weight_sums = torch.conv2d(
                valid.permute(0, 3, 1, 2), w, None, convolution.stride, 0, convolution.dilation, groups
            ).permute(0, 2, 3, 1)
        correction = -zx * weight_sums
        if self.weight_quantiser.centred:
            return correction
        by_group = torch.stack([part.sum(dim=3, dtype=torch.float64) for part in lanes.chunk(groups, dim=3)], dim=3)
        centred = by_group - lanes.shape[3] // groups * zx  # a padded lane adds Zx - Zx = 0
        patches = convolution.patches(pad_lanes(centred, self.padding_width(), nothing))
        activation_sums = patches.sum(dim=(3, 4)).repeat_interleave(len(weights.sums) // groups, dim=3)
        return correction - zw * activation_sums

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cache of transformed weights out of copies and pickles."""
        return {**self.__dict__, "_cache": None}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        saved = state_dict.get(prefix + "fingerprint")
        if saved is not None and not torch.equal(saved.cpu(), self.fingerprint.cpu()):
            raise ConversionError(
                f"the state of {prefix[:-1]!r} was saved for another multiplier than {self.config.name!r}; convert the "
                f"model with the multiplier that it was saved with before loading"
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        """Summarise for ``print(model)``."""
        kind = "exact" if self.exact else "approximate"
        backend = self.config.backend if self.config.backend == "table" else f"{kind} surrogate"
        state = "" if self.calibrated else ", not calibrated"
        return f"{super().extra_repr()}, multiplier={self.config.name}, by {backend}{state}"


def pad_lanes(lanes: Tensor, width: Sequence[int], value: Tensor) -> Tensor:
    """Pad height and width of a channels-last tensor with one value."""
    left, right, above, below = width
    n, h, w, c = lanes.shape
    padded = lanes.new_empty((n, h + above + below, w + left + right, c))
    for border in (padded[:, :above], padded[:, above + h :], padded[:, :, :left], padded[:, :, left + w :]):
        border.copy_(value.expand_as(border))
    padded[:, above : above + h, left : left + w] = lanes
    return padded
