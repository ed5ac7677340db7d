"""Sums by error table: accurate products, which matrix units compute, plus lookups of the multiplier's errors.

    sum f(x, w) = sum x w + sum e(x, w),    e(x, w) = f(x, w) - x w

The table of errors has smaller entries than that of products, so that a compiled kernel looks up fewer bytes. What that
saves depends on the kernel: a layer of 8 x 8 bits, whose errors need one byte and products two, takes so much of its
time by the whole table, which runs in one compiled step (one thread of a processor with AVX-512 and its int8 products):

| kernel          | 1024 x 1024 linear, of 1024 | 3 x 3, 16-128 channels | depthwise |
|-----------------|-----------------------------|------------------------|-----------|
| ``avx512-vbmi`` | 0.99                        | 1.1 to 1.9             | 4.4       |
| ``avx2``        | 0.54                        | 0.57 to 0.71           | 2.4       |

With two bytes in place of three, AVX-512 takes 0.8 to 2.5 of it, and more where layers are depthwise. So whole products
of two bytes are always looked up with AVX-512, and all else is measured (`surrogate.nn.compiled.choice`). The kernel of
plain C reads four bytes of any table, and gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray
from multipliers.table import TableMultiplier
from surrogate.nn.engines.engine import refuse_long_sums
from surrogate.nn.engines.surrogate import SurrogateEngine, SurrogateWeights
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.gpu.triton_table import TritonWeights
from surrogate.nn.native import NativeTable, NativeWeights
from surrogate.nn.simulation.products import accurate_product


@dataclass(frozen=True)
class ErrorTableWeights:
    """Weights as the engines of accurate products and of errors take them."""

    product: SurrogateWeights
    error: Tensor | NativeWeights | TritonWeights


class ErrorTableEngine(TableEngine):
    """Multiply accurately, and look the error of every product up.

    Parameters
    ----------
    multiplier : Multiplier
        With a table of at most 2**24 entries.
    activation_operand : {"a", "b"}
        Which operand of the multiplier the activation is.
    arithmetic : {"auto", "int8", "bfloat16", "float16", "float32", "float64"}
        Datatype of the accurate products; see `SurrogateEngine`.
    forced : bool
        Whether never to look whole products up, else only where that may be slower.

    Raises
    ------
    ConversionError
        If the table is too large.
    ExactnessError
        If a product is too large to be summed exactly, or the arithmetic cannot hold the operands.

    Examples
    --------
    >>> from multipliers import get
    >>> engine = ErrorTableEngine(get("bam8u_h1v5"))
    >>> x, w = torch.tensor([[[[3, 250]]]], dtype=torch.int32), torch.tensor([[[[7, 101]]]])
    >>> engine.sums(x, engine.prepare(w, groups=1), Convolution((1, 1))).item()
    24992
    >>> sum(get("bam8u_h1v5")([3, 250], [7, 101]).tolist())
    24992
    """

    def __init__(
        self, multiplier: Multiplier, activation_operand: str = "a", arithmetic: str = "auto", *, forced: bool = True
    ) -> None:
        super().__init__(multiplier, activation_operand)
        a, b = multiplier.a, multiplier.b
        errors = TableMultiplier(error_table(multiplier), a, b, name=f"the error of {multiplier.name}")
        self.forced = forced
        # a tuple, and so no part of the state: the table says all
        self._parts = (
            SurrogateEngine(accurate_product(a, b), activation_operand, arithmetic),
            TableEngine(errors, activation_operand),
        )
        self._largest_part = int(np.abs(a.values()).max()) * int(np.abs(b.values()).max()) + self._parts[1].largest

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for part in self._parts:
            part._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def native(self) -> NativeTable | None:
        """Return the table of whole products for compiled code; None if these are never looked up."""
        return None if self.forced else super().native()

    def compiled_table(self) -> Tensor | None:
        """Return the table for graphs of compilers; None if whole products are never looked up."""
        return None if self.forced else super().compiled_table()

    @property
    def ways(self) -> Hashable | None:
        """Which kernel looks how many bytes of products, and of errors, up; None where whole products are faster."""
        if torch.compiler.is_compiling():  # graphs do not measure
            return None
        whole = self.native()
        errors = None if whole is None else self._parts[1].native()
        if whole is None or errors is None or errors.planes >= whole.planes:
            return None
        if whole.kernel == "avx512-vbmi" and whole.planes == 2:
            return None
        return whole.kernel, whole.planes, errors.planes

    # what either form prepares is more than the table engine's own
    def prepare(self, w: Tensor, groups: int) -> Tensor | NativeWeights | TritonWeights | ErrorTableWeights:  # type: ignore[override]
        """Prepare weights for both parts, or for the whole table; see `Engine.prepare`."""
        if self.forced or self.ways is not None:
            product, error = self._parts
            return ErrorTableWeights(product.prepare(w, groups), error.prepare(w, groups))
        return super().prepare(w, groups)

    def sums(self, x: Tensor, prepared: Any, convolution: Convolution) -> Tensor:
        """See `Engine.sums`."""
        if not isinstance(prepared, ErrorTableWeights):
            return super().sums(x, prepared, convolution)
        lanes = convolution.kernel[0] * convolution.kernel[1] * (x.shape[3] // convolution.groups)
        refuse_long_sums(lanes, self._largest_part)
        dtype = torch.int32 if lanes * self._largest_part < 1 << 31 else torch.float64
        product, error = self._parts
        products = product.sums(x, prepared.product, convolution).to(dtype)
        return products + error.sums(x, prepared.error, convolution).to(dtype)


def error_table(multiplier: Multiplier) -> IntArray:
    """Return ``table[i, j] = f(a, b) - a b`` for all pairs of operands, as `Multiplier.table` does ``f``.

    Examples
    --------
    >>> from multipliers import get
    >>> error_table(get("trunc2u_t1"))
    array([[ 0,  0,  0,  0],
           [ 0, -1, -2, -3],
           [ 0, -2,  0, -2],
           [ 0, -3, -2, -5]])
    """
    return multiplier.table() - np.multiply.outer(multiplier.a.values(), multiplier.b.values())


def errors_are_shorter(multiplier: Multiplier) -> bool:
    """Whether errors take fewer bytes than products, in a table that compiled kernels hold.

    Examples
    --------
    >>> from multipliers import get
    >>> [errors_are_shorter(get(label)) for label in ("bam8u_h0v5", "mitchell8u", "mitchell12u")]
    [True, False, False]
    """
    if max(multiplier.a.size, multiplier.b.size) > 256:
        return False
    return _bytes(error_table(multiplier)) < _bytes(multiplier.table())


def _bytes(table: IntArray) -> int:
    """Bytes of the kernels' unsigned entries; see `NativeTable`."""
    span = max(0, int(table.max())) - min(0, int(table.min()))
    return max(1, (span.bit_length() + 7) // 8)
