"""What every basis function is, and how one is stored."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from multipliers.operands import IntArray, OperandFormat
from surrogate.errors import SurrogateError

FactorArray = NDArray[Any]
"""Values of integer functions, int64, or of others, float64."""


class BasisFunction(ABC):
    """A function of one integer operand."""

    kind: ClassVar[str]
    """Name in files."""

    since: ClassVar[int] = 1
    """Version of the file format that brought it."""

    @abstractmethod
    def __call__(self, x: IntArray) -> FactorArray:
        """Evaluate on int64 values; int64 where `is_integer`, else float64."""

    @abstractmethod
    def formula(self, variable: str) -> str:
        """Write the function of ``variable`` for people."""

    @property
    def components(self) -> tuple[BasisFunction, ...]:
        """The functions that this one is made of, itself included."""
        return (self,)

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
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> BasisFunction:
        """Build the function from `configuration`."""
        expected = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # subclasses are
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


def register(cls: B) -> B:
    """Class decorator: make a basis function known under its ``kind``."""
    _BASIS[cls.kind] = cls
    return cls


def kinds() -> dict[str, type[BasisFunction]]:
    """Return the classes of basis functions by their name in files."""
    return dict(sorted(_BASIS.items()))


def from_dict(data: Mapping[str, Any], excluded: Collection[str] = ()) -> BasisFunction:
    """Build a basis function from its stored form, whose name must be none of ``excluded``.

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
    if name in excluded:
        raise SurrogateError(f"the basis function {name!r} cannot be part of another one here")
    if not isinstance(configuration, Mapping):
        raise SurrogateError(f"the configuration of {name!r} must be an object")
    return _BASIS[name].from_configuration(configuration)


def check_int(kind: str, name: str, value: object, low: int, high: int) -> None:
    """Raise `SurrogateError` unless a parameter is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SurrogateError(f"{kind}: {name} must be an integer from {low} to {high}, got {value!r:.80}")


def read_values(kind: str, type_name: Any, values: Any) -> FactorArray:
    """Read the stored values of a table: a list of numbers, of type ``"integer"`` or ``"float"``.

    Raises
    ------
    SurrogateError
        If the type is neither, or a value is not of it.
    """
    accepted: type | tuple[type, ...]
    if type_name == "integer":
        accepted, dtype = int, np.int64
    elif type_name == "float":
        accepted, dtype = (int, float), np.float64  # type: ignore[assignment]  # inferred as the types of integers
    else:
        raise SurrogateError(f"{kind}: type must be 'integer' or 'float', got {type_name!r:.80}")
    if not isinstance(values, list) or not all(isinstance(v, accepted) and not isinstance(v, bool) for v in values):
        raise SurrogateError(f"{kind}: values must be a list of numbers of type {type_name!r}")
    try:
        return np.array(values, dtype=dtype)
    except OverflowError:
        raise SurrogateError(f"{kind}: a value does not fit int64") from None
