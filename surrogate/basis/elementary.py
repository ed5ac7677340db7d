"""The plainest functions: constant, identity, sign, and the test for zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.operands import IntArray, OperandFormat
from surrogate.basis.base import BasisFunction, register


@register
@dataclass(frozen=True)
class Constant(BasisFunction):
    """The constant 1."""

    kind = "constant"

    def __call__(self, x: IntArray) -> IntArray:
        return np.ones_like(x)

    def formula(self, variable: str) -> str:
        return "1"


@register
@dataclass(frozen=True)
class Identity(BasisFunction):
    """The operand itself, ``x``."""

    kind = "identity"

    def __call__(self, x: IntArray) -> IntArray:
        return x

    def formula(self, variable: str) -> str:
        return variable


@register
@dataclass(frozen=True)
class Sign(BasisFunction):
    """``sign(x)``: -1, 0 or 1."""

    kind = "sign"

    def __call__(self, x: IntArray) -> IntArray:
        return np.sign(x)

    def formula(self, variable: str) -> str:
        return f"sign({variable})"


@register
@dataclass(frozen=True)
class IsZero(BasisFunction):
    """1 where ``x`` is 0, else 0."""

    kind = "is_zero"
    since = 2

    def __call__(self, x: IntArray) -> IntArray:
        zero: IntArray = (x == 0).astype(np.int64)
        return zero

    def largest(self, operand: OperandFormat) -> int:
        return 1

    def formula(self, variable: str) -> str:
        return f"[{variable} = 0]"
