"""Cost against error: what the best surrogate of each number of products leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from multipliers.distributions import FloatArray, normalised_weights, weighted_pairs
from multipliers.errors import ParameterError
from multipliers.metrics import error_metrics
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.records import Record
from surrogate.errors import FitError

_MOST = 64  # products of a front at operands too wide for a table
_SAMPLE = 1 << 20  # pairs behind the error of a wide multiplier


@dataclass(frozen=True, eq=False)
class Front(Record):
    """The error that the best surrogates of ``0, 1, 2, ...`` products leave, beside an additive part that is free.

    Attributes
    ----------
    name : str
        The multiplier's label.
    residuals : ndarray of float64
        ``residuals[k]``: root mean square of the residual with ``k`` products (LSB), under the operand distributions.
    error : float
        Root mean square of the multiplier's own error (LSB): what the accurate product leaves, of one product.
    complete : bool
        Whether every pair was read; else the residuals are those of a grid of rows and columns.
    """

    name: str
    residuals: FloatArray
    error: float
    complete: bool

    @property
    def shares(self) -> FloatArray:
        """``residuals`` as shares of `error`; NaN for a multiplier without error."""
        if self.error == 0:
            return np.full(len(self.residuals), np.nan)
        shares: FloatArray = self.residuals / self.error
        return shares

    def products_for(self, residual: float) -> int:
        """Fewest products that leave at most ``residual`` (root mean square, LSB).

        Raises
        ------
        ParameterError
            If ``residual`` is negative.
        FitError
            If no number of products that was looked at does; the message says the best.
        """
        if not residual >= 0:
            raise ParameterError(f"residual must be a number from 0, got {residual!r}")
        enough = np.flatnonzero(self.residuals <= residual * (1 + 1e-9) + 1e-9)
        if len(enough) == 0:
            raise FitError(
                f"{self.name}: no surrogate of up to {len(self.residuals) - 1} products leaves {residual:.6g} LSB; the "
                f"best of these leaves {self.residuals[-1]:.6g}"
            )
        return int(enough[0])


def front(
    multiplier: Multiplier,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
    *,
    most: int | None = None,
) -> Front:
    """Compute the error against the number of products, without making the surrogates.

    Parameters
    ----------
    multiplier : Multiplier
    weights_a, weights_b : array_like of float, optional
        Operand distributions, uniform by default.
    most : int, optional
        Largest number of products. By default all up to 10 bits, else 64.

    Returns
    -------
    Front
        ``surrogate.discover(multiplier, "lowrank", products=k)`` has the residual ``front.residuals[k]``.

    Raises
    ------
    ParameterError
        If ``most`` is below 1, or weights have the wrong shape or values.

    Examples
    --------
    >>> import multipliers
    >>> found = front(multipliers.get("mitchell8u"))
    >>> [round(float(found.shares[k]), 3) for k in (3, 7, 15)]
    [0.096, 0.029, 0.01]
    """
    from surrogate.fit.centred import separate

    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ParameterError(f"most must be a positive integer, got {most!r}")
    p = normalised_weights(multiplier.a, weights_a, "a")
    q = normalised_weights(multiplier.b, weights_b, "b")
    found = separate(multiplier, p, q, _MOST if most is None else most)
    kept = found.residuals if most is None else found.residuals[: most + 1]
    return Front(multiplier.name, kept, rms_error(multiplier, weights_a, weights_b), found.complete)


def rms_error(multiplier: Multiplier, weights_a: ArrayLike | None = None, weights_b: ArrayLike | None = None) -> float:
    """Return the root mean square of a multiplier's own error (LSB), of a sample above 2**24 pairs.

    Raises
    ------
    ParameterError
        If weights have the wrong shape or values.

    Examples
    --------
    >>> import multipliers
    >>> rms_error(multipliers.get("exact4u"))
    0.0
    """
    p = normalised_weights(multiplier.a, weights_a, "a")
    q = normalised_weights(multiplier.b, weights_b, "b")
    weighted = weights_a is not None or weights_b is not None
    if multiplier.n_pairs <= MAX_TABLE_ENTRIES:
        return error_metrics(multiplier, p, q).rmse if weighted else error_metrics(multiplier).rmse
    a, b = weighted_pairs(multiplier.a, multiplier.b, _SAMPLE, 0, p, q)
    return float(np.sqrt(np.square(multiplier.error(a, b).astype(np.float64)).mean()))
