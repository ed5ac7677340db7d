"""Sums by the compiled library: the table as its kernels read it, packed activations, threads.

With ``m`` the smallest entry of the table (or 0, if that is smaller), the kernels add the unsigned ``F[x, w] - m``,
byte by byte, and ``m`` once per lane. Sums are exact while they fit in int32, and longer ones are taken in pieces that
do, which float64 adds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.nn.engines.engine import refuse_long_sums
from surrogate.nn.errors import OperandError
from surrogate.nn.geometry import Convolution
from surrogate.nn.native.library import NUMBERS, Problem, kernel_of_rows, require_library
from surrogate.nn.native.quantised import SLACK
from surrogate.nn.native.threads import on_threads, worthwhile_threads

_POSITIONS = 256  # positions of a task; POSITIONS in kernel.h
_PRODUCTS_PER_THREAD = 1 << 19  # which take 20 us; a team starts in 2


@dataclass(frozen=True)
class NativeWeights:
    """Weight indices as bytes, shape ``(groups, out_channels, lanes)``; lanes in the order of torch's weights."""

    indices: Tensor


class NativeTable:
    """A table of at most 256 x 256 entries, for the kernel that is active.

    Parameters
    ----------
    table : Tensor
        Entries ``F[x, w]``, int64, shape ``(activations, weights)``.
    kernel : str
        One of the compiled kernels in `available_kernels`; `kernel_of_rows` tells which one runs.
    """

    def __init__(self, table: Tensor, kernel: str) -> None:
        self.requested = kernel
        self.n_activations, self.n_weights = table.shape
        self.largest = max(1, int(table.abs().max()))
        self.minimum = min(0, int(table.min()))
        entries = (table - self.minimum).T  # rows of weights
        span = int(entries.max())
        self.planes = max(1, (span.bit_length() + 7) // 8)
        self.size = max(64, 1 << (self.n_activations - 1).bit_length())
        self.kernel = kernel_of_rows(kernel, self.planes * self.size)
        if self.kernel == "portable":
            self.planes, self.size = 4, 256
        entries = torch.nn.functional.pad(entries, (0, self.size - self.n_activations))
        if self.kernel == "portable":
            self.entries = (entries - ((entries >> 31) << 32)).to(torch.int32).contiguous()
        else:
            planes = [(entries >> 8 * p & 255).to(torch.uint8) for p in range(self.planes)]
            self.entries = torch.stack(planes, dim=1).contiguous()

    @staticmethod
    def holds(table: Tensor) -> bool:
        """Whether the compiled kernels can run a table: 256 x 256 entries at most, that span less than 2**31."""
        return max(table.shape) <= 256 and max(0, int(table.max())) - min(0, int(table.min())) < 1 << 31

    def prepare(self, w: Tensor, groups: int) -> NativeWeights:
        """Keep weight indices as bytes; see `Engine.prepare`.

        Raises
        ------
        OperandError
            If an index is outside the table.
        """
        if w.numel() and not 0 <= int(w.min()) <= int(w.max()) < self.n_weights:
            raise OperandError(
                f"weight indices must be in [0, {self.n_weights - 1}], got {int(w.min())} to {int(w.max())}"
            )
        lanes = w.to(torch.uint8).permute(0, 3, 1, 2)  # torch's order
        return NativeWeights(lanes.reshape(groups, w.shape[0] // groups, -1).contiguous())

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def sums(self, x: Tensor, weights: NativeWeights, convolution: Convolution) -> Tensor:
        """Sum products; see `Engine.sums`.

        Returns
        -------
        Tensor
            int32 where every sum fits, else float64.

        Raises
        ------
        OperandError
            If an index is outside the table.
        ExactnessError
            If sums could exceed 2**53.
        """
        groups, out_channels, lanes = weights.indices.shape
        refuse_long_sums(lanes, self.largest)
        n, h, w, c = x.shape
        out_h, out_w = convolution.output_size(h, w)
        shape = (n, out_h, out_w, groups * out_channels)
        if convolution.kernel == (1, 1) and convolution.stride == (1, 1):
            n, h, w = 1, 1, n * h * w  # pixels are independent: one long row
        packed, keep = self._pack(x, n, h * w, c)
        problem = self.problem(packed, weights.indices, convolution, (n, c, h, w))
        problem.keep = 0 if keep is None else keep.data_ptr()
        problem.channels_last = True
        piece = ((1 << 31) - 1) // self.largest
        if lanes <= piece:
            return run(problem, torch.empty(shape, dtype=torch.int32))
        total = torch.zeros(shape, dtype=torch.float64)
        for start in range(0, lanes, piece):
            problem.first_lane, problem.end_lane = start, min(start + piece, lanes)
            total += run(problem, torch.empty(shape, dtype=torch.int32))
        return total

    def problem(
        self,
        codes: Tensor,
        weights: Tensor,
        convolution: Convolution,
        shape: tuple[int, int, int, int],
        smallest: int = 0,
        largest: int = 255,
    ) -> Problem:
        """Describe sums of all lanes to the library; tensors must live as long as the description.

        Parameters
        ----------
        codes : Tensor
            Packed activation indices.
        weights : Tensor
            Packed weight indices, ``(groups, out_channels, lanes)``.
        convolution : Convolution
            Geometry.
        shape : (int, int, int, int)
            Images, channels, height and width, with padding.
        smallest, largest : int
            Range of the activation indices: a kernel reads only the part of each row that they select from.
        """
        n, c, h, w = shape
        groups, out_channels, lanes = weights.shape
        out_h, out_w = convolution.output_size(h, w)
        size = next((s for s in (64, 128) if s < self.size and smallest // s == largest // s), self.size)
        if self.kernel == "portable":
            size = self.size
        problem = Problem(
            x=codes.data_ptr(),
            w=weights.data_ptr(),
            entries=self.entries.data_ptr() + (smallest // size * size if size < self.size else 0),
            planes=self.planes,
            size=size,
            plane_stride=self.size,
            row_stride=self.planes * self.size,
            minimum=self.minimum,
            images=n,
            channels=c // groups,
            height=h,
            width=w,
            groups=groups,
            out_channels=out_channels,
            out_h=out_h,
            out_w=out_w,
            end_lane=lanes,
            kernel=NUMBERS[self.kernel],
        )
        problem.kernel_h, problem.kernel_w = convolution.kernel
        problem.stride_h, problem.stride_w = convolution.stride
        problem.dilation_h, problem.dilation_w = convolution.dilation
        return problem

    def _pack(self, x: Tensor, images: int, pixels: int, channels: int) -> tuple[Tensor, Tensor | None]:
        """Activation indices as bytes, channel by channel, and which lanes count (None if all do)."""
        library, x = require_library(), x.to(torch.int32).contiguous()
        packed = torch.empty(x.numel() + SLACK, dtype=torch.uint8)
        arguments = (x.data_ptr(), images, pixels, channels, self.n_activations, packed.data_ptr())
        found = library.axs_pack(*arguments, None)
        if found & 2:
            raise OperandError(
                f"activation indices must be in [0, {self.n_activations}], got {int(x.min())} to {int(x.max())}"
            )
        if not found:
            return packed, None
        keep = torch.empty_like(packed)
        library.axs_pack(*arguments, keep.data_ptr())
        return packed, keep


def run(problem: Problem, out: Tensor) -> Tensor:
    """Write the sums that a problem describes to ``out``, on as many threads as PyTorch uses; return it.

    ``out`` is int32, or float32 if the problem has scales; its last axis is the output channels if the problem says
    ``channels_last``.

    Raises
    ------
    MemoryError
        If a thread cannot allocate its panels.
    """
    out_channels = problem.groups * problem.out_channels
    positions = problem.images * problem.out_h * problem.out_w
    products = positions * out_channels * (problem.end_lane - problem.first_lane)
    threads = worthwhile_threads(products, _PRODUCTS_PER_THREAD)
    blocks = max(1, -(-positions // _POSITIONS))
    problem.out, problem.next_task = out.data_ptr(), 0
    problem.splits = max(1, min(out_channels, -(-8 * threads // blocks))) if threads > 1 else 1
    problem.failures = 0
    on_threads(require_library().axs_sums, problem, threads)
    if problem.failures:
        raise MemoryError("the table kernel could not allocate the panels of its threads")
    return out
