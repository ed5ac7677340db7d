"""Compare a surrogate with its multiplier and write down the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier, sample_pairs
from multipliers.operands import IntArray
from multipliers.parallel import map_in_order
from surrogate.basis import FactorArray
from surrogate.certificate import Certificate
from surrogate.errors import SurrogateError
from surrogate.model import Surrogate

Progress = Callable[[int, int], None]
"""Called with (pairs done, pairs in all) after each block."""

_EXHAUSTIVE = 1 << 20  # pairs up to which a comparison of all is called exhaustive rather than streamed
_BLOCK = 1 << 18
_SAMPLE_OFFSET = 1 << 40  # samples that certify share no pair index with those that a fit or a fingerprint uses


def certify(
    surrogate: Surrogate,
    multiplier: Multiplier,
    *,
    sample: int | None = None,
    workers: int | None = None,
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
    workers : int, optional
        Threads; one per processor by default. The certificate does not depend on it.
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
    return measure(surrogate, multiplier, sample=sample, workers=workers, progress=progress)


def measure(
    surrogate: Surrogate,
    multiplier: Multiplier,
    *,
    sample: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Surrogate:
    """Do what `certify` does, for a surrogate that was just made of ``multiplier``: their binding is not checked again.

    Raises
    ------
    SurrogateError
        If ``sample`` is not positive.
    """
    if sample is not None and sample < 1:
        raise SurrogateError(f"sample must be a positive number of pairs, got {sample}")
    n_all = multiplier.n_pairs if sample is None else sample
    parts: list[_Summary] = []
    done = 0
    for part in _differences(surrogate, multiplier, sample, _summarise, workers):
        parts.append(part)
        done += part.n_pairs
        if progress is not None:
            progress(done, n_all)
    comparison = "sampled" if sample is not None else "exhaustive" if n_all <= _EXHAUSTIVE else "streamed"
    return surrogate.with_certificate(
        Certificate(
            comparison=comparison,
            n_pairs=done,
            n_different=sum(part.n_different for part in parts),
            max_abs_residual=max(part.largest for part in parts),
            mean_abs_residual=math.fsum(part.absolute for part in parts) / done,
            rms_residual=math.sqrt(math.fsum(part.squared for part in parts) / done),
            residual_bias=math.fsum(part.total for part in parts) / done,
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

    def differing(a: IntArray, b: IntArray, difference: FactorArray) -> tuple[IntArray, IntArray]:
        at = np.nonzero(difference)
        chosen = tuple(i[_spread(len(i), most)] for i in at)
        return np.broadcast_to(a, difference.shape)[chosen], np.broadcast_to(b, difference.shape)[chosen]

    found = list(_differences(surrogate, multiplier, sample, differing))
    all_a, all_b = (np.concatenate(values) for values in zip(*found, strict=True))
    chosen = _spread(len(all_a), most)
    return all_a[chosen], all_b[chosen]


def _spread(n: int, most: int) -> IntArray:
    """At most ``most`` of ``n`` indices, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


@dataclass(frozen=True)
class _Summary:
    """What is kept of the residuals of one block."""

    n_pairs: int
    n_different: int = 0
    largest: float = 0.0
    total: float = 0.0
    absolute: float = 0.0
    squared: float = 0.0


def _summarise(a: IntArray, b: IntArray, difference: FactorArray) -> _Summary:
    if not difference.any():  # the usual case of an exact surrogate
        return _Summary(difference.size)
    residual = difference.astype(np.float64)
    magnitude = np.abs(residual)
    return _Summary(
        n_pairs=residual.size,
        n_different=int((magnitude >= 0.5).sum()),
        largest=float(magnitude.max()),
        total=float(residual.sum()),
        absolute=float(magnitude.sum()),
        squared=float(np.square(residual).sum()),
    )


Result = TypeVar("Result")


def _differences(
    surrogate: Surrogate,
    multiplier: Multiplier,
    sample: int | None,
    use: Callable[[IntArray, IntArray, FactorArray], Result],
    workers: int | None = None,
) -> Iterator[Result]:
    """Apply ``use(a, b, surrogate(a, b) - multiplier(a, b))`` to blocks of all pairs, or of a sample, in order."""
    if sample is not None:

        def drawn(start: int) -> Result:
            a, b = sample_pairs(surrogate.a, surrogate.b, min(_BLOCK, sample - start), start=_SAMPLE_OFFSET + start)
            return use(a, b, surrogate(a, b) - multiplier(a, b))

        return map_in_order(drawn, range(0, sample, _BLOCK), workers)

    b = surrogate.b.values()[None, :]
    dtype = np.int64 if surrogate.is_integer else np.float64
    factors = [  # tabulated once, so that a block costs one outer product a term
        (term.coefficient, term.a.tabulate(surrogate.a), term.b.tabulate(surrogate.b)) for term in surrogate.terms
    ]

    def rows(values: IntArray) -> Result:
        index = values - surrogate.a.minimum
        model: FactorArray = np.zeros((values.size, surrogate.b.size), dtype=dtype)
        for coefficient, left, right in factors:
            model += np.multiply.outer(coefficient * left[index], right)
        a = values[:, None]
        return use(a, b, model - multiplier(a, b))

    return map_in_order(rows, multiplier.row_blocks(_BLOCK), workers)


def default_sample(multiplier: Multiplier) -> int | None:
    """How `surrogate.discover` certifies: every pair up to 2**24 pairs, else 2**22 sampled ones."""
    return None if multiplier.n_pairs <= MAX_TABLE_ENTRIES else 1 << 22
