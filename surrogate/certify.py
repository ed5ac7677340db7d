"""Compare a surrogate with its multiplier and write down the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier, sample_pairs
from multipliers.operands import IntArray
from multipliers.parallel import map_in_order
from surrogate.basis import FactorArray
from surrogate.certificate import Certificate
from surrogate.checkpoint import Checkpoint
from surrogate.errors import SurrogateError
from surrogate.model import Surrogate
from surrogate.oracle import Oracle, Witness
from surrogate.residuals import Residuals

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
    checkpoint: str | os.PathLike[str] | None = None,
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
    checkpoint : path, optional
        A file that notes how far the comparison came, every few seconds. After an interruption (Ctrl-C, a killed
        process, an error of the multiplier) the same call goes on from there; the certificate is the same, bit for
        bit, as that of an uninterrupted run. Deleted at the end.

    Raises
    ------
    SurrogateError
        If the surrogate is bound to another multiplier, or ``sample`` is not positive.
    OracleError
        If the multiplier raises, or gives other products at the end than at the beginning.
    CheckpointError
        If the checkpoint is damaged, or belongs to another surrogate, multiplier or sample.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("exact4u")
    >>> s = certify(surrogate.discover(m, method="exact"), m)
    >>> s.certificate.exact, s.certificate.n_pairs
    (True, 256)
    """
    multiplier = Oracle(multiplier)
    witness = Witness.of(multiplier)
    if not surrogate.multiplier.matches(multiplier):
        raise SurrogateError(
            f"the surrogate stands for {surrogate.multiplier.name!r} ({surrogate.a} x {surrogate.b}, fingerprint "
            f"{surrogate.multiplier.fingerprint[:12]}...), which {multiplier.name!r} ({multiplier.a} x {multiplier.b}) "
            f"is not; certify it against that multiplier, or discover a surrogate of this one"
        )
    noted = None if checkpoint is None else open_checkpoint(checkpoint)
    residuals = compare(surrogate, multiplier, sample=sample, workers=workers, progress=progress, checkpoint=noted)
    witness.check(multiplier)
    if noted is not None:
        noted.remove()
    return surrogate.with_certificate(certificate(residuals, sample))


def measure(
    surrogate: Surrogate,
    multiplier: Multiplier,
    *,
    sample: int | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Surrogate:
    """Do what `certify` does, for a surrogate that was just made of ``multiplier``: their binding is not checked again.

    Raises
    ------
    SurrogateError
        If ``sample`` is not positive.
    """
    residuals = compare(surrogate, multiplier, sample=sample, progress=progress, checkpoint=checkpoint)
    return surrogate.with_certificate(certificate(residuals, sample))


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Checkpoint of comparisons by `compare`; its file is read when the first of them begins."""
    return Checkpoint(path, _BLOCK)


def certificate(residuals: Residuals, sample: int | None) -> Certificate:
    """Write down the residuals of all pairs, or of a sample."""
    every = "exhaustive" if residuals.n_pairs <= _EXHAUSTIVE else "streamed"
    return residuals.certificate(every if sample is None else "sampled")


def compare(
    surrogate: Surrogate,
    multiplier: Multiplier,
    *,
    sample: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    keep: bool = False,
) -> Residuals:
    """Sum up the residuals over every pair, or over a sample; see `certify`. ``keep`` notes some that differ.

    Raises
    ------
    SurrogateError
        If ``sample`` is not positive.
    """
    if sample is not None and sample < 1:
        raise SurrogateError(f"sample must be a positive number of pairs, got {sample}")
    n_all = multiplier.n_pairs if sample is None else sample
    n_blocks, residuals = 0, Residuals()
    key = ""
    if checkpoint is not None:
        key = checkpoint.begin(surrogate, sample)
        n_blocks, residuals = checkpoint.state(key)
    try:
        for part in _blocks(surrogate, multiplier, sample, n_blocks, workers, keep):
            n_blocks, residuals = n_blocks + 1, residuals.plus(part)
            if checkpoint is not None:
                checkpoint.note(key, n_blocks, residuals)
            if progress is not None:
                progress(residuals.n_pairs, n_all)
    finally:
        if checkpoint is not None:
            checkpoint.flush()
    return residuals


def _blocks(
    surrogate: Surrogate, multiplier: Multiplier, sample: int | None, start: int, workers: int | None, keep: bool
) -> Iterator[Residuals]:
    """Residuals of each block of all pairs, or of a sample, in order, from block ``start`` on."""
    if sample is not None:

        def drawn(first: int) -> Residuals:
            a, b = sample_pairs(surrogate.a, surrogate.b, min(_BLOCK, sample - first), start=_SAMPLE_OFFSET + first)
            return Residuals.of(a, b, surrogate(a, b), multiplier(a, b), keep)

        return map_in_order(drawn, range(0, sample, _BLOCK)[start:], workers)

    b = surrogate.b.values()[None, :]
    dtype = np.int64 if surrogate.is_integer else np.float64
    factors = [  # tabulated once, so that a block costs one outer product a term
        (term.coefficient, term.a.tabulate(surrogate.a), term.b.tabulate(surrogate.b)) for term in surrogate.terms
    ]

    def rows(values: IntArray) -> Residuals:
        index = values - surrogate.a.minimum
        model: FactorArray = np.zeros((values.size, surrogate.b.size), dtype=dtype)
        for coefficient, left, right in factors:
            model += np.multiply.outer(coefficient * left[index], right)
        a = values[:, None]
        return Residuals.of(a, b, model, multiplier(a, b), keep)

    return map_in_order(rows, multiplier.row_blocks(_BLOCK)[start:], workers)


def default_sample(multiplier: Multiplier) -> int | None:
    """How `surrogate.discover` certifies: every pair up to 2**24 pairs, else 2**22 sampled ones."""
    return None if multiplier.n_pairs <= MAX_TABLE_ENTRIES else 1 << 22
