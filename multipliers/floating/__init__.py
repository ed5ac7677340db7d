"""Floating-point multipliers: formats of exponent and mantissa, and any integer multiplier as the core.

A design multiplies significands by an ordinary `multipliers.Multiplier` of unsigned integers; `FloatMultiplier` adds
sign and exponent. Characterisation, netlists and surrogates therefore apply to the core (``multiplier.significand``) as
to any other multiplier.
"""

from multipliers.floating.formats import FloatFormat
from multipliers.floating.metrics import FloatMetrics, float_metrics
from multipliers.floating.multiplier import FloatMultiplier, get

__all__ = ["FloatFormat", "FloatMetrics", "FloatMultiplier", "float_metrics", "get"]
