"""Modules whose buffers and parameters keep their datatype when a model is cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn


class FixedPrecision(nn.Module):
    """A module that follows ``.to(device)`` but not ``.half()`` and the like.

    Scales and factors decide which integers a layer computes with: a model cast to float16 or bfloat16 must not change
    them.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = dict(self._buffers)
        values = {name: own.data for name, own in self._parameters.items() if own is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's method is untyped
        for name, buffer in before.items():
            moved = self._buffers[name]
            if buffer is not None and moved is not None and moved.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(moved.device)
        for name, value in values.items():
            own = self._parameters[name]
            if own is not None and own.dtype != value.dtype:
                own.data = value.to(own.device)
        return self
