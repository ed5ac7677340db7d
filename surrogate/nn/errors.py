"""Errors of the torch adapter."""

from __future__ import annotations


class NotCalibratedError(RuntimeError):
    """A layer has not seen the range of its activations yet."""


class QuantisationError(ValueError):
    """A quantiser cannot work as configured, or on such values."""


class ConversionError(ValueError):
    """A model or layer cannot be converted as asked."""
