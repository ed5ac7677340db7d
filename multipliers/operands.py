"""Operand formats: the integers that an operand of a multiplier can take."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.errors import OperandRangeError, OperandTypeError, ParameterError

IntArray = NDArray[np.int64]

MAX_BITS = 32
"""Widest operand: products of two 32-bit signed operands still fit int64."""

_LABEL = re.compile(r"([1-9][0-9]?)([su])")


@dataclass(frozen=True, order=True)
class OperandFormat:
    """A fixed-width integer operand, unsigned or two's complement.

    Parameters
    ----------
    bits : int
        Width ``n``, 1 to 32.
    signed : bool
        Two's complement if true: values ``-2**(n-1) .. 2**(n-1) - 1``; else ``0 .. 2**n - 1``.

    Raises
    ------
    ParameterError
        If ``bits`` is not an integer from 1 to 32, or ``signed`` is not a bool.

    Examples
    --------
    >>> OperandFormat(8, signed=True)
    OperandFormat(bits=8, signed=True)
    >>> OperandFormat.parse("4u").values()[-3:]
    array([13, 14, 15])
    """

    bits: int
    signed: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int | np.integer):
            raise ParameterError(f"bits must be an integer, got {self.bits!r} of type {type(self.bits).__name__}")
        if not 1 <= self.bits <= MAX_BITS:
            raise ParameterError(f"bits must be from 1 to {MAX_BITS}, got {self.bits}")
        if not isinstance(self.signed, bool | np.bool_):
            raise ParameterError(f"signed must be True or False, got {self.signed!r}")
        object.__setattr__(self, "bits", int(self.bits))
        object.__setattr__(self, "signed", bool(self.signed))

    @classmethod
    def parse(cls, label: str) -> OperandFormat:
        """Read a label such as ``"8u"`` or ``"12s"``; the inverse of `label`."""
        match = _LABEL.fullmatch(label.strip()) if isinstance(label, str) else None
        if match is None:
            raise ParameterError(
                f"operand format {label!r} is not understood; write the width and 'u' or 's', such as '8u' or '12s'"
            )
        return cls(int(match[1]), match[2] == "s")

    @property
    def label(self) -> str:
        """Width and sign, such as ``"8u"``."""
        return f"{self.bits}{'s' if self.signed else 'u'}"

    def __str__(self) -> str:
        return self.label

    @property
    def minimum(self) -> int:
        """Smallest representable value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest representable value."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def size(self) -> int:
        """Number of representable values, ``2**bits``."""
        return 1 << self.bits

    def values(self) -> IntArray:
        """All values in natural (ascending) order, int64, shape ``(2**bits,)``."""
        return np.arange(self.minimum, self.maximum + 1, dtype=np.int64)

    def check(self, x: ArrayLike, operand: str = "x") -> IntArray:
        """Return ``x`` as int64 after checking that every value is representable.

        Parameters
        ----------
        x : array_like of int
            Python integers or any NumPy integer type.
        operand : str
            How messages call the operand.

        Raises
        ------
        OperandTypeError
            If ``x`` is not made of integers (floats and booleans are refused, never rounded).
        OperandRangeError
            If a value lies outside ``[minimum, maximum]``.

        Examples
        --------
        >>> OperandFormat(8).check(256, "a")
        Traceback (most recent call last):
            ...
        multipliers.errors.OperandRangeError: operand a: 256 is outside [0, 255] of the format 8u
        """
        array = np.asarray(x)
        if array.dtype.kind == "O" and all(
            isinstance(v, int | np.integer) and not isinstance(v, bool) for v in array.flat
        ):
            worst = next((v for v in array.flat if not self.minimum <= v <= self.maximum), None)
            if worst is not None:
                raise self._range_error(int(worst), operand)
            array = array.astype(np.int64)
        if array.dtype.kind not in "iu":
            raise OperandTypeError(
                f"operand {operand} must be integers, got {array.dtype}; "
                f"quantise it first, for example with np.rint(x).astype(np.int64)"
            )
        if array.size:
            low, high = int(array.min()), int(array.max())
            if low < self.minimum:
                raise self._range_error(low, operand)
            if high > self.maximum:
                raise self._range_error(high, operand)
        return array.astype(np.int64, copy=False)

    def _range_error(self, value: int, operand: str) -> OperandRangeError:
        return OperandRangeError(
            f"operand {operand}: {value} is outside [{self.minimum}, {self.maximum}] of the format {self.label}"
        )

    def wrap(self, x: ArrayLike) -> IntArray:
        """Reduce integers modulo ``2**bits`` into the format (what ``bits`` wires would carry)."""
        array = np.asarray(x)
        if array.dtype.kind not in "iu":
            raise OperandTypeError(f"only integers can be wrapped, got {array.dtype}")
        low_bits = array.astype(np.int64) & (self.size - 1)
        return np.where(low_bits > self.maximum, low_bits - self.size, low_bits)
