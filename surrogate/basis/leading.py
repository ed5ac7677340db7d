"""Functions of the leading one: truncation to leading bits, the nearest power of two, tables over the mantissa."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from multipliers.bits import fraction_bits, leading_one, nearest_power
from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from surrogate.basis.base import BasisFunction, FactorArray, check_int, read_values, register
from surrogate.errors import SurrogateError


@register
@dataclass(frozen=True)
class LeadingOneTruncate(BasisFunction):
    """``sign(x) T(abs(x))``, where ``T`` keeps the ``bits`` leading bits and clears the rest.

    With ``unbiased`` the last kept bit is set wherever bits were cut off (the rule of DRUM: Hashemi, Bahar, Reda,
    ICCAD 2015); without, the operand is truncated (the rule of DSM: Narayanamoorthy et al., TVLSI 23(6), 2015).

    Examples
    --------
    >>> LeadingOneTruncate(3, False)(np.array([-45, 6])), LeadingOneTruncate(3, True)(np.array([-33, 6]))
    (array([-40,   6]), array([-40,   6]))
    """

    bits: int
    unbiased: bool = False
    kind = "leading_one_truncate"

    def __post_init__(self) -> None:
        check_int(self.kind, "bits", self.bits, 1, MAX_BITS)
        if not isinstance(self.unbiased, bool):
            raise SurrogateError(f"{self.kind}: unbiased must be true or false, got {self.unbiased!r:.80}")

    def __call__(self, x: IntArray) -> IntArray:
        magnitude = np.abs(x)
        shift = np.maximum(leading_one(magnitude) - (self.bits - 1), 0)
        kept = magnitude >> shift
        if self.unbiased:
            kept = kept | (shift > 0)
        truncated: IntArray = np.sign(x) * (kept << shift)
        return truncated

    def formula(self, variable: str) -> str:
        return f"{'drum' if self.unbiased else 'lead'}_{self.bits}({variable})"


@register
@dataclass(frozen=True)
class NearestPower(BasisFunction):
    """``sign(x)`` times the power of two nearest to ``abs(x)``, ties upwards; 0 at 0.

    With ``three_down`` the tie at 3 alone goes to 2 (the rule of RoBA: Zendegani et al., TVLSI 25(2), 2017), else to 4
    (that of ILM-EA: Ansari, Cockburn, Han, IEEE TC 70(4), 2021).

    Examples
    --------
    >>> NearestPower()(np.array([-6, 3, 5])), NearestPower(three_down=True)(np.array([-6, 3, 5]))
    (array([-8,  4,  4]), array([-8,  2,  4]))
    """

    three_down: bool = False
    kind = "nearest_power"
    since = 2

    def __post_init__(self) -> None:
        if not isinstance(self.three_down, bool):
            raise SurrogateError(f"{self.kind}: three_down must be true or false, got {self.three_down!r:.80}")

    def __call__(self, x: IntArray) -> IntArray:
        magnitude = np.abs(x)
        power = nearest_power(magnitude)
        if self.three_down:
            power = np.where(magnitude == 3, 2, power)
        nearest: IntArray = np.sign(x) * power
        return nearest

    def formula(self, variable: str) -> str:
        return f"nearest_power{'_3to2' if self.three_down else ''}({variable})"


@register
@dataclass(frozen=True, eq=False)
class LeadingOneTable(BasisFunction):
    """A function of the mantissa, scaled by the leading one: the factors of logarithmic and floating-point designs.

    With ``k = floor(log2 abs(x))`` and ``i`` the first ``bits`` bits of the mantissa ``abs(x) / 2**k - 1`` (short ones
    followed by zeros, long ones truncated),

        sign(x) * floor(2**k * values[i] / 2**scale)        for integers,
        sign(x) * 2**k * values[i]                          for floats,

    and 0 where x is 0. So a table of ``2**bits`` values serves operands of any width.

    Parameters
    ----------
    values : array_like, shape (2**bits,)
        ``bits`` from 0 to 31; integers below 2**30 in magnitude, or finite floats below 2**60.
    scale : int
        From 0 to 32; 0 for floats.

    Raises
    ------
    SurrogateError
        If the length is no power of two, a value does not fit, or floats have a scale.

    Examples
    --------
    >>> LeadingOneTable([2, 3], scale=1)(np.array([0, 1, 2, 3, -6, 7]))  # one fraction bit: 1.0 and 1.5
    array([ 0,  1,  2,  3, -6,  6])
    >>> LeadingOneTable([0.5, 0.75])(np.array([0, 1, 3, -6]))
    array([ 0. ,  0.5,  1.5, -3. ])
    """

    values: FactorArray
    scale: int = 0
    kind = "leading_one_table"
    since = 2

    def __init__(self, values: ArrayLike, scale: int = 0) -> None:
        array = np.array(values)
        if array.ndim != 1 or array.size == 0 or array.size & (array.size - 1) or array.size > 1 << (MAX_BITS - 1):
            raise SurrogateError(f"{self.kind}: needs 2**bits values, got an array of shape {array.shape}")
        check_int(self.kind, "scale", scale, 0, MAX_BITS)
        if array.dtype.kind in "iu" and -(1 << 30) < int(array.min()) <= int(array.max()) < 1 << 30:
            array = array.astype(np.int64)
        elif array.dtype.kind == "f" and (np.abs(array) < 2.0**60).all() and scale == 0:
            array = array.astype(np.float64) + 0.0  # no -0.0: equal tables have equal bytes
        else:
            raise SurrogateError(
                f"{self.kind}: values must be integers below 2**30 in magnitude, or floats below 2**60 without scale"
            )
        array.setflags(write=False)
        object.__setattr__(self, "values", array)
        object.__setattr__(self, "scale", scale)

    @classmethod
    def recognise(cls, operand: OperandFormat, values: IntArray) -> LeadingOneTable | None:
        """Write a function, given by its values in natural order, as the shortest such table; None if it is none.

        The highest whole octave of operands gives the table, all others must agree with it.
        """
        octave = operand.bits - 1 - operand.signed
        if octave < 0:
            return None
        highest = values[(np.int64(1) << octave) - operand.minimum + np.arange(1 << octave)]
        for bits in range(octave):
            table = highest[:: 1 << (octave - bits)]
            if not np.array_equal(np.repeat(table, 1 << (octave - bits)), highest):
                continue
            common = np.gcd.reduce(table)
            shift = min(octave, int(common & -common).bit_length() - 1) if common else octave
            if np.abs(table >> shift).max() >= 1 << 30:
                return None
            found = cls(table >> shift, octave - shift)
            return found if np.array_equal(found.tabulate(operand), values) else None
        return None

    @property
    def bits(self) -> int:
        """Bits of the mantissa that count."""
        return self.values.size.bit_length() - 1

    @property
    def is_integer(self) -> bool:
        return self.values.dtype.kind == "i"

    def __call__(self, x: IntArray) -> FactorArray:
        magnitude = np.maximum(np.abs(x), 1)
        values, octave = self.values[fraction_bits(magnitude, self.bits)], leading_one(magnitude)
        if not self.is_integer:
            scaled: FactorArray = np.sign(x) * np.ldexp(values, octave)
            return scaled
        product: IntArray = np.sign(x) * ((values << octave) >> self.scale)
        return product

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LeadingOneTable)
            and self.scale == other.scale
            and self.is_integer == other.is_integer
            and np.array_equal(self.values, other.values)
        )

    def __hash__(self) -> int:
        return hash((self.scale, self.values.tobytes()))

    def __repr__(self) -> str:
        return f"LeadingOneTable({self.values.tolist()!r}, {self.scale!r})"

    def largest(self, operand: OperandFormat) -> float:
        highest = max(-operand.minimum, operand.maximum).bit_length() - 1
        if not self.is_integer:
            return float(np.abs(self.values).max()) * 2.0**highest
        smallest, greatest = (int(v) << highest >> self.scale for v in (self.values.min(), self.values.max()))
        return max(abs(smallest), abs(greatest), 1)  # floor(-1/2) is -1 at smaller operands too

    def formula(self, variable: str) -> str:
        return f"mantissa_table_{self.bits}({variable})"

    def configuration(self) -> dict[str, Any]:
        kind = "integer" if self.is_integer else "float"
        return {"type": kind, "values": self.values.tolist(), "scale": self.scale}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> LeadingOneTable:
        if set(configuration) != {"type", "values", "scale"}:
            raise SurrogateError(f"{cls.kind}: configured by type, values and scale, got {sorted(configuration)}")
        return cls(read_values(cls.kind, configuration["type"], configuration["values"]), configuration["scale"])
