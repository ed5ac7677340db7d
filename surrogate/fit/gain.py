"""What weighting by the operands' distributions gains: the same products, fitted with and without knowing them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from multipliers.distributions import FloatArray, normalised_weights, weighted_pairs
from multipliers.errors import ParameterError
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.records import Record
from surrogate.model import Surrogate

_MOST = 16  # products up to which both are compared, if nothing else is said
_SAMPLE = 1 << 20  # pairs behind the residual at operands too wide for a table


@dataclass(frozen=True, eq=False)
class WeightingGain(Record):
    """Residuals of the best surrogates of ``0, 1, 2, ...`` products, both under the operand distributions.

    Attributes
    ----------
    name : str
        The multiplier's label.
    weighted : ndarray of float64
        ``weighted[k]``: root mean square of the residual (LSB) with ``k`` products fitted under the distributions.
    uniform : ndarray of float64
        The same of ``k`` products that are fitted as if all operands were equally likely.
    """

    name: str
    weighted: FloatArray
    uniform: FloatArray

    @property
    def gains(self) -> FloatArray:
        """``uniform / weighted``; 1 where both leave nothing, infinite where only the weighted one does."""
        nothing = 1e-9 * max(float(self.uniform.max()), 1e-300)
        ratio = np.divide(self.uniform, self.weighted, out=np.full(len(self.uniform), np.inf), where=self.weighted > 0)
        gains: FloatArray = np.where((self.uniform <= nothing) & (self.weighted <= nothing), 1.0, ratio)
        return gains


def weighting_gain(
    multiplier: Multiplier,
    weights_a: ArrayLike | None,
    weights_b: ArrayLike | None,
    *,
    most: int = _MOST,
) -> WeightingGain:
    """Compare surrogates that know the operand distributions with those that do not, number of products by number.

    Parameters
    ----------
    multiplier : Multiplier
    weights_a, weights_b : array_like of float or None
        Operand distributions, see `multipliers.distributions.normalised_weights`; None is uniform.
    most : int
        Largest number of products.

    Raises
    ------
    ParameterError
        If ``most`` is below 1, or weights have the wrong shape or values.

    Examples
    --------
    >>> import multipliers
    >>> activations = np.exp(-np.arange(256) / 24)
    >>> found = weighting_gain(multipliers.get("mitchell8u"), activations, None, most=2)
    >>> [round(float(gain), 1) for gain in found.gains]
    [4.5, 1.5, 1.9]
    """
    from surrogate.fit.centred import Separated, separate

    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ParameterError(f"most must be a positive integer, got {most!r}")
    p, q = normalised_weights(multiplier.a, weights_a, "a"), normalised_weights(multiplier.b, weights_b, "b")
    even_p, even_q = normalised_weights(multiplier.a, None, "a"), normalised_weights(multiplier.b, None, "b")
    whole = multiplier.n_pairs <= MAX_TABLE_ENTRIES
    if whole:
        a, b = multiplier.a.values()[:, None], multiplier.b.values()[None, :]
        products, of_pair = multiplier.table(), p[:, None] * q
    else:
        a, b = weighted_pairs(multiplier.a, multiplier.b, _SAMPLE, 0, p, q)
        products, of_pair = multiplier(a, b), np.full(_SAMPLE, 1.0 / _SAMPLE)
    i, j = a - multiplier.a.minimum, b - multiplier.b.minimum

    def residuals(found: Separated) -> FloatArray:
        rest = products - found.additive_a[i] - found.additive_b[j] - found.constant
        left = [float(np.sqrt((of_pair * np.square(rest)).sum()))]
        for g, h in zip(found.left.T, found.right.T, strict=True):
            rest -= g[i] * h[j]
            left.append(float(np.sqrt((of_pair * np.square(rest)).sum())))
        return np.array(left + left[-1:] * (most + 1 - len(left)))  # a low rank needs no more products

    knowing = residuals(separate(multiplier, p, q, most))
    return WeightingGain(multiplier.name, knowing, residuals(separate(multiplier, even_p, even_q, most)))


def rms_residual(
    surrogate: Surrogate,
    multiplier: Multiplier,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
) -> float:
    """Return the root mean square of a surrogate's residual (LSB) under operand distributions.

    Over every pair up to 2**24, above that over 2**20 drawn ones. The certificate says the same of uniform operands.

    Raises
    ------
    ParameterError
        If weights have the wrong shape or values.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("trunc4u_t1")
    >>> rms_residual(surrogate.discover(m), m, [1] + [0] * 14 + [1])
    0.0
    """
    p, q = normalised_weights(multiplier.a, weights_a, "a"), normalised_weights(multiplier.b, weights_b, "b")
    if multiplier.n_pairs > MAX_TABLE_ENTRIES:
        a, b = weighted_pairs(multiplier.a, multiplier.b, _SAMPLE, 0, p, q)
        return float(np.sqrt(np.square(surrogate(a, b) - multiplier(a, b), dtype=np.float64).mean()))
    squares = 0.0
    start = 0
    for a, products in multiplier.blocks(1 << 20):
        residual = np.square(surrogate(a[:, None], multiplier.b.values()) - products, dtype=np.float64)
        squares += float(p[start : start + len(a)] @ residual @ q)
        start += len(a)
    return float(np.sqrt(squares))
