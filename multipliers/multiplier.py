"""The contract that every multiplier keeps."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from multipliers.errors import ParameterError, TableTooLargeError
from multipliers.naming import format_label
from multipliers.operands import IntArray, OperandFormat

MAX_TABLE_ENTRIES = 1 << 24
"""Largest table that `Multiplier.table` materialises (12 x 12 bits, 128 MiB of int64)."""

SAMPLE_SIZE = 1 << 16
"""Operand pairs behind `Multiplier.sample_fingerprint`."""


class Multiplier(ABC):
    """A bit-accurate multiplier: a pure function of two integer operands.

    Subclasses are frozen, hashable, have the attributes ``a`` and ``b`` (`OperandFormat`) and ``name``,
    and implement `_product`. ``multipliers.testing.check_multiplier`` runs the whole contract over an instance.

    Notes
    -----
    The first operand is ``a``, the second ``b``. The error is ``approximate - exact``.
    """

    a: OperandFormat
    b: OperandFormat

    @property
    @abstractmethod
    def name(self) -> str:
        """A label; identity is the formats with `fingerprint`, never the name."""

    @abstractmethod
    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        """Multiply checked int64 arrays of one common shape."""

    def __call__(self, a: ArrayLike, b: ArrayLike) -> IntArray:
        """Multiply: operands broadcast against each other, the result is int64.

        Parameters
        ----------
        a, b : array_like of int
            Values of the operand formats ``self.a`` and ``self.b``.

        Raises
        ------
        OperandTypeError
            If an operand is not made of integers.
        OperandRangeError
            If a value does not fit its operand's format.
        """
        checked_a, checked_b = self.a.check(a, "a"), self.b.check(b, "b")
        wide_a, wide_b = np.broadcast_arrays(checked_a, checked_b)
        return self._product(wide_a, wide_b).astype(np.int64, copy=False)

    def exact(self, a: ArrayLike, b: ArrayLike) -> IntArray:
        """Return the accurate product ``a * b`` of checked operands."""
        return self.a.check(a, "a") * self.b.check(b, "b")

    def error(self, a: ArrayLike, b: ArrayLike) -> IntArray:
        """Return ``self(a, b) - a * b``."""
        return self(a, b) - self.exact(a, b)

    @property
    def n_pairs(self) -> int:
        """Number of operand pairs, ``2**(n + m)``."""
        return self.a.size * self.b.size

    def table(self) -> IntArray:
        """All products, ``table[i, j] = self(a_min + i, b_min + j)``, shape ``(2**n, 2**m)``.

        Raises
        ------
        TableTooLargeError
            Above 2**24 entries; iterate over `blocks` instead.
        """
        if self.n_pairs > MAX_TABLE_ENTRIES:
            raise TableTooLargeError(
                f"the table of {self.name} ({self.a} x {self.b}) has 2**{self.a.bits + self.b.bits} entries, "
                f"more than 2**24; iterate over blocks(), or call the multiplier on the operands you need"
            )
        return self(self.a.values()[:, None], self.b.values()[None, :])

    def blocks(self, max_pairs: int = 1 << 20) -> Iterator[tuple[IntArray, IntArray]]:
        """Stream the table by rows: pairs of (values of ``a``, their rows), at most ``max_pairs`` entries a block.

        A block holds at least one row, whatever its length.
        """
        b = self.b.values()[None, :]
        for a in self.row_blocks(max_pairs):
            yield a, self(a[:, None], b)

    def row_blocks(self, max_pairs: int = 1 << 20) -> list[IntArray]:
        """Values of ``a`` in blocks whose rows hold at most ``max_pairs`` entries, or are single rows."""
        rows = max(1, max_pairs // self.b.size)
        stop = self.a.maximum + 1
        return [np.arange(i, min(i + rows, stop), dtype=np.int64) for i in range(self.a.minimum, stop, rows)]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the canonical table: int64, little-endian, C order, natural operand order.

        A multiplier's identity is this digest with its operand formats.

        Raises
        ------
        TableTooLargeError
            Above 2**24 pairs; use `sample_fingerprint`.
        """
        if self.n_pairs > MAX_TABLE_ENTRIES:
            raise TableTooLargeError(
                f"fingerprint() hashes all 2**{self.a.bits + self.b.bits} products of {self.name}, more than 2**24; "
                f"use sample_fingerprint(), which hashes {SAMPLE_SIZE} of them"
            )
        digest = hashlib.sha256()
        for _, rows in self.blocks():
            digest.update(np.ascontiguousarray(rows, dtype="<i8").data)
        return digest.hexdigest()

    def sample_fingerprint(self) -> str:
        """SHA-256 (hex) of the products at 65,536 fixed operand pairs; an identity check for wide operands.

        Pair ``i`` is drawn from ``z = splitmix64(i)``: ``a`` is the low half of ``z`` modulo ``2**n``, ``b`` the high
        half modulo ``2**m``, each offset to the format's minimum (SplitMix64: Steele, Lea, Flood, OOPSLA 2014).
        """
        a, b = sample_pairs(self.a, self.b, SAMPLE_SIZE)
        return hashlib.sha256(np.ascontiguousarray(self(a, b), dtype="<i8").data).hexdigest()

    def _check_widths(self) -> None:
        """Raise unless both operands have formats, and every exact product fits int64."""
        for name in ("a", "b"):
            operand: object = getattr(self, name)
            if not isinstance(operand, OperandFormat):
                raise ParameterError(
                    f"operand {name} must be an OperandFormat, got {operand!r:.80}; OperandFormat.parse('8s') makes one"
                )
        for a in (self.a.minimum, self.a.maximum):
            for b in (self.b.minimum, self.b.maximum):
                if not -(1 << 63) <= a * b < 1 << 63:
                    raise ParameterError(
                        f"products of {self.a} x {self.b} operands do not fit int64; use narrower operands"
                    )


