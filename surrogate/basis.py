"""Basis functions of one operand: the factors that a surrogate is made of.

Each is a frozen dataclass that validates its own parameters, evaluates on int64 arrays, and is stored as
``{"name": ..., "configuration": {...}}``. Signs: ``mod`` is the floor modulus (in ``[0, 2**l)``, as in NumPy and
PyTorch), ``bit`` reads two's complement, the leading-one truncation works on the magnitude and restores the sign.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.bits import leading_one
from multipliers.operands import MAX_BITS, IntArray, OperandFormat
from surrogate.errors import SurrogateError

FactorArray = NDArray[Any]
"""Values of integer functions, int64, or of others, float64."""


class BasisFunction(ABC):
    """A function of one integer operand."""

    kind: ClassVar[str]
    """Name in files."""

    @abstractmethod
    def __call__(self, x: IntArray) -> FactorArray:
        """Evaluate on int64 values; int64 where `is_integer`, else float64."""

    @abstractmethod
    def formula(self, variable: str) -> str:
        """Write the function of ``variable`` for people."""

    @property
    def is_integer(self) -> bool:
        """Whether every value is an integer."""
        return True

    def check(self, operand: OperandFormat) -> None:  # noqa: B027  # most functions are total: nothing to check
        """Raise `SurrogateError` unless the function is defined on every value of ``operand``."""

    def largest(self, operand: OperandFormat) -> float:
        """Return a bound of the magnitude on ``operand``, an int where `is_integer`; needs no table.

        Here that of the smallest and the largest operand, which bound every function that grows with the magnitude.
        """
        ends = self(np.array([operand.minimum, operand.maximum], dtype=np.int64))
        return max(abs(int(v) if self.is_integer else float(v)) for v in ends)

    def tabulate(self, operand: OperandFormat) -> FactorArray:
        """Values on the whole format, in natural order, shape ``(2**bits,)``."""
        self.check(operand)
        return self(operand.values())

    def configuration(self) -> dict[str, Any]:
        """Parameters as plain JSON values; the inverse of the constructor."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> BasisFunction:
        """Build the function from `configuration`."""
        expected = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if set(configuration) != expected:
            raise SurrogateError(
                f"basis function {cls.kind!r} is configured by {sorted(expected)}, got {sorted(configuration)}"
            )
        return cls(**configuration)

    def to_dict(self) -> dict[str, Any]:
        """Name and configuration, for files."""
        return {"name": self.kind, "configuration": self.configuration()}


_BASIS: dict[str, type[BasisFunction]] = {}

B = TypeVar("B", bound=type[BasisFunction])


def _register(cls: B) -> B:
    _BASIS[cls.kind] = cls
    return cls


def from_dict(data: Mapping[str, Any]) -> BasisFunction:
    """Build a basis function from its stored form.

    Raises
    ------
    SurrogateError
        If the form, the name or the configuration is unknown.
    """
    if not isinstance(data, Mapping) or set(data) != {"name", "configuration"}:
        raise SurrogateError("a basis function is stored as {'name': ..., 'configuration': {...}}")
    name, configuration = data["name"], data["configuration"]
    if not isinstance(name, str) or name not in _BASIS:
        raise SurrogateError(f"unknown basis function {name!r:.80}; this version knows {', '.join(sorted(_BASIS))}")
    if not isinstance(configuration, Mapping):
        raise SurrogateError(f"the configuration of {name!r} must be an object")
    return _BASIS[name].from_configuration(configuration)


