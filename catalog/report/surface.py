"""Error, relative error and product over both operands, as a grid small enough to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.distributions import FloatArray
from multipliers.metrics import MAX_STREAMED_PAIRS
from multipliers.multiplier import Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat
from multipliers.records import Record
from multipliers.sums import MAX_TERMS

MAX_VALUES = 256
"""Up to so many values an operand is drawn value by value (8 bits)."""

N_BLOCKS = 128
"""Blocks of equal length into which a wider operand is divided."""

DRAWN_PER_BLOCK = 16
"""Values of each operand drawn in a block, where there are too many pairs to compare all."""

QUANTITIES = ("error", "relative", "product")


@dataclass(frozen=True, eq=False)
class Surface(Record):
    """What a multiplier does over both operands, one cell per pair of operand blocks.

    Rows are blocks of ``a``, columns blocks of ``b``, both ascending; a block is a single value where the operand has
    at most 256.

    Attributes
    ----------
    a, b : ndarray of float64
        Middle of each block.
    block_a, block_b : int
        Values in a block.
    pairs_per_cell : int
        Operand pairs compared in each cell: all of them where ``complete``.
    complete : bool
        Whether every operand pair was compared.
    mean_error, mean_relative, mean_product : ndarray of float64, shape (rows, columns)
        Cell means of E (LSB), of E/P over the pairs with P != 0 (NaN where there is none), and of F.
    max_error, max_relative, max_product : ndarray of float64, shape (rows, columns)
        Of the same, the value of largest magnitude in the cell, with its sign.
    """

    a: FloatArray
    b: FloatArray
    block_a: int
    block_b: int
    pairs_per_cell: int
    complete: bool
    mean_error: FloatArray
    mean_relative: FloatArray
    mean_product: FloatArray
    max_error: FloatArray
    max_relative: FloatArray
    max_product: FloatArray

    @property
    def reduced(self) -> bool:
        """Whether cells hold more than one pair, so that mean and maximum differ."""
        return self.block_a * self.block_b > 1

    def rule(self) -> str:
        """Say in words what a cell shows."""
        if not self.reduced:
            return "One cell per operand pair; nothing is left out."
        cell = f"One cell per block of {self.block_a:,} values of a by {self.block_b:,} values of b. "
        if self.complete:
            return cell + f"Mean and largest magnitude are over all {self.pairs_per_cell:,} pairs of the block."
        return cell + (
            f"Mean and largest magnitude are over {self.pairs_per_cell:,} of its {self.block_a * self.block_b:,} "
            f"pairs, drawn evenly spread and always the same; the largest of the block may be larger."
        )


def measure_surface(multiplier: Multiplier) -> Surface:
    """Reduce a multiplier to a grid of at most 256 x 256 cells.

    An operand of at most 256 values keeps them all; a wider one is cut into 128 blocks of equal length. Up to 2**24
    operand pairs every pair enters its cell. Above, each block of an operand is represented by 16 values, one drawn at
    random from each sixteenth of the block (evenly spaced values would all end in the same bits).

    Examples
    --------
    >>> from multipliers import get
    >>> s = measure_surface(get("bam12u_h0v4"))
    >>> s.mean_error.shape, s.pairs_per_cell, s.complete
    ((128, 128), 1024, True)
    """
    complete = multiplier.n_pairs <= MAX_STREAMED_PAIRS
    a, block_a = _blocks(multiplier.a, complete, "a")
    b, block_b = _blocks(multiplier.b, complete, "b")
    rows = max(1, MAX_TERMS // (b.size * a.shape[1]))
    parts = [_cells(multiplier, a[start : start + rows], b) for start in range(0, a.shape[0], rows)]
    cells = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Surface(
        a=_middles(multiplier.a, block_a),
        b=_middles(multiplier.b, block_b),
        block_a=block_a,
        block_b=block_b,
        pairs_per_cell=a.shape[1] * b.shape[1],
        complete=complete,
        **cells,
    )


def _blocks(form: OperandFormat, complete: bool, operand: str) -> tuple[IntArray, int]:
    """Return the values that stand for each block, shape (blocks, values), and the length of a block."""
    if form.size <= MAX_VALUES:
        return form.values()[:, None], 1
    length = form.size // N_BLOCKS
    if complete or length <= DRAWN_PER_BLOCK:
        return form.values().reshape(N_BLOCKS, length), length
    stratum = length // DRAWN_PER_BLOCK
    starts = form.minimum + np.arange(N_BLOCKS * DRAWN_PER_BLOCK, dtype=np.int64) * stratum
    word = OperandFormat(32)
    drawn = sample_pairs(word, word, starts.size)["ab".index(operand)] % stratum
    return (starts + drawn).reshape(N_BLOCKS, DRAWN_PER_BLOCK), length


def _middles(form: OperandFormat, length: int) -> FloatArray:
    starts = np.arange(form.minimum, form.maximum + 1, length, dtype=np.float64)
    return starts + (length - 1) / 2


def _cells(multiplier: Multiplier, a: IntArray, b: IntArray) -> dict[str, FloatArray]:
    x, y = a[:, :, None, None], b[None, None, :, :]
    F = multiplier(x, y).transpose(0, 2, 1, 3).reshape(a.shape[0], b.shape[0], -1)
    P = (x * y).transpose(0, 2, 1, 3).reshape(F.shape)
    E = F - P
    ratio = np.divide(E, P, out=np.full(E.shape, np.nan), where=P != 0)
    n_ratios = np.count_nonzero(P, axis=2)
    total = np.nansum(ratio, axis=2)
    size = np.where(np.isnan(ratio), -1.0, np.abs(ratio))
    largest = np.argmax(size, axis=2)[:, :, None]
    return {
        "mean_error": E.mean(axis=2),
        "mean_relative": np.divide(total, n_ratios, out=np.full(total.shape, np.nan), where=n_ratios > 0),
        "mean_product": F.mean(axis=2),
        "max_error": _largest(E),
        "max_relative": np.take_along_axis(ratio, largest, axis=2)[:, :, 0],
        "max_product": _largest(F),
    }


def _largest(cells: IntArray) -> FloatArray:
    at = np.argmax(np.abs(cells.astype(np.float64)), axis=2)[:, :, None]
    found: FloatArray = np.take_along_axis(cells, at, axis=2)[:, :, 0].astype(np.float64)
    return found
