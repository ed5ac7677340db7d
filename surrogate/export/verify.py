"""Compare what was exported with the surrogate it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from multipliers.multiplier import sample_pairs
from multipliers.operands import IntArray
from surrogate.basis import FactorArray
from surrogate.errors import SurrogateError
from surrogate.model import Surrogate

_EVERY_PAIR = 1 << 24  # pairs up to which all are compared
_SAMPLE = 1 << 16
_BLOCK = 1 << 18
_ROUNDING = 1e-12  # of the largest product: where a target adds up in another order


def check_file(surrogate: Surrogate, function: Callable[[IntArray, IntArray], FactorArray], target: str) -> None:
    """Raise unless a function gives a surrogate's products: on all pairs up to 2**24, else on a sample of 65,536.

    Products of integers must be equal, others equal up to rounding (1e-12 of the largest).

    Raises
    ------
    SurrogateError
        Naming the first pair that differs and both products.
    """
    for a, b in _pairs(surrogate):
        expected, got = surrogate(a, b), function(a, b)
        exact = surrogate.is_integer
        allowed = 0.0 if exact else _ROUNDING * max(1.0, float(np.abs(expected).max()))
        wrong = np.flatnonzero(~(np.abs(got - expected) <= allowed))
        if wrong.size:
            i = wrong[0]
            raise SurrogateError(
                f"the export to {target!r} is not faithful: at a = {a[i]}, b = {b[i]} it gives {got[i]!r:.40}, "
                f"the surrogate {expected[i]!r:.40}; nothing was written"
            )


def _pairs(surrogate: Surrogate) -> Iterator[tuple[IntArray, IntArray]]:
    a, b = surrogate.a, surrogate.b
    if a.size * b.size > _EVERY_PAIR:
        yield sample_pairs(a, b, _SAMPLE)
        return
    rows = max(1, _BLOCK // b.size)
    for start in range(0, a.size, rows):
        left, right = np.meshgrid(a.values()[start : start + rows], b.values(), indexing="ij")
        yield left.ravel(), right.ravel()
