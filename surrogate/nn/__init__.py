"""Training with approximate multipliers in PyTorch."""

from surrogate.nn.config import ApproxConfig
from surrogate.nn.conv import ApproxConv2d
from surrogate.nn.convert import approximate_, approximate_layers, calibrate, mode, restore_
from surrogate.nn.errors import ConversionError, NotCalibratedError, QuantisationError
from surrogate.nn.layer import ApproxLayer
from surrogate.nn.linear import ApproxLinear
from surrogate.nn.quantise import Quantiser, QuantiserConfig

__all__ = [
    "ApproxConfig",
    "ApproxConv2d",
    "ApproxLayer",
    "ApproxLinear",
    "ConversionError",
    "NotCalibratedError",
    "QuantisationError",
    "Quantiser",
    "QuantiserConfig",
    "approximate_",
    "approximate_layers",
    "calibrate",
    "mode",
    "restore_",
]
