"""Engines: exact integer sums ``sum_k f(x_k, w_k)`` of a layer, by whichever way suits the device.

Every engine takes operands as *indices* (value minus the operand's smallest value) in channels-last layout and returns
sums of the same value; they differ in speed and in what they need. Convolutions copy their patches in blocks of images
and run as plain matrix products: the one form that is exact on every device (convolution libraries may choose
transforms that round).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from surrogate.errors import ExactnessError
from surrogate.nn.errors import ConversionError
from surrogate.nn.fixed_precision import FixedPrecision
from surrogate.nn.geometry import Convolution

if TYPE_CHECKING:
    from surrogate.nn.native import NativeProducts, NativeTable


class Engine(FixedPrecision, ABC):
    """Sums of products of one multiplier; operands are indices, ``x`` the activation and ``w`` the weight."""

    by_place: ClassVar[bool] = False
    """Whether products depend on the place of a weight, so that kernels must come whole."""

    @abstractmethod
    def prepare(self, w: Tensor, groups: int) -> Any:
        """Transform weights once for many calls.

        Parameters
        ----------
        w : Tensor
            Weight indices, shape ``(out_channels, kernel_height, kernel_width, in_channels / groups)``, int64.
        groups : int
            Groups of the convolution.
        """

    @abstractmethod
    def sums(self, x: Tensor, prepared: Any, convolution: Convolution) -> Tensor:
        """Sum products over the receptive field.

        Parameters
        ----------
        x : Tensor
            Activation indices, already padded, shape ``(batch, height, width, channels)``, int32. The index one past
            the last value stands for a lane that is skipped: it contributes 0.
        prepared : Any
            What `prepare` returned.
        convolution : Convolution
            Geometry.

        Returns
        -------
        Tensor
            Shape ``(batch, out_height, out_width, out_channels)``; whole numbers (int32, float32 or float64) if
            `exact`.
        """

    def perturbed(self, w: Tensor, arrange: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the float weights of a straight-through backward pass; ``arrange`` lays them out as for `prepare`."""
        return w

    def native(self) -> NativeTable | None:
        """Return what compiled code sums by, for a whole layer at once; None where there is no such code."""
        return None

    def compiled_table(self) -> Tensor | None:
        """Return the table for `torch.ops.axsurrogate.table_layer` in compiled graphs; None where no code takes it."""
        return None

    def native_products(self) -> NativeProducts | None:
        """Return what compiled code multiplies in place of lookups in `native`; None where it cannot."""
        return None

    @property
    def ways(self) -> Hashable | None:
        """What the time of `sums` depends on beside the shape, where it may be faster than `native`; None if it is not.

        All give the same integers; `surrogate.nn.compiled.choice` measures which is the fastest.
        """
        return None

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether sums equal those of the multiplier as integers."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        for name, own in self._buffers.items():
            saved = state_dict.get(prefix + name)
            if own is not None and saved is not None and not torch.equal(saved.cpu(), own.cpu()):
                raise ConversionError(
                    f"the state of {prefix[:-1]!r} was saved with another surrogate or table; convert the model with "
                    f"the configuration that it was saved with before loading"
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def refuse_long_sums(lanes: int, largest: int) -> None:
    """Raise `ExactnessError` if sums of ``lanes`` products of magnitude up to ``largest`` could be rounded."""
    if lanes * largest >= 1 << 53:
        raise ExactnessError(
            f"sums of {lanes} products of magnitude up to {largest} could exceed 2**53 and be rounded; split the layer"
        )


def lookup_rows(table: Tensor, index: Tensor) -> Tensor:
    """Read ``table[index]`` along the first axis: shape ``index.shape + table.shape[1:]``."""
    return table.index_select(0, index.reshape(-1)).reshape(*index.shape, *table.shape[1:])
