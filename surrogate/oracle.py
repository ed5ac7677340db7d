"""Multipliers as anyone's code: what they raise is told with the operands, and products that change are noticed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from multipliers.multiplier import Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat
from surrogate.errors import OracleError

_WITNESSES = 1 << 10
_WITNESS_START = 1 << 41  # where the witnesses' sequence starts: apart from the pairs of fingerprints and certificates
_PACKAGES = ("multipliers", "surrogate", "catalog")


@dataclass(frozen=True)
class Oracle(Multiplier):
    """A multiplier that is watched: it answers as ``multiplier`` does, and what goes wrong there is an `OracleError`.

    Parameters
    ----------
    multiplier : Multiplier
        Whose products it gives. Errors of this project's own classes, such as an operand out of range, stay as they
        are.

    Examples
    --------
    >>> from multipliers import CallableMultiplier, OperandFormat
    >>> divider = CallableMultiplier(lambda a, b: a // b, OperandFormat(2), OperandFormat(2), False, name="divider")
    >>> Oracle(divider)([3, 2], [1, 0])
    Traceback (most recent call last):
        ...
    surrogate.errors.OracleError: divider raised ZeroDivisionError at a = 2, b = 0: ...
    """

    multiplier: Multiplier
    a: OperandFormat = field(init=False)
    b: OperandFormat = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", self.multiplier.a)
        object.__setattr__(self, "b", self.multiplier.b)

    @property
    def name(self) -> str:
        """The multiplier's own."""
        return self.multiplier.name

    def __call__(self, a: ArrayLike, b: ArrayLike) -> IntArray:
        """Multiply as the multiplier does.

        Raises
        ------
        OracleError
            If its code raises, with one pair of operands at which it does.
        """
        try:
            return self.multiplier(a, b)
        except Exception as error:
            if isinstance(error, MemoryError) or _is_ours(error):
                raise
            raise OracleError(
                f"{self.name} raised {type(error).__name__} at {self._place(np.asarray(a), np.asarray(b))}: {error}; "
                f"a multiplier is defined on every pair of its operands"
            ) from error

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return self(a, b)

    def _place(self, a: IntArray, b: IntArray) -> str:
        """Say where it raises: the first pair that does so again, found by halving, or the range of all of them."""
        a, b = (x.ravel() for x in np.broadcast_arrays(a, b))
        if not self._raises(a, b):
            return f"a = {a.min()} ... {a.max()}, b = {b.min()} ... {b.max()}, but not the second time"
        while a.size > 1:
            half = a.size // 2
            a, b = (a[:half], b[:half]) if self._raises(a[:half], b[:half]) else (a[half:], b[half:])
        return f"a = {a[0]}, b = {b[0]}"

    def _raises(self, a: IntArray, b: IntArray) -> bool:
        try:
            self.multiplier(a, b)
        except Exception:
            return True
        return False


def _is_ours(error: Exception) -> bool:
    return any(kind.__module__.split(".")[0] in _PACKAGES for kind in type(error).__mro__)


@dataclass(frozen=True)
class Witness:
    """Products that were seen, to be asked for again: a multiplier is a pure function of its operands.

    Attributes
    ----------
    a, b, products : ndarray of int64, of one length
    """

    a: IntArray
    b: IntArray
    products: IntArray

    @classmethod
    def of(cls, multiplier: Multiplier) -> Witness:
        """Ask for the products of some reproducible random pairs, and at once again.

        Raises
        ------
        OracleError
            If the second answer is another one.
        """
        a, b = sample_pairs(multiplier.a, multiplier.b, min(_WITNESSES, multiplier.n_pairs), start=_WITNESS_START)
        witness = cls(a, b, multiplier(a, b))
        witness.check(multiplier)
        return witness

    def check(self, multiplier: Multiplier) -> None:
        """Ask for the same products again.

        Raises
        ------
        OracleError
            If one is another now; with its operands and both products.
        """
        again = multiplier(self.a, self.b)
        changed = np.flatnonzero(again != self.products)
        if len(changed):
            i = changed[0]
            raise OracleError(
                f"{multiplier.name} is not deterministic: {multiplier.name}({self.a[i]}, {self.b[i]}) was "
                f"{self.products[i]} and is now {again[i]} ({len(changed)} of {len(self.products)} repeated products "
                f"changed); a multiplier is a pure function of its operands, so fix its seed or remove its state"
            )