def _check_int(kind: str, name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SurrogateError(f"{kind}: {name} must be an integer from {low} to {high}, got {value!r:.80}")


@_register
@dataclass(frozen=True)
class Constant(BasisFunction):
    """The constant 1."""

    kind = "constant"

    def __call__(self, x: IntArray) -> IntArray:
        return np.ones_like(x)

    def formula(self, variable: str) -> str:
        return "1"


@_register
@dataclass(frozen=True)
class Identity(BasisFunction):
    """The operand itself, ``x``."""

    kind = "identity"

    def __call__(self, x: IntArray) -> IntArray:
        return x

    def formula(self, variable: str) -> str:
        return variable


@_register
@dataclass(frozen=True)
class Mod(BasisFunction):
    """``x mod 2**bits``, the floor modulus: the low ``bits`` bits, in ``[0, 2**bits)``.

    Examples
    --------
    >>> Mod(2)(np.array([-1, 5]))
    array([3, 1])
    """

    bits: int
    kind = "mod"

    def __post_init__(self) -> None:
        _check_int(self.kind, "bits", self.bits, 0, MAX_BITS)

    def __call__(self, x: IntArray) -> IntArray:
        return x & ((1 << self.bits) - 1)

    def largest(self, operand: OperandFormat) -> int:
        modulus_less_one = (1 << self.bits) - 1
        return modulus_less_one if operand.signed else min(modulus_less_one, operand.maximum)

    def formula(self, variable: str) -> str:
        return f"({variable} mod {1 << self.bits})"


@_register
@dataclass(frozen=True)
class Bit(BasisFunction):
    """Bit ``position`` of the two's-complement operand, 0 or 1."""

    position: int
    kind = "bit"

    def __post_init__(self) -> None:
        _check_int(self.kind, "position", self.position, 0, MAX_BITS - 1)

    def __call__(self, x: IntArray) -> IntArray:
        return (x >> self.position) & 1

    def largest(self, operand: OperandFormat) -> int:
        return 1

    def formula(self, variable: str) -> str:
        return f"bit_{self.position}({variable})"


@_register
@dataclass(frozen=True)
class Truncate(BasisFunction):
    """``x - x mod 2**bits``: the low ``bits`` bits cleared."""

    bits: int
    kind = "truncate"

    def __post_init__(self) -> None:
        _check_int(self.kind, "bits", self.bits, 0, MAX_BITS)

    def __call__(self, x: IntArray) -> IntArray:
        return (x >> self.bits) << self.bits

    def formula(self, variable: str) -> str:
        return f"trunc_{self.bits}({variable})"


@_register
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
        _check_int(self.kind, "bits", self.bits, 1, MAX_BITS)
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


@_register
@dataclass(frozen=True)
class Sign(BasisFunction):
    """``sign(x)``: -1, 0 or 1."""

    kind = "sign"

    def __call__(self, x: IntArray) -> IntArray:
        return np.sign(x)

    def formula(self, variable: str) -> str:
        return f"sign({variable})"


@_register
@dataclass(frozen=True, eq=False)
class Table(BasisFunction):
    """An arbitrary function, by its values in natural order.

    Parameters
    ----------
    operand : OperandFormat
        The format that it is defined on.
    values : array_like, shape (2**bits,)
        Integers in the range of int64, or finite floats.

    Raises
    ------
    SurrogateError
        If the length is not ``2**bits``, or a value is not finite or does not fit.
    """

    operand: OperandFormat
    values: FactorArray
    kind = "table"

    def __init__(self, operand: OperandFormat, values: ArrayLike) -> None:
        array = np.array(values)
        if array.dtype.kind == "f" and not isinstance(values, np.ndarray):
            objects = np.array(values, dtype=object)  # NumPy makes floats of integers from 2**63 on
            array = objects if all(isinstance(v, int | np.integer) for v in objects.flat) else array
        if array.dtype.kind in "iu" and (array.dtype.kind == "i" or array.size == 0 or array.max() < 1 << 63):
            array = array.astype(np.int64)
        elif array.dtype.kind == "f" and np.isfinite(array).all():
            array = array.astype(np.float64) + 0.0  # no -0.0: equal tables have equal bytes
        else:
            raise SurrogateError(f"table: values must be int64 integers or finite floats, got {array.dtype} values")
        if array.shape != (operand.size,):
            raise SurrogateError(f"table: {operand} needs {operand.size} values, got an array of shape {array.shape}")
        array.setflags(write=False)
        object.__setattr__(self, "operand", operand)
        object.__setattr__(self, "values", array)

    def __call__(self, x: IntArray) -> FactorArray:
        return self.values[x - self.operand.minimum]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Table)
            and self.operand == other.operand
            and self.is_integer == other.is_integer
            and np.array_equal(self.values, other.values)
        )

    def __hash__(self) -> int:
        return hash((self.operand, self.values.tobytes()))

    def __repr__(self) -> str:
        return f"Table({self.operand!r}, {self.values.tolist()!r})"

    @property
    def is_integer(self) -> bool:
        return self.values.dtype.kind == "i"

    def largest(self, operand: OperandFormat) -> float:
        bounds = self.values.min(), self.values.max()
        return max(abs(int(v) if self.is_integer else float(v)) for v in bounds)

    def check(self, operand: OperandFormat) -> None:
        if operand != self.operand:
            raise SurrogateError(f"table: defined on {self.operand}, used on an operand of format {operand}")

    def formula(self, variable: str) -> str:
        return f"table({variable})"

    def configuration(self) -> dict[str, Any]:
        kind = "integer" if self.is_integer else "float"
        return {"operand": self.operand.label, "type": kind, "values": self.values.tolist()}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Table:
        if set(configuration) != {"operand", "type", "values"}:
            raise SurrogateError(f"table: configured by operand, type and values, got {sorted(configuration)}")
        values, kind = configuration["values"], configuration["type"]
        accepted: type | tuple[type, ...]
        if kind == "integer":
            accepted, dtype = int, np.int64
        elif kind == "float":
            accepted, dtype = (int, float), np.float64  # type: ignore[assignment]
        else:
            raise SurrogateError(f"table: type must be 'integer' or 'float', got {kind!r:.80}")
        if not isinstance(values, list) or not all(isinstance(v, accepted) and not isinstance(v, bool) for v in values):
            raise SurrogateError(f"table: values must be a list of numbers of type {kind!r}")
        try:
            array = np.array(values, dtype=dtype)
        except OverflowError:
            raise SurrogateError("table: a value does not fit int64") from None
        return cls(OperandFormat.parse(configuration["operand"]), array)
