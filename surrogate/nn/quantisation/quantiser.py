"""Quantisers: from float tensors to the integer operands of a multiplier, and back.

``q = clamp(round(x / S) + Z, low, high)`` and ``x_hat = S (q - Z)``, with the gradient of
`surrogate.nn.quantisation.straight_through`. `surrogate.nn.quantisation.observers` tells how ranges are chosen,
`surrogate.nn.quantisation.learned_step` how ``S`` can be learned.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from multipliers.operands import OperandFormat
from surrogate.nn.errors import NotCalibratedError, QuantisationError
from surrogate.nn.fixed_precision import FixedPrecision
from surrogate.nn.native.library import load_library
from surrogate.nn.native.observed import observe_range
from surrogate.nn.quantisation.config import QuantiserConfig
from surrogate.nn.quantisation.learned_step import learned_step_quantised, positive_steps, with_scaled_gradient
from surrogate.nn.quantisation.observers import (
    AffineGrid,
    Histogram,
    clipped_range,
    not_finite,
    observed_range,
)
from surrogate.nn.quantisation.straight_through import rounded, straight_through_quantised

MAX_BITS = 24
"""Widest integers to quantise to: float32, in which they are computed, holds no wider ones exactly."""


class Quantiser(FixedPrecision):
    """Maps float tensors to the integers of an operand; its range, scale and zero point are buffers.

    Parameters
    ----------
    config : QuantiserConfig
        How to quantise.
    operand : OperandFormat
        The multiplier's operand; ``config.operand`` must lie within it.
    channels : int, optional
        Of a weight: 1, or its output channels if it is quantised per channel (along its first axis). None for
        activations, whose first axis counts samples.

    Attributes
    ----------
    scale : Tensor
        ``S > 0``, shape ``(channels,)``, float32; a parameter if it is learned, else a buffer.
    zero_point : Tensor
        ``Z``, shape ``(channels,)``, int32; an integer of the operand.
    low, high : int
        Range of the integers.

    Raises
    ------
    QuantisationError
        If the configured integers do not fit the multiplier's operand, or have more than 24 bits.
    """

    settings: Tensor
    minimum: Tensor
    maximum: Tensor
    scale: Tensor
    zero_point: Tensor
    observed: Tensor

    def __init__(self, config: QuantiserConfig, operand: OperandFormat, channels: int | None = None) -> None:
        super().__init__()
        target = operand if config.operand is None else cast(OperandFormat, config.operand)
        if target.minimum < operand.minimum or target.maximum > operand.maximum:
            raise QuantisationError(
                f"{target} integers [{target.minimum}, {target.maximum}] do not fit the multiplier's {operand} operand "
                f"[{operand.minimum}, {operand.maximum}]; quantise to {operand}, or take a multiplier of wider operands"
            )
        if target.bits > MAX_BITS:
            raise QuantisationError(
                f"{target} integers are not exact in float32; quantise to at most {MAX_BITS} bits, such as "
                f"QuantiserConfig('16{target.label[-1]}')"
            )
        self.config = config
        self.operand = target
        self.low, self.high = target.minimum, target.maximum
        self.symmetric = config.scheme == "symmetric" or (config.scheme == "auto" and target.signed)
        self.grid = AffineGrid(target, self.symmetric)
        self.batched = channels is None
        size = channels or 1
        self.register_buffer("settings", torch.tensor(self._settings(), dtype=torch.int32))
        self.register_buffer("minimum", torch.zeros(size))
        self.register_buffer("maximum", torch.zeros(size))
        if config.learned_step:
            self.scale = nn.Parameter(torch.ones(size))
        else:
            self.register_buffer("scale", torch.ones(size))
        self.register_buffer("zero_point", torch.zeros(size, dtype=torch.int32))
        self.register_buffer("observed", torch.zeros((), dtype=torch.bool))
        self._calibrated = False  # `observed`, where it is known
        self._histogram: Histogram | None = None  # of the calibration under way

    @property
    def centred(self) -> bool:
        """Whether the zero point is 0 whatever the range."""
        return self.symmetric and self.operand.signed

    @property
    def calibrated(self) -> bool:
        """Whether a range has been observed.

        The buffer says so; since a compiled graph cannot branch on it, the answer is remembered.
        """
        if not self._calibrated and not torch.compiler.is_compiling() and not self.observed.is_meta:
            self._calibrated = bool(self.observed)  # loaded, or received from another process
        return self._calibrated

    def reset(self) -> None:
        """Forget the observed range."""
        self.observed.fill_(False)
        self._calibrated = False
        self._histogram = None

    def observe(self, x: Tensor, how: str = "replace") -> None:
        """Take note of the range of ``x`` and set scale and zero point.

        A learned scale is set by the first observation and by calibration only.

        Parameters
        ----------
        x : Tensor
            Values; per channel along the first axis.
        how : {"replace", "extend", "average"}
            Forget earlier ranges, extend them (calibration; observers other than ``"minmax"`` treat all values since
            `reset` in their own way), or move towards the new one by ``momentum`` (training). The first observation
            always replaces. An empty tensor leaves all as it is.

        Raises
        ------
        QuantisationError
            If ``x`` holds a value that is not finite.
        """
        if x.numel() == 0:
            return
        if self._observes_natively(x):
            self._observe_natively(x, how)
        else:
            self._observe_by_torch(x, how)

    @torch.no_grad()
    def _observe_by_torch(self, x: Tensor, how: str) -> None:
        low, high = self._range(x.detach().reshape(self.scale.numel(), -1).float(), how)
        if self.config.learned_step and how != "extend" and self.calibrated:
            return
        if how != "replace":
            if how == "average" or self.config.observer == "moving_average":
                later = tuple(
                    before + (now - before) * self.config.momentum
                    for before, now in ((self.minimum, low), (self.maximum, high))
                )
            elif self.config.observer == "minmax":
                later = torch.minimum(low, self.minimum), torch.maximum(high, self.maximum)
            else:
                later = low, high  # the histogram holds the earlier values, too
            low, high = torch.where(self.observed, later[0], low), torch.where(self.observed, later[1], high)
        self.minimum.copy_(low)
        self.maximum.copy_(high)
        self._mark_observed()
        scale, zero_point = self.grid(torch.clamp(low, max=0.0), torch.clamp(high, min=0.0))
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point.to(torch.int32))

    def _mark_observed(self) -> None:
        if torch.compiler.is_compiling() or not self._calibrated:  # the commonest case takes no time
            self.observed.fill_(True)
            self._calibrated = True

    def _observes_natively(self, x: Tensor) -> bool:
        """Whether compiled code can find and remember the range."""
        config = self.config
        plain = config.observer in ("minmax", "moving_average") and not config.learned_step
        on_cpu = plain and not torch.compiler.is_compiling() and x.is_cpu and self.scale.is_cpu
        return on_cpu and load_library() is not None

    def _observe_natively(self, x: Tensor, how: str) -> None:
        averages = how == "average" or self.config.observer == "moving_average"
        buffers = cast(dict[str, Tensor], self._buffers)  # as attributes they would take half of the time
        state = buffers["minimum"], buffers["maximum"], buffers["scale"], buffers["zero_point"]
        first = how == "replace" or not self.calibrated
        momentum = self.config.momentum if averages else None
        if not observe_range(x.detach().float().contiguous(), self.grid, state, first=first, momentum=momentum):
            raise not_finite(self._subject)
        self._mark_observed()

    @property
    def _subject(self) -> str:
        """What holds the values, for errors."""
        return "activations hold" if self.batched else "weight holds"

    def _range(self, flat: Tensor, how: str) -> tuple[Tensor, Tensor]:
        """Range of ``(channels, n)`` values; in calibration, of observers that clip, of all values since `reset`."""
        config = self.config
        low, high = observed_range(
            flat, self._subject, config.observer, config.percentile, self.operand.label, self.symmetric
        )
        if how != "extend" or config.observer not in ("percentile", "mse"):
            return low, high
        self._histogram = self._histogram or Histogram(len(flat), flat.device)
        self._histogram.add(flat)
        return clipped_range(self._histogram.samples(), config.observer, config.percentile, self.grid)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Quantise.

        Returns
        -------
        x_hat : Tensor
            ``S (q - Z)``, differentiable straight through.
        q : Tensor
            Integers as a float tensor of the same shape and dtype, not differentiable.

        Raises
        ------
        NotCalibratedError
            If no range has been observed.
        """
        scale, zero_point = self._parameters_for(x)
        if self.config.learned_step:
            return learned_step_quantised(x, scale, zero_point, self.low, self.high, self._n_values(x))
        return straight_through_quantised(x, scale, zero_point, self.low, self.high)

    def step(self, x: Tensor) -> Tensor | None:
        """Return the scale if it is learned, with its gradient scaled as for ``x``; None if not."""
        if not self.config.learned_step:
            return None
        return with_scaled_gradient(self.scale, self.zero_point.float(), self.high, self._n_values(x))

    def _n_values(self, x: Tensor) -> int:
        """How many values of ``x`` share a step: those of a sample, or of a channel of weights."""
        return x.numel() // (max(1, len(x)) if self.batched else self.scale.numel())

    @torch.no_grad()
    def integers(self, x: Tensor) -> Tensor:
        """Return only the integers ``q`` of `forward`, without a gradient."""
        scale, zero_point = self._parameters_for(x)
        if self.config.learned_step and not torch.compiler.is_exporting():
            scale = positive_steps(scale)
        return rounded(x, scale, zero_point).clamp_(self.low, self.high)

    def _parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and zero point in the datatype of ``x``, shaped to broadcast along its first axis."""
        if not self.calibrated:
            raise NotCalibratedError(
                "the layer has not seen the range of its activations; pass representative batches to "
                "surrogate.nn.calibrate(model, batches), or train first"
            )
        shape = (-1,) + (1,) * (x.ndim - 1) if self.scale.numel() > 1 else ()
        return self.scale.to(x.dtype).reshape(shape), self.zero_point.to(x.dtype).reshape(shape)

    def _settings(self) -> list[int]:
        """Return what scales and zero points mean nothing without: the integers, and whether they are symmetric."""
        return [self.low, self.high, int(self.symmetric)]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        settings, scale = state_dict.get(prefix + "settings"), state_dict.get(prefix + "scale")
        differs = None
        if settings is not None and settings.tolist() != self._settings():
            low, high, symmetric = settings.tolist()
            differs = f"to integers [{low}, {high}], {_scheme(symmetric)}"
        elif scale is not None and scale.numel() != self.scale.numel() and 1 in (scale.numel(), self.scale.numel()):
            differs = f"per {'tensor' if scale.numel() == 1 else 'channel'}"
        if differs:
            raise QuantisationError(
                f"the state of {prefix[:-1]!r} was saved by a quantiser {differs}, and this one is "
                f"({self.extra_repr()}); convert the model with the QuantiserConfig of the saved one before loading"
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._calibrated = not self.observed.is_meta and bool(self.observed)

    def extra_repr(self) -> str:
        """Summarise for ``print(model)``."""
        scheme = _scheme(self.symmetric)
        learned = ", learned step" if self.config.learned_step else ""
        return f"{self.operand}, {scheme}, per {self.config.granularity}, {self.config.observer}{learned}"


def _scheme(symmetric: bool) -> str:
    return "symmetric" if symmetric else "affine"
