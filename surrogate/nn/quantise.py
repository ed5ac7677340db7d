"""Quantisers: from float tensors to the integer operands of a multiplier, and back, with straight-through gradients.

``q = clamp(round(x / S) + Z, low, high)`` and ``x_hat = S (q - Z)``; rounding is half to even. The gradient of
``x_hat`` with respect to ``x`` is 1 where ``q`` was not clamped and 0 elsewhere (Bengio, Leonard, Courville, arXiv
1308.3432).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from multipliers.operands import OperandFormat
from surrogate.nn.errors import NotCalibratedError, QuantisationError
from surrogate.nn.fixed_precision import FixedPrecision

SCHEMES = ("auto", "symmetric", "affine")
GRANULARITIES = ("tensor", "channel")


@dataclass(frozen=True)
class QuantiserConfig:
    """How one operand of a layer is quantised.

    Parameters
    ----------
    operand : OperandFormat or str, optional
        Integers to quantise to, such as ``"8s"``; by default the multiplier's own operand. A narrower format that the
        multiplier's operand contains is allowed (4-bit weights in an 8-bit multiplier).
    scheme : {"auto", "symmetric", "affine"}
        ``"symmetric"`` fixes the zero point (0; for unsigned operands 0 if no value is negative, else the middle of
        the range), ``"affine"`` fits it to the range. ``"auto"`` is symmetric for signed operands, affine for unsigned.
    granularity : {"tensor", "channel"}
        One scale for the tensor, or one per output channel (weights only).
    momentum : float
        Weight of the newest batch in the moving average of the range while training, in (0, 1] (activations only).

    Raises
    ------
    QuantisationError
        If a value is not one of the above.
    """

    operand: OperandFormat | str | None = None
    scheme: str = "auto"
    granularity: str = "tensor"
    momentum: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.operand, str):
            object.__setattr__(self, "operand", OperandFormat.parse(self.operand))
        if self.scheme not in SCHEMES:
            raise QuantisationError(f"scheme must be one of {SCHEMES}, got {self.scheme!r}")
        if self.granularity not in GRANULARITIES:
            raise QuantisationError(f"granularity must be one of {GRANULARITIES}, got {self.granularity!r}")
        if isinstance(self.momentum, bool) or not 0 < self.momentum <= 1:
            raise QuantisationError(f"momentum must be in (0, 1], got {self.momentum!r}")


class Quantiser(FixedPrecision):
    """Maps float tensors to the integers of an operand; its range, scale and zero point are buffers.

    Parameters
    ----------
    config : QuantiserConfig
        How to quantise.
    operand : OperandFormat
        The multiplier's operand; ``config.operand`` must lie within it.
    channels : int
        1, or the number of output channels of a weight that is quantised per channel (along its first axis).

    Attributes
    ----------
    scale : Tensor
        ``S > 0``, shape ``(channels,)``, float32.
    zero_point : Tensor
        ``Z``, shape ``(channels,)``, int32; an integer of the operand.
    low, high : int
        Range of the integers.

    Raises
    ------
    QuantisationError
        If the configured integers do not fit the multiplier's operand.
    """

    minimum: Tensor
    maximum: Tensor
    scale: Tensor
    zero_point: Tensor
    observed: Tensor

    def __init__(self, config: QuantiserConfig, operand: OperandFormat, channels: int = 1) -> None:
        super().__init__()
        target = operand if config.operand is None else cast(OperandFormat, config.operand)
        if target.minimum < operand.minimum or target.maximum > operand.maximum:
            raise QuantisationError(
                f"{target} integers [{target.minimum}, {target.maximum}] do not fit the multiplier's {operand} operand "
                f"[{operand.minimum}, {operand.maximum}]; quantise to {operand}, or take a multiplier of wider operands"
            )
        self.config = config
        self.operand = target
        self.low, self.high = target.minimum, target.maximum
        self.symmetric = config.scheme == "symmetric" or (config.scheme == "auto" and target.signed)
        self.register_buffer("minimum", torch.zeros(channels))
        self.register_buffer("maximum", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("zero_point", torch.zeros(channels, dtype=torch.int32))
        self.register_buffer("observed", torch.zeros((), dtype=torch.bool))

    @property
    def centred(self) -> bool:
        """Whether the zero point is 0 whatever the range."""
        return self.symmetric and self.operand.signed

    @property
    def calibrated(self) -> bool:
        """Whether a range has been observed."""
        return bool(self.observed)

    def reset(self) -> None:
        """Forget the observed range."""
        self.observed.fill_(False)

    @torch.no_grad()
    def observe(self, x: Tensor, how: str = "replace") -> None:
        """Take note of the range of ``x`` and set scale and zero point.

        Parameters
        ----------
        x : Tensor
            Values; per channel along the first axis.
        how : {"replace", "extend", "average"}
            Forget earlier ranges, extend them (calibration), or move towards the new one by ``momentum`` (training).
            The first observation always replaces.

        Raises
        ------
        QuantisationError
            If ``x`` is empty or holds a value that is not finite.
        """
        if x.numel() == 0:
            raise QuantisationError("cannot observe the range of an empty tensor")
        flat = x.detach().reshape(self.scale.numel(), -1).float()
        low, high = torch.aminmax(flat, dim=1)
        if not bool(torch.isfinite(low).all() & torch.isfinite(high).all()):
            raise QuantisationError("cannot quantise: the tensor holds NaN or infinity; look for a diverging layer")
        if how != "replace" and self.calibrated:
            if how == "extend":
                low, high = torch.minimum(low, self.minimum), torch.maximum(high, self.maximum)
            else:
                low, high = self.minimum.lerp(low, self.config.momentum), self.maximum.lerp(high, self.config.momentum)
        self.minimum.copy_(low)
        self.maximum.copy_(high)
        self.observed.fill_(True)
        self._set_scale(torch.clamp(low, max=0.0), torch.clamp(high, min=0.0))

    def _set_scale(self, low: Tensor, high: Tensor) -> None:
        """Set scale and zero point for ranges that contain 0."""
        if self.symmetric:
            largest = torch.maximum(-low, high)
            if self.operand.signed:
                zero_point = torch.zeros_like(largest)
                steps = torch.full_like(largest, max(self.high, 1))
            else:
                middle = (self.high + 1) // 2
                zero_point = torch.where(low < 0, float(middle), 0.0)
                steps = torch.where(low < 0, float(max(self.high - middle, 1)), float(self.high))
            scale = largest / steps
        else:
            scale = (high - low) / (self.high - self.low)
            zero_point = torch.zeros_like(scale)
        tiny = torch.finfo(torch.float32).tiny
        scale = torch.where(scale > tiny, scale, 1.0)  # an all-zero range: any scale represents it
        if not self.symmetric:
            zero_point = torch.clamp(torch.round(self.low - low / scale), self.low, self.high)
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point.to(torch.int32))

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
        x_hat, q = _StraightThrough.apply(x, scale, zero_point, self.low, self.high)  # type: ignore[no-untyped-call]
        return x_hat, q

    @torch.no_grad()
    def integers(self, x: Tensor) -> Tensor:
        """Return only the integers ``q`` of `forward`, without a gradient."""
        scale, zero_point = self._parameters_for(x)
        return _rounded(x, scale, zero_point).clamp_(self.low, self.high)

    def _parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and zero point in the datatype of ``x``, shaped to broadcast along its first axis."""
        if not self.calibrated:
            raise NotCalibratedError(
                "the layer has not seen the range of its activations; pass representative batches to "
                "surrogate.nn.calibrate(model, batches), or train first"
            )
        shape = (-1,) + (1,) * (x.ndim - 1) if self.scale.numel() > 1 else ()
        return self.scale.to(x.dtype).reshape(shape), self.zero_point.to(x.dtype).reshape(shape)

    def extra_repr(self) -> str:
        """Summarise for ``print(model)``."""
        scheme = "symmetric" if self.symmetric else "affine"
        return f"{self.operand}, {scheme}, per {self.config.granularity}"


def _rounded(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    return torch.div(x, scale).round_().add_(zero_point)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> tuple[Tensor, Tensor]:
        rounded = _rounded(x, scale, zero_point)
        q = rounded.clamp(low, high)
        ctx.save_for_backward(rounded == q)
        ctx.mark_non_differentiable(q)
        return torch.sub(q, zero_point).mul_(scale), q

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None, None
