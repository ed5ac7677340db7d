"""How the operands of a layer are quantised: integers, scheme, granularity, observer and step."""

from __future__ import annotations

from dataclasses import dataclass

from multipliers.operands import OperandFormat
from surrogate.nn.errors import QuantisationError
from surrogate.nn.quantisation.observers import OBSERVERS

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
    observer : {"minmax", "moving_average", "percentile", "mse"}
        How the range is chosen; see `surrogate.nn.quantisation.observers`. The search of ``"mse"`` is repeated whenever
        a weight changes: it is for calibration of trained networks rather than for training.
    percentile : float
        Share of the values within the range of observer ``"percentile"``, in per cent, in (50, 100].
    learned_step : bool
        Make the scale a parameter that training learns, from where calibration sets it; see
        `surrogate.nn.quantisation.learned_step`.

    Raises
    ------
    QuantisationError
        If a value is not one of the above.

    Examples
    --------
    >>> QuantiserConfig("4s", observer="mse").operand
    OperandFormat(bits=4, signed=True)
    """

    operand: OperandFormat | str | None = None
    scheme: str = "auto"
    granularity: str = "tensor"
    momentum: float = 0.1
    observer: str = "minmax"
    percentile: float = 99.99
    learned_step: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.operand, str):
            object.__setattr__(self, "operand", OperandFormat.parse(self.operand))
        if self.operand is not None and not isinstance(self.operand, OperandFormat):
            raise QuantisationError(f"operand must be an OperandFormat or a label such as '8s', got {self.operand!r}")
        for name, choices in (
            ("scheme", SCHEMES),
            ("granularity", GRANULARITIES),
            ("observer", OBSERVERS),
            ("learned_step", (False, True)),
        ):
            if getattr(self, name) not in choices:
                raise QuantisationError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        if not _is_number(self.momentum) or not 0 < self.momentum <= 1:
            raise QuantisationError(f"momentum must be in (0, 1], got {self.momentum!r}")
        if not _is_number(self.percentile) or not 50 < self.percentile <= 100:
            raise QuantisationError(f"percentile must be in (50, 100], in per cent, got {self.percentile!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
