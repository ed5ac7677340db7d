"""Products of a surrogate as integers with a scale each, where it has no other floats than its coefficients.

Integer products are exact in narrow datatypes; what is rounded is only the sum of so many scaled integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from multipliers.operands import IntArray
from surrogate.factors import Factors
from surrogate.model import Surrogate, Term

_LARGEST_DENOMINATOR = 1000  # coefficients of up to three decimals, as the published recipe rounds them


@dataclass(frozen=True)
class ScaledFactors:
    """``sum_j scale[j] * left[a, j] * right[b, j]``: the products of a surrogate, without its additive part.

    Attributes
    ----------
    scale : tuple of int or float
        All 1 where the surrogate is integer.
    left, right : ndarray of int64, shapes (2**n, k) and (2**m, k)
    """

    scale: tuple[int | float, ...]
    left: IntArray
    right: IntArray

    def swapped(self) -> ScaledFactors:
        """Exchange the operands."""
        return ScaledFactors(self.scale, self.right, self.left)

    @classmethod
    def of_integers(cls, factors: Factors) -> ScaledFactors:
        """Take the products of integer factors as they are."""
        return cls((1,) * factors.n_products, factors.left.astype(np.int64), factors.right.astype(np.int64))

    @classmethod
    def of(cls, surrogate: Surrogate) -> ScaledFactors | None:
        """Scale the products of a surrogate.

        Returns
        -------
        ScaledFactors or None
            None if a function is not integer, or the coefficients of a product have no scale in common: it has
            several, and they are no multiples of one thousandth, or the like.

        Examples
        --------
        >>> import multipliers, surrogate
        >>> found = ScaledFactors.of(surrogate.discover(multipliers.get("roba8u"), method="htp"))
        >>> found.scale
        (1, 0.1)
        """
        if surrogate.is_integer:
            return cls.of_integers(surrogate.factors())
        by_b, groups = surrogate.groups()
        shared = [g.tabulate(surrogate.b if by_b else surrogate.a) for g in groups]
        merged = [_merged(terms, by_b, surrogate) for terms in groups.values()]
        found = [each for each in merged if each is not None]
        if len(found) < len(groups) or not groups or not all(g.is_integer for g in groups):
            return None
        scale, other = tuple(s for s, _ in found), np.column_stack([column for _, column in found])
        left, right = (other, np.column_stack(shared)) if by_b else (np.column_stack(shared), other)
        return cls(scale, left, right)


def _merged(terms: list[Term], by_b: bool, surrogate: Surrogate) -> tuple[int | float, IntArray] | None:
    """Add terms that share a function: a scale, and the integers that it scales."""
    functions = [term.a if by_b else term.b for term in terms]
    operand = surrogate.a if by_b else surrogate.b
    if not all(f.is_integer for f in functions):
        return None
    numbers = [Fraction(str(term.coefficient)) for term in terms]  # decimals as they are written
    denominator = math.lcm(*(n.denominator for n in numbers))
    numerators = [int(n * denominator) for n in numbers]
    common = math.gcd(*numerators)
    parts = [n // common if common else 0 for n in numerators]
    bound = sum(abs(n) * f.largest(operand) for n, f in zip(parts, functions, strict=True))
    if bound >= 1 << 62 or (len(terms) > 1 and denominator > _LARGEST_DENOMINATOR):
        return None
    scale = Fraction(common, denominator)
    column = sum(n * f.tabulate(operand) for n, f in zip(parts, functions, strict=True))
    return scale.numerator if scale.denominator == 1 else float(scale), np.asarray(column, dtype=np.int64)
