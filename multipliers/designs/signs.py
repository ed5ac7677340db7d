"""How designs built on an unsigned core handle signed operands."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from multipliers.errors import ParameterError
from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat


class MagnitudeDesign(Design):
    """An unsigned core with sign-magnitude wrapping (rule *C2*).

    Signed operands are replaced by their exact two's-complement magnitude ``|x|``, the core multiplies the
    magnitudes, and the product is negated exactly if the signs differ, so ``f(-a, b) = -f(a, b)`` wherever ``-a`` is
    representable. Subclasses implement `_core`.
    """

    @abstractmethod
    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        """Multiply magnitudes, ``0 <= a <= 2**n`` and ``0 <= b <= 2**m``."""

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        product = self._core(np.abs(a), np.abs(b))
        return np.where((a < 0) != (b < 0), -product, product)


class ComplementDesign(MagnitudeDesign):
    """An unsigned core with a choice of sign rule, the field ``complement``.

    * None where no operand is signed.
    * 1 (*C1*): a negative operand is replaced by its ones' complement ``~x``, and the product ``p`` by ``~p`` if signs
      differ. The product is 0 only where an *original* operand is 0; the magnitude 0 of the operand -1 acts as 1.
    * 2 (*C2*): exact two's-complement magnitudes and an exact negation, as `MagnitudeDesign`.

    Subclasses implement `_core` and call `_check_complement`.
    """

    complement: int | None

    def _check_complement(self) -> None:
        if self.a.signed or self.b.signed:
            if self.complement is None:
                raise ParameterError(
                    f"{type(self).__name__} of {self.a} x {self.b} operands needs a sign rule: complement=1 "
                    f"(ones' complement, as published) or complement=2 (magnitude); 'c1' or 'c2' in a label"
                )
            self._check_parameter("complement", 1, 2)
        elif self.complement is not None:
            raise ParameterError(
                f"{type(self).__name__}: complement is the rule for signs, and {self.a} x {self.b} operands have "
                f"none; leave it out"
            )

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        if self.complement != 1:
            return super()._product(a, b)
        product = self._core(*(np.maximum(np.where(x < 0, ~x, x), 1) for x in (a, b)))
        return np.where((a == 0) | (b == 0), 0, np.where((a < 0) != (b < 0), ~product, product))


def check_room(design: Design) -> None:
    """Raise unless products stay within ``2**62`` in magnitude, which leaves room for a design that rounds up.

    True of operands up to 31 bits unsigned and 32 bits signed.
    """
    if _largest(design.a) * _largest(design.b) > 1 << 62:
        raise ParameterError(
            f"products of {design.family} with {design.a} x {design.b} operands do not fit int64 with room for errors; "
            f"use narrower operands (up to 31u x 31u or 32s x 32s)"
        )


def _largest(x: OperandFormat) -> int:
    return max(-x.minimum, x.maximum)
