"""Algebraic structure of a multiplier: commutative, sign symmetric, zero preserving, monotone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from multipliers.metric_values import Comparison
from multipliers.multiplier import Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat

SAMPLE = 1 << 18
"""Operand pairs behind the structure of a wide multiplier."""


@dataclass(frozen=True)
class Structure:
    """Which laws of the accurate product a multiplier keeps, at every compared pair.

    Attributes
    ----------
    comparison : str
        ``"exhaustive"``, or ``"sampled"``: then true says only that no drawn pair contradicts.
    n_pairs : int
        Operand pairs at which each law was tried.
    commutative : bool or None
        f(a, b) = f(b, a); None where the formats differ.
    sign_symmetric_a, sign_symmetric_b : bool or None
        f(-a, b) = -f(a, b), and f(a, -b) = -f(a, b), for every value whose negative is representable; None where the
        operand is unsigned.
    zero_preserving_a, zero_preserving_b : bool
        f(0, b) = 0 for every b, and f(a, 0) = 0 for every a.
    monotone_a, monotone_b : bool
        Monotone in magnitude: abs(f(a, b)) never decreases when the operand moves away from 0, on either side.
    """

    comparison: Comparison
    n_pairs: int
    commutative: bool | None
    sign_symmetric_a: bool | None
    sign_symmetric_b: bool | None
    zero_preserving_a: bool
    zero_preserving_b: bool
    monotone_a: bool
    monotone_b: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-safe values."""
        return asdict(self)


def find_structure(multiplier: Multiplier, sample: int | None = None) -> Structure:
    """Test the laws of the accurate product.

    Parameters
    ----------
    multiplier : Multiplier
        What to test.
    sample : int, optional
        Operand pairs to draw (`multipliers.multiplier.sample_pairs`); every pair if not given.

    Examples
    --------
    >>> from multipliers import TableMultiplier
    >>> s = find_structure(TableMultiplier([[0, 0], [1, 1]], "1u"))
    >>> s.commutative, s.zero_preserving_a, s.zero_preserving_b, s.monotone_a, s.sign_symmetric_a
    (False, True, False, True, None)
    """
    A, B = multiplier.a, multiplier.b
    if sample is None:
        a, b = A.values()[:, None], B.values()[None, :]
    else:
        a, b = sample_pairs(A, B, sample)
    F = multiplier(a, b)
    size = np.abs(F)
    zero = np.int64(0)

    def commutes() -> bool:
        return bool((multiplier(b, a) == F).all())

    def symmetric_a() -> bool:
        x = np.maximum(a, A.minimum + 1)  # the most negative value has no negative; its neighbour is tested twice
        return bool((multiplier(-x, b) == -multiplier(x, b)).all())

    def symmetric_b() -> bool:
        x = np.maximum(b, B.minimum + 1)
        return bool((multiplier(a, -x) == -multiplier(a, x)).all())

    return Structure(
        comparison="exhaustive" if sample is None else "sampled",
        n_pairs=F.size,
        commutative=commutes() if A == B else None,
        sign_symmetric_a=symmetric_a() if A.signed else None,
        sign_symmetric_b=symmetric_b() if B.signed else None,
        zero_preserving_a=not multiplier(zero, b).any(),
        zero_preserving_b=not multiplier(a, zero).any(),
        monotone_a=all(bool((np.abs(multiplier(x, b)) >= size).all()) for x in _outward(A, a)),
        monotone_b=all(bool((np.abs(multiplier(a, x)) >= size).all()) for x in _outward(B, b)),
    )


def _outward(format: OperandFormat, x: IntArray) -> list[IntArray]:
    """Return the neighbours of each value one step further from 0, where there are any (0 has two if signed)."""
    up, down = np.minimum(x + 1, format.maximum), np.maximum(x - 1, format.minimum)
    steps = [np.where(x >= 0, up, down)]
    return [*steps, np.where(x > 0, up, down)] if format.signed else steps
