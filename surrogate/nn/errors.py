"""Errors of the torch adapter, and how they come to name the layer that they happen in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

_Method = TypeVar("_Method", bound=Callable[..., Any])


class NotCalibratedError(RuntimeError):
    """A layer has not seen the range of its activations yet."""


class QuantisationError(ValueError):
    """A quantiser cannot work as configured, or on such values."""


class ConversionError(ValueError):
    """A model or layer cannot be converted as asked."""


class OperandError(ConversionError):
    """An operand is none of the multiplier's."""


class NetworkError(ValueError):
    """There is no such reference network."""


def add_layer(error: Exception, layer: object, path: str) -> None:
    """Note on an error which layer it comes from; tracebacks show the note below the message."""
    kind = type(layer).__name__
    error.add_note(f"in layer {path!r}, of type {kind}" if path else f"in a layer of type {kind}")


def names_layer(forward: _Method) -> _Method:
    """Decorate the ``forward`` of a module with a ``path``: errors note the layer.

    A NaN is no index of any table. Looking for one beforehand would cost every call a pass over its input; so what
    fails because of a NaN says so afterwards.

    Raises
    ------
    QuantisationError
        If an index was out of range and an input holds NaN.
    """

    @wraps(forward)
    def named(self: Any, *inputs: Any, **options: Any) -> Any:
        if torch.compiler.is_compiling():
            return forward(self, *inputs, **options)  # errors of a graph come with the line of their layer's call
        try:
            return forward(self, *inputs, **options)
        except Exception as error:
            if isinstance(error, IndexError | OperandError) and any(map(_holds_nan, (*inputs, *options.values()))):
                found = QuantisationError("an input holds NaN; look for a layer that diverges, or for NaN in the data")
                add_layer(found, self, self.path)
                raise found from error
            add_layer(error, self, self.path)
            raise

    return cast(_Method, named)


def _holds_nan(value: Any) -> bool:
    return isinstance(value, Tensor) and bool(value.isnan().any())