def sample_pairs(a: OperandFormat, b: OperandFormat, n_pairs: int, start: int = 0) -> tuple[IntArray, IntArray]:
    """Reproducible, independent, uniform operand pairs ``start .. start + n_pairs - 1`` of a fixed sequence.

    The same on every platform and in every version, unlike a library's generator.
    """
    with np.errstate(over="ignore"):
        z = (np.arange(start + 1, start + n_pairs + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    low = (z & np.uint64(0xFFFFFFFF)).astype(np.int64)
    high = (z >> np.uint64(32)).astype(np.int64)
    return low % a.size + a.minimum, high % b.size + b.minimum


class Design(Multiplier):
    """A multiplier defined by a family and integer parameters; its name is read back by `multipliers.get`.

    Subclasses are frozen dataclasses with the fields ``a``, ``b`` and their parameters. They state the class
    variables below and raise `ParameterError` from ``__post_init__`` for parameters outside their range.

    Attributes
    ----------
    family : str
        First part of the label (``"drum"`` of ``drum8u_k4``).
    letters : mapping of str to str
        Parameter letter of the label to field name, in label order. A parameter that does not apply to an instance is
        None (its default) and absent from the label.
    aliases : mapping of str to mapping
        Other names of the family that `multipliers.get` reads, each with the fields that it fixes.
    """

    family: ClassVar[str]
    letters: ClassVar[dict[str, str]] = {}
    aliases: ClassVar[dict[str, dict[str, int]]] = {}

    @property
    def name(self) -> str:
        """Label ``<family><bits><s|u>[_<letter><value>...]``."""
        values = {letter: getattr(self, field) for letter, field in self.letters.items()}
        return format_label(self.family, self.a, self.b, {k: v for k, v in values.items() if v is not None})

    def _check_parameter(self, field: str, low: int, high: int) -> None:
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ParameterError(
                f"{type(self).__name__}: {field} must be an integer from {low} to {high} "
                f"for {self.a} x {self.b} operands, got {value!r}"
            )
