"""Compare a surrogate with its multiplier and write down the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier, sample_pairs
from multipliers.operands import IntArray
from surrogate.basis import FactorArray
from surrogate.certificate import Certificate
from surrogate.errors import SurrogateError
from surrogate.model import Surrogate

Progress = Callable[[int, int], None]
"""Called with (pairs done, pairs in all) after each block."""

_BLOCK = 1 << 20
_SAMPLE_OFFSET = 1 << 40  # samples that certify share no pair index with those that a fit or a fingerprint uses


def certify(
    surrogate: Surrogate,
    multiplier: Multiplier,
    *,
    sample: int | None = None,
    progress: Progress | None = None,
) -> Surrogate:
    """Return ``surrogate`` with a certificate measured against ``multiplier``.

    Parameters
    ----------
    surrogate : Surrogate
        Bound to ``multiplier`` (same formats and fingerprint).
    multiplier : Multiplier
        The multiplier it stands for.
    sample : int, optional
        Compare this many reproducible random pairs instead of all of them; the certificate then says "sampled" and
        is never exact. By default every pair is compared, in blocks, up to any width (2**24 pairs take about a
        second, 2**32 minutes).
    progress : callable, optional
        ``progress(pairs_done, pairs_in_all)`` after each block.

    Raises
    ------
    SurrogateError
        If the surrogate is bound to another multiplier, or ``sample`` is not positive.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("exact4u")
    >>> s = certify(surrogate.discover(m, method="exact"), m)
    >>> s.certificate.exact, s.certificate.n_pairs
    (True, 256)
    """
    if not surrogate.multiplier.matches(multiplier):
        raise SurrogateError(
            f"the surrogate stands for {surrogate.multiplier.name!r} ({surrogate.a} x {surrogate.b}, fingerprint "
            f"{surrogate.multiplier.fingerprint[:12]}...), which {multiplier.name!r} ({multiplier.a} x {multiplier.b}) "
            f"is not; certify it against that multiplier, or discover a surrogate of this one"
        )
    if sample is not None and sample < 1:
        raise SurrogateError(f"sample must be a positive number of pairs, got {sample}")
    residuals: Iterator[NDArray[np.float64]]
    if sample is None:
        residuals = (residual for _, residual in _all_residuals(surrogate, multiplier))
    else:
        residuals = (residual for _, _, residual in _sampled(surrogate, multiplier, sample))
    n_all = multiplier.n_pairs if sample is None else sample
    n_pairs = n_different = 0
    largest = 0.0
    sums: list[tuple[float, float, float]] = []
    for residual in residuals:
        magnitude = np.abs(residual)
        n_pairs += residual.size
        n_different += int((magnitude >= 0.5).sum())
        largest = max(largest, float(magnitude.max()))
        sums.append((float(residual.sum()), float(magnitude.sum()), float(np.square(residual).sum())))
        if progress is not None:
            progress(n_pairs, n_all)
    total, total_abs, total_square = (math.fsum(column) for column in zip(*sums, strict=True))
    comparison = "sampled" if sample is not None else "exhaustive" if n_all <= _BLOCK else "streamed"
    return surrogate.with_certificate(
        Certificate(
            comparison=comparison,
            n_pairs=n_pairs,
            n_different=n_different,
            max_abs_residual=largest,
            mean_abs_residual=total_abs / n_pairs,
            rms_residual=math.sqrt(total_square / n_pairs),
            residual_bias=total / n_pairs,
        )
    )


def different_pairs(
    surrogate: Surrogate, multiplier: Multiplier, *, sample: int | None = None, most: int = 64
) -> tuple[IntArray, IntArray]:
    """Find some operand pairs whose products differ, among those that `certify` compares.

    Returns
    -------
    a, b : ndarray of int64
        At most ``most`` values of either operand, spread over all that differ.
    """
    found: list[tuple[IntArray, IntArray]] = []
    if sample is None:
        for rows, residual in _all_residuals(surrogate, multiplier):
            i, j = np.nonzero(residual)
            chosen = _spread(len(i), most)
            found.append((rows[i[chosen]], j[chosen] + multiplier.b.minimum))
    else:
        for a, b, residual in _sampled(surrogate, multiplier, sample):
            i = np.flatnonzero(residual)
            chosen = i[_spread(len(i), most)]
            found.append((a[chosen], b[chosen]))
    all_a, all_b = (np.concatenate(values) for values in zip(*found, strict=True))
    chosen = _spread(len(all_a), most)
    return all_a[chosen], all_b[chosen]


def _spread(n: int, most: int) -> IntArray:
    """At most ``most`` of ``n`` indices, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _as_float(difference: FactorArray) -> NDArray[np.float64]:
    return difference.astype(np.float64)


def _all_residuals(surrogate: Surrogate, multiplier: Multiplier) -> Iterator[tuple[IntArray, NDArray[np.float64]]]:
    """Yield values of ``a`` and the residuals of their rows; terms are evaluated through their tabulated factors."""
    factors = [
        (term.coefficient, term.a.tabulate(surrogate.a), term.b.tabulate(surrogate.b)) for term in surrogate.terms
    ]
    dtype = np.int64 if surrogate.is_integer else np.float64
    for a, products in multiplier.blocks(_BLOCK):
        rows = slice(int(a[0]) - surrogate.a.minimum, int(a[-1]) - surrogate.a.minimum + 1)
        model: FactorArray = np.zeros(products.shape, dtype=dtype)
        for coefficient, left, right in factors:
            model += (coefficient * left[rows])[:, None] * right[None, :]
        yield a, _as_float(model - products)


def _sampled(
    surrogate: Surrogate, multiplier: Multiplier, sample: int
) -> Iterator[tuple[IntArray, IntArray, NDArray[np.float64]]]:
    """Yield random operand pairs and their residuals."""
    for start in range(0, sample, _BLOCK):
        a, b = sample_pairs(surrogate.a, surrogate.b, min(_BLOCK, sample - start), start=_SAMPLE_OFFSET + start)
        yield a, b, _as_float(surrogate(a, b) - multiplier(a, b))


def default_sample(multiplier: Multiplier) -> int | None:
    """How `surrogate.discover` certifies: every pair up to 2**24 pairs, else 2**22 sampled ones."""
    return None if multiplier.n_pairs <= MAX_TABLE_ENTRIES else 1 << 22
