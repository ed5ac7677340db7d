"""Sums of products of integer factors by the compiled library: int8 dot products (AVX-512 VNNI) in the table's place.

The dot products take unsigned bytes of activations and signed bytes of weights. Factors are brought into these by
shifts, ``g = u + m`` and ``h = v + t``, so that

    sum_j g_j(x) h_j(w) = sum_j u_j(x) v_j(w) + sum_j t_j u_j(x) + sum_j m_j h_j(w)

where the second sum is a function of the activation alone, a table of one row for the library's kernel, and the third
one of the weight alone, whose sum is a constant of an output channel. A factor that spans more than a byte is a sum of
bytes, each of which is multiplied by the other factor. All integers wrap modulo 2**32 on the way, so that only a
layer's result must fit in int32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from multipliers.operands import IntArray
from surrogate.digits import shift
from surrogate.nn.geometry import Convolution
from surrogate.nn.native.library import Problem, has_dot_products, require_library
from surrogate.nn.native.sums import NativeTable

MOST_TERMS = 8
"""Products of bytes for each product of operands; with more, by their cost in a convolution, a table is faster."""

_BYTE = 255  # largest span of values in a byte


@dataclass(frozen=True)
class ByteFactors:
    """Factors as bytes: ``sum_j left[x, j] * right[w, j] + of_x[x] + of_w[w]``.

    Attributes
    ----------
    left : ndarray of int64, shape (activations, terms)
        From 0 to 255.
    right : ndarray of int64, shape (weights, terms)
        From -128 to 127.
    of_x, of_w : ndarray of int64
        Of each activation, and of each weight.

    Examples
    --------
    >>> factors = ByteFactors.of(np.array([[-3], [300]]), np.array([[200], [0]]))
    >>> factors.left.tolist(), factors.right.tolist()
    ([[0, 0], [255, 48]], [[127, 127], [-73, -73]])
    >>> (factors.left @ factors.right.T + factors.of_x[:, None] + factors.of_w).tolist()
    [[-600, 0], [60000, 0]]
    """

    left: IntArray
    right: IntArray
    of_x: IntArray
    of_w: IntArray

    @property
    def terms(self) -> int:
        """Number of products of bytes."""
        return int(self.left.shape[1])

    @classmethod
    def of(cls, left: IntArray, right: IntArray) -> Self | None:
        """Bring ``left @ right.T`` into bytes; None if that takes more than `MOST_TERMS`."""
        pairs = [_fewest_bytes(g, h) for g, h in zip(left.T, right.T, strict=True)]
        if sum(_count(*pair) for pair in pairs) > MOST_TERMS:
            return None
        of_x, of_w = (np.zeros(len(part), dtype=np.int64) for part in (left, right))
        lefts: list[IntArray] = []
        rights: list[IntArray] = []
        for g, h in pairs:
            smallest = int(g.min())
            signed, rest = _signed_bytes(h)
            of_x += rest * (g - smallest)
            of_w += smallest * h
            for u in _bytes(g - smallest):
                lefts += [u] * len(signed)
                rights += signed
        return cls(np.column_stack(lefts), np.column_stack(rights), of_x, of_w)


def _fewest_bytes(g: IntArray, h: IntArray) -> tuple[IntArray, IntArray]:
    """Move common divisors between two factors so that they take the fewest products of bytes."""
    a, b = (max(1, int(np.gcd.reduce(each))) for each in (g, h))
    choices = ((g, h), (g // a, h * a), (g * b, h // b))
    return min(choices, key=lambda pair: _count(*pair))


def _count(g: IntArray, h: IntArray) -> int:
    """Products of bytes that a product takes."""
    return math.prod(max(1, -(-int(np.ptp(each)) // _BYTE)) for each in (g, h))


def _bytes(values: IntArray) -> list[IntArray]:
    """Write values of at least 0 as a sum of bytes."""
    return [np.clip(values - start, 0, _BYTE) for start in range(0, max(1, int(values.max())), _BYTE)]


def _signed_bytes(values: IntArray) -> tuple[list[IntArray], int]:
    """Write values as a sum of signed bytes and a constant, which is 0 for values that fit."""
    low, high = int(values.min()), int(values.max())
    offset = shift(low, high)
    if offset is not None:
        return [values - offset], offset
    parts = [part - 128 for part in _bytes(values - low)]
    return parts, low + 128 * len(parts)


class NativeProducts:
    """Products of factors for compiled layers, in the place of a `NativeTable` of the same products.

    Parameters
    ----------
    factors : ByteFactors
        Of at most `MOST_TERMS` terms and 256 values of each operand.
    table : NativeTable
        Of the same products.
    """

    def __init__(self, factors: ByteFactors, table: NativeTable) -> None:
        self.requested, self.largest = table.requested, table.largest
        self.terms = factors.terms
        self.shared = NativeTable(torch.from_numpy(factors.of_x)[:, None], table.kernel)
        self.has_shared = bool(factors.of_x.any())
        left = torch.from_numpy(factors.left.T.astype(np.uint8))
        self.left = torch.nn.functional.pad(left, (0, self.shared.size - left.shape[1])).contiguous()
        self.right = torch.from_numpy(factors.right.astype(np.int8)).contiguous()
        self.of_w = torch.from_numpy(factors.of_w)
        self._prepared = WeakTensorKeyDictionary()

    @classmethod
    def of(
        cls, left: Tensor, right: Tensor, of_x: Tensor | None, of_w: Tensor | None, table: NativeTable
    ) -> Self | None:
        """Take integer factors ``sum_j left[x, j] * right[w, j] + of_x[x] + of_w[w]``, whose table is ``table``.

        None where the factors take too many bytes, or the processor has no int8 dot products beside its kernel.
        """
        if table.kernel != "avx512-vbmi" or not has_dot_products():
            return None
        found = ByteFactors.of(left.numpy(), right.numpy())
        if found is None:
            return None
        whole_x = found.of_x if of_x is None else found.of_x + of_x.numpy()
        whole_w = found.of_w if of_w is None else found.of_w + of_w.numpy()
        if not NativeTable.holds(torch.from_numpy(whole_x)[:, None]):
            return None
        return cls(ByteFactors(found.left, found.right, whole_x, whole_w), table)

    def problem(
        self,
        codes: Tensor,
        weights: Tensor,
        convolution: Convolution,
        shape: tuple[int, int, int, int],
        smallest: int = 0,
        largest: int = 255,
    ) -> Problem:
        """Describe sums of all lanes to the library; see `NativeTable.problem`."""
        right, constants = self._weights(weights)
        problem = self.shared.problem(codes, right, convolution, shape, smallest, largest)
        problem.end_lane = weights.shape[2]
        if not self.has_shared:
            problem.entries = 0
        first = smallest // problem.size * problem.size if problem.size < self.shared.size else 0
        problem.factors, problem.factor_stride = self.left.data_ptr() + first, self.shared.size
        problem.terms, problem.depth, problem.constants = self.terms, right.shape[2], constants.data_ptr()
        return problem

    def _weights(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Right factors as bytes, and what each output channel adds; kept as long as the weights' indices are.

        Parameters
        ----------
        codes : Tensor
            Weight indices, ``(groups, out_channels, lanes)``.
        """
        found: tuple[Tensor, Tensor] | None = self._prepared.get(codes)  # type: ignore[no-untyped-call]
        if found is None:
            groups, channels, lanes = codes.shape
            depth = -(-lanes * self.terms // 4) * 4
            right = torch.empty((groups, channels, depth), dtype=torch.int8)
            constants = torch.empty(groups * channels, dtype=torch.int64)
            require_library().axs_transform_weights(
                *(codes.data_ptr(), groups * channels, lanes, self.right.data_ptr(), self.of_w.data_ptr()),
                *(self.terms, depth, right.data_ptr(), constants.data_ptr()),
            )
            found = self._prepared[codes] = right, constants
        return found
