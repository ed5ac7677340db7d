"""Floating-point formats: sign, exponent, mantissa."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.errors import OperandTypeError, ParameterError, UnknownNameError
from multipliers.operands import IntArray, OperandFormat

FloatArray = NDArray[np.float32]

MAX_EXPONENT_BITS = 8
MAX_MANTISSA_BITS = 23
"""Every number of such a format is a float32."""

_LABEL = re.compile(r"e([1-9][0-9]?)m([1-9][0-9]?)")
_DOUBLE_BITS, _DOUBLE_BIAS, _DOUBLE_TOP = 52, 1023, 0x7FF


@dataclass(frozen=True, order=True)
class FloatFormat:
    """A binary floating-point format without subnormal numbers.

    A code of ``1 + E + F`` bits is, from the highest, the sign ``s``, the exponent field ``e`` and the mantissa ``m``:

        (-1)**s * 2**(e - bias) * (1 + m / 2**F)    where 0 < e < 2**E - 1
        0                                           where e = 0, whatever m
        infinity, NaN                               where e = 2**E - 1: m = 0, m != 0

    with ``bias = 2**(E - 1) - 1``. This is IEEE 754 but for subnormal numbers, which approximate designs take for 0.

    Parameters
    ----------
    exponent_bits : int
        ``E``, 2 to 8.
    mantissa_bits : int
        ``F``, 1 to 23, without the leading one.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> form = FloatFormat.parse("bfloat16")
    >>> form, form.label, form.bias
    (FloatFormat(exponent_bits=8, mantissa_bits=7), 'e8m7', 127)
    >>> form.truncate([1.01, -3.999, -1e-40])
    array([ 1.0078125, -3.984375 , -0.       ], dtype=float32)
    """

    exponent_bits: int
    mantissa_bits: int

    def __post_init__(self) -> None:
        for name, low, high in (("exponent_bits", 2, MAX_EXPONENT_BITS), ("mantissa_bits", 1, MAX_MANTISSA_BITS)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
                raise ParameterError(
                    f"{name} must be an integer from {low} to {high} (numbers of the format are float32), got {value!r}"
                )
            object.__setattr__(self, name, int(value))

    @classmethod
    def parse(cls, label: str) -> FloatFormat:
        """Read a label such as ``"e8m7"``, or a name: float32, tf32, bfloat16, float16.

        Raises
        ------
        UnknownNameError
            If it is neither.
        """
        match = _LABEL.fullmatch(label)
        if match is not None:
            return cls(int(match[1]), int(match[2]))
        if label not in NAMES:
            raise UnknownNameError.of(
                "floating-point format", label, NAMES, "Or write the bits of exponent and mantissa: 'e8m7'."
            )
        return NAMES[label]

    @property
    def label(self) -> str:
        """Widths of exponent and mantissa, such as ``"e8m7"``."""
        return f"e{self.exponent_bits}m{self.mantissa_bits}"

    def __str__(self) -> str:
        return self.label

    @property
    def bits(self) -> int:
        """Width of a code, ``1 + E + F``."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def codes(self) -> OperandFormat:
        """The codes, as unsigned integers."""
        return OperandFormat(self.bits)

    @property
    def bias(self) -> int:
        """Exponent field of 1."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def top(self) -> int:
        """Exponent field of infinity and NaN, ``2**E - 1``."""
        return (1 << self.exponent_bits) - 1

    @property
    def infinity(self) -> int:
        """Code of positive infinity."""
        return self.top << self.mantissa_bits

    @property
    def nan(self) -> int:
        """Code that `encode` gives every NaN: quiet, positive, no payload."""
        return self.infinity | 1 << (self.mantissa_bits - 1)

    @property
    def smallest(self) -> float:
        """Smallest positive number, ``2**(1 - bias)``."""
        return 2.0 ** (1 - self.bias)

    @property
    def largest(self) -> float:
        """Largest finite number."""
        return 2.0 ** (self.top - 1 - self.bias) * (2 - 2.0**-self.mantissa_bits)

    def split(self, codes: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Return sign (0 or 1), exponent field and mantissa of checked codes."""
        fields = codes >> self.mantissa_bits
        return fields >> self.exponent_bits, fields & self.top, codes & ((1 << self.mantissa_bits) - 1)

    def encode(self, x: ArrayLike) -> IntArray:
        """Codes of numbers, truncated towards zero (RTZ).

        Mantissa bits beyond ``F`` are cut off. Magnitudes below `smallest` become 0 and those above `largest`, but for
        infinity, become `largest`; both keep their sign. Payload and sign of a NaN are lost.

        Parameters
        ----------
        x : array_like of float
            float16, float32 or float64; wider formats are cut directly, never rounded on the way.

        Raises
        ------
        OperandTypeError
            If ``x`` is not made of such numbers.

        Examples
        --------
        >>> [hex(code) for code in FloatFormat(8, 7).encode([1.0, -2.0, 3.4e38, float("inf")])]
        ['0x3f80', '0xc000', '0x7f7f', '0x7f80']
        """
        array = np.asarray(x)
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            raise OperandTypeError(
                f"floating-point operands must be float16, float32 or float64, got {array.dtype}; "
                f"convert them, for example with np.asarray(x, dtype=np.float32)"
            )
        with np.errstate(invalid="ignore"):  # a signalling NaN
            words: IntArray = array.astype(np.float64).view(np.int64)
        field = (words >> _DOUBLE_BITS) & _DOUBLE_TOP
        fraction = words & ((1 << _DOUBLE_BITS) - 1)
        exponent = field - _DOUBLE_BIAS + self.bias
        code = exponent << self.mantissa_bits | fraction >> (_DOUBLE_BITS - self.mantissa_bits)
        code = np.where(exponent <= 0, 0, np.where(exponent >= self.top, self.infinity - 1, code))
        code = np.where(field == _DOUBLE_TOP, self.infinity, code) | (words < 0).astype(np.int64) << (self.bits - 1)
        return np.where((field == _DOUBLE_TOP) & (fraction != 0), self.nan, code)

    def decode(self, codes: ArrayLike) -> FloatArray:
        """Numbers of codes, as float32, which holds all of them; the inverse of `encode`. NaN loses its payload.

        Raises
        ------
        OperandTypeError, OperandRangeError
            If a code is not an integer of ``1 + E + F`` bits.
        """
        sign, field, mantissa = self.split(self.codes.check(codes, "code"))
        exponent = np.where(field == self.top, 0xFF, field - self.bias + FLOAT32.bias)
        magnitude = exponent << FLOAT32.mantissa_bits | mantissa << (FLOAT32.mantissa_bits - self.mantissa_bits)
        magnitude = np.where((field == self.top) & (mantissa != 0), FLOAT32.nan, magnitude)
        word = np.where(field == 0, 0, magnitude) | sign << (FLOAT32.bits - 1)
        numbers: FloatArray = word.astype(np.uint32).view(np.float32)
        return numbers

    def truncate(self, x: ArrayLike) -> FloatArray:
        """Round numbers towards zero to the format; `encode` says how, and raises."""
        return self.decode(self.encode(x))


FLOAT32 = FloatFormat(8, 23)

NAMES = {
    "float32": FLOAT32,
    "tf32": FloatFormat(8, 10),
    "bfloat16": FloatFormat(8, 7),
    "float16": FloatFormat(5, 10),
}
"""Formats by the names that people use (their normal numbers)."""
