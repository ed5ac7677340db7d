"""Sums by table lookup: behavioural simulation, exact for any table.

Tables of up to 8 x 8 bits run in compiled code on a processor (`surrogate.nn.native`) and in a Triton kernel on a GPU
(`surrogate.nn.gpu.triton_table`). Elsewhere, and for wider operands, PyTorch's own operations do the sums
(`surrogate.nn.engines.lookup_sums`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import OperandFormat
from multipliers.table import TableMultiplier
from surrogate.errors import ExactnessError
from surrogate.nn.engines.engine import Engine, refuse_long_sums
from surrogate.nn.engines.lookup_sums import lookup_sums
from surrogate.nn.errors import ConversionError, OperandError
from surrogate.nn.geometry import Convolution
from surrogate.nn.gpu.triton_probe import triton_trouble
from surrogate.nn.gpu.triton_table import TritonTable, TritonWeights
from surrogate.nn.native import ActiveTable, NativeTable, NativeWeights, active_kernel
from surrogate.nn.native.library import VARIABLE, kernel_is_forced
from surrogate.nn.operators import opaque

_BLOCK_BYTES = 1 << 26  # patches of a block


class TableEngine(Engine):
    """Look every product up in the multiplier's table.

    Parameters
    ----------
    multiplier : Multiplier
        With a table of at most 2**24 entries.
    activation_operand : {"a", "b"}
        Which operand of the multiplier the activation is.

    Raises
    ------
    ConversionError
        If the table is too large.
    ExactnessError
        If a product is too large to be summed exactly.
    """

    table: Tensor

    def __init__(self, multiplier: Multiplier, activation_operand: str = "a") -> None:
        super().__init__()
        if multiplier.n_pairs > MAX_TABLE_ENTRIES:
            raise ConversionError(
                f"the table of {multiplier.name} ({multiplier.a} x {multiplier.b}) has more than 2**24 entries; "
                f"simulate it by an exact surrogate (backend='surrogate')"
            )
        table = torch.from_numpy(multiplier.table().copy())
        if activation_operand == "b":
            table = table.T.contiguous()
        self.largest = max(1, int(table.abs().max()))
        if self.largest >= 1 << 53:
            raise ExactnessError(
                f"{multiplier.name} has products of magnitude {self.largest}, beyond 2**53: no float64 sum holds them"
            )
        self.register_buffer("table", table)
        self._compiled = NativeTable.holds(table)
        self._native_table = ActiveTable()
        self._span = min(0, int(table.min())), max(0, int(table.max()))
        self._triton_table: TritonTable | None = None

    @property
    def exact(self) -> bool:
        """Always."""
        return True

    def prepare(self, w: Tensor, groups: int) -> Tensor | NativeWeights | TritonWeights:
        """Keep weight indices as ``(groups, out_channels / groups, lanes)``: bytes for a compiled kernel."""
        native = None if torch.compiler.is_compiling() else self.native()
        if native is not None and w.device.type == "cpu":
            return native.prepare(w, groups)
        if TritonTable.holds(self.table.shape, *self._span) and triton_trouble(w.device) is None:
            return self._on_gpu().prepare(w, groups)
        return w.reshape(groups, w.shape[0] // groups, -1)

    def native(self) -> NativeTable | None:
        """Return the table for the compiled kernel that is active, made when first needed; None if there is none."""
        if self.table.device.type != "cpu":
            return None
        if self._compiled:
            return self._native_table.read(lambda: self.table)
        kernel = active_kernel()
        if kernel != "torch" and kernel_is_forced():
            raise ConversionError(
                f"{VARIABLE} is {kernel!r}, which runs tables of at most 256 x 256 entries that span less than "
                f"2**31; this one is {self.table.shape[0]} x {self.table.shape[1]}, of products up to "
                f"{self.largest}: unset it, set it to 'torch', or use an exact surrogate (backend='surrogate')"
            )
        return None

    def compiled_table(self) -> Tensor | None:
        """See `Engine.compiled_table`."""
        return self.table if self._compiled and self.table.device.type == "cpu" and bool(kernel_is_compiled()) else None

    def _refuse_other_indices(self, x: Tensor) -> None:
        """Raise `OperandError` if an index is outside the table: places of table rows would overflow in silence."""
        low, high = (0, 0) if x.numel() == 0 else (int(end) for end in torch.aminmax(x))
        if low < 0 or high > len(self.table):
            raise OperandError(f"activation indices must be in [0, {len(self.table)}], got {low} to {high}")

    def _on_gpu(self) -> TritonTable:
        """Return the table for the Triton kernel, made anew where the engine has moved."""
        held = self._triton_table
        if held is None or held.entries.device != self.table.device:
            held = TritonTable.of(self.table, *self._span)
            if not torch.compiler.is_compiling():
                self._triton_table = held
        return held

    def __getstate__(self) -> dict[str, Any]:
        """Leave the kernels' tables out of copies and pickles: another machine may run another kernel."""
        return {**self.__dict__, "_native_table": ActiveTable(), "_triton_table": None}

    def sums(self, x: Tensor, prepared: Tensor | NativeWeights | TritonWeights, convolution: Convolution) -> Tensor:
        """See `Engine.sums`."""
        if isinstance(prepared, TritonWeights):
            return prepared.table.sums(x, prepared, convolution)
        if torch.compiler.is_compiling():
            sides = convolution.kernel, convolution.stride, convolution.dilation
            return table_sums(x, self.table, cast(Tensor, prepared), self.largest, *sides)
        if isinstance(prepared, NativeWeights):
            native = self.native()
            if native is not None:
                found: Tensor = native.sums(x, prepared, convolution)
                return found
            prepared = prepared.indices.long()  # the kernel was switched off in between
        groups, out_channels, lanes = prepared.shape
        refuse_long_sums(lanes, self.largest)
        self._refuse_other_indices(x)
        n, h, w, c = x.shape
        out_h, out_w = convolution.output_size(h, w)
        dtype = torch.float32 if lanes * self.largest < 1 << 24 else torch.float64
        result = torch.empty((n, out_h, out_w, groups, out_channels), dtype=dtype, device=x.device)
        exact_lanes = ((1 << 24) - 1) // self.largest
        values = self.table.to(torch.float32 if exact_lanes else torch.float64)
        values = torch.nn.functional.pad(values, (0, 0, 0, 1))  # the last row: skipped lanes
        for images in convolution.blocks(x, 4, _BLOCK_BYTES):
            patches = convolution.patches(x[images])
            rows = patches.shape[0] * out_h * out_w
            block = torch.empty((rows, groups, out_channels), dtype=dtype, device=x.device)
            by_group = patches.view(*patches.shape[:-1], groups, c // groups).movedim(-2, 3)
            lookup_sums(values, by_group.reshape(rows, groups, lanes), prepared, exact_lanes or lanes, block)
            result[images] = block.reshape(-1, out_h, out_w, groups, out_channels)
        return result.reshape(n, out_h, out_w, groups * out_channels)


def _empty_sums(
    x: Tensor,
    table: Tensor,
    w: Tensor,
    largest: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    groups, out_channels, lanes = w.shape
    size = Convolution.of(kernel, stride, dilation, groups).output_size(*x.shape[1:3])
    dtype = torch.int32 if lanes * largest < 1 << 31 else torch.float64
    return x.new_empty((x.shape[0], *size, groups * out_channels), dtype=dtype)


@opaque("table_sums", _empty_sums)
def table_sums(
    x: Tensor,
    table: Tensor,
    w: Tensor,
    largest: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Sum products of a table, whichever kernel is active when it runs; see `TableEngine`.

    Parameters
    ----------
    x : Tensor
        As `Engine.sums` takes it.
    table : Tensor
        Entries ``F[x, w]``, int64.
    w : Tensor
        Weight indices ``(groups, out_channels / groups, lanes)``, int64.
    largest : int
        Largest magnitude in the table.
    kernel, stride, dilation : (int, int)
        Geometry.

    Returns
    -------
    Tensor
        int32 where every sum fits, else float64.
    """
    engine: TableEngine | None = _engines.get(table)  # type: ignore[no-untyped-call]  # torch's own class
    if engine is None:
        bits = [(n - 1).bit_length() for n in table.shape]
        multiplier = TableMultiplier(table.cpu().numpy(), OperandFormat(bits[0]), OperandFormat(bits[1]))
        engine = _engines[table] = TableEngine(multiplier).to(table.device)
    groups = w.shape[0]
    weights = w.reshape(-1, *kernel, w.shape[2] // (kernel[0] * kernel[1]))
    convolution = Convolution.of(kernel, stride, dilation, groups)
    found: Tensor = engine.sums(x, engine.prepare(weights, groups), convolution)
    return found.to(torch.int32 if w.shape[2] * largest < 1 << 31 else torch.float64)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def kernel_is_compiled() -> bool:
    """Whether a compiled kernel is active; compiled graphs keep the answer."""
    return active_kernel() != "torch"


_engines = WeakTensorKeyDictionary()  # of the tables of compiled models
