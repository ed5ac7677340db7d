"""Measuring the catalog's entries, many at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from typing import Protocol, TypeVar

from catalog.catalog import Entry, FloatEntry
from catalog.measured import FloatMeasurement, Measured, Measurement
from multipliers.characterise import SUBMATRIX_SIDE
from multipliers.errors import ParameterError
from multipliers.floating import float_metrics
from multipliers.metrics import MAX_EXHAUSTIVE_PAIRS, MAX_STREAMED_PAIRS, Comparison, error_metrics
from multipliers.multiplier import Multiplier
from multipliers.rank import integer_rank
from multipliers.spectrum import random_submatrix
from multipliers.structure import SAMPLE, find_structure
from multipliers.table import TableMultiplier

E = TypeVar("E", bound=Entry | FloatEntry)
Result = TypeVar("Result")

CONFIDENCE = 0.999
"""Of the intervals of sampled metrics: there are hundreds of figures, and none should be called wrong by chance."""


class Progress(Protocol):
    """Told of each entry that is done."""

    def __call__(self, done: int, in_all: int, label: str) -> None:
        """Be told."""


def measure(entry: Entry | FloatEntry, every_pair: bool = False, workers: int | None = None) -> Measured:
    """Measure an entry of the catalog.

    Parameters
    ----------
    entry : Entry or FloatEntry
    every_pair : bool
        Whether to compare every operand pair above 2**24 too, where otherwise 2**22 are drawn.
    workers : int, optional
        Threads that compare pairs, see `multipliers.metrics.error_metrics`.

    Raises
    ------
    ParameterError
        If its products do not have its check value.

    Examples
    --------
    >>> from catalog import entry
    >>> found = measure(entry("udm8u"))
    >>> found.product_rank, found.error_rank, found.n_exact_products
    (2, 1, 2)
    """
    check = entry.measure_check()
    if check != entry.check:
        raise ParameterError(
            f"{entry.label}: its products have the check value {check}, not {entry.check} as its entry says; "
            f"mend the design, or the entry if the definition was wrong"
        )
    if isinstance(entry, FloatEntry):
        return FloatMeasurement(check, float_metrics(entry.build(), confidence=CONFIDENCE))
    built = entry.build()
    whole = built.n_pairs <= MAX_EXHAUSTIVE_PAIRS
    multiplier: Multiplier = TableMultiplier(built.table(), built.a, built.b, built.name) if whole else built
    comparison: Comparison | None = "streamed" if every_pair and built.n_pairs > MAX_STREAMED_PAIRS else None
    if whole:
        rows, columns = multiplier.a.values(), multiplier.b.values()
    else:
        rows, columns = random_submatrix(multiplier, SUBMATRIX_SIDE)
    return Measurement(
        check=check,
        metrics=error_metrics(multiplier, comparison=comparison, confidence=CONFIDENCE, workers=workers),
        structure=find_structure(multiplier, None if whole else SAMPLE),
        product_rank=integer_rank(multiplier(rows[:, None], columns)),
        error_rank=integer_rank(multiplier.error(rows[:, None], columns)),
        ranks_complete=whole,
    )


def measure_all(
    chosen: Sequence[Entry | FloatEntry],
    streamed: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Measured], dict[str, Exception]]:
    """Measure entries in parallel.

    Parameters
    ----------
    chosen : sequence of Entry or FloatEntry
    streamed : sequence of str
        Labels of entries of which every operand pair is compared, however many.
    workers : int, optional
        Processes; one per processor by default. With 1 everything runs in this process.
    progress : callable, optional
        Called as ``progress(done, in_all, label)`` when an entry is done.

    Returns
    -------
    (dict of str to Measured, dict of str to Exception)
        By label: what was measured, and why the others could not be.
    """
    # the longest first, so that none is left to run alone at the end
    ordered = sorted(chosen, key=lambda entry: (entry.label not in streamed, -_n_pairs(entry)))
    processes = min(workers or os.cpu_count() or 1, len(chosen))
    work = partial(_measure, streamed=frozenset(streamed), workers=None if processes <= 1 else 1)
    return attempt_all(work, ordered, processes, progress)


def attempt_all(
    work: Callable[[E], Result], chosen: Sequence[E], processes: int, progress: Progress | None = None
) -> tuple[dict[str, Result], dict[str, Exception]]:
    """Do the same with many entries, in parallel; whatever is wrong with one, the others are done.

    Parameters
    ----------
    work : callable
        A function of a module, which other processes can import.
    chosen : sequence of Entry or FloatEntry
    processes : int
        With 1 everything runs in this process.
    progress : callable, optional
        Called as ``progress(done, in_all, label)`` when an entry is done.

    Returns
    -------
    (dict of str to Result, dict of str to Exception)
        By label: what came of it, and why the others failed.
    """
    found: dict[str, Result] = {}
    failed: dict[str, Exception] = {}
    attempt = partial(_attempt, work)
    outcomes = map(attempt, chosen) if processes <= 1 else _in_processes(attempt, chosen, processes)
    for done, (label, outcome) in enumerate(outcomes, 1):
        if isinstance(outcome, Exception):
            failed[label] = outcome
        else:
            found[label] = outcome
        if progress is not None:
            progress(done, len(chosen), label)
    return found, failed


def _n_pairs(entry: Entry | FloatEntry) -> int:
    return entry.build().n_pairs if isinstance(entry, Entry) else 0


def _measure(entry: Entry | FloatEntry, streamed: frozenset[str], workers: int | None) -> Measured:
    return measure(entry, entry.label in streamed, workers)


def _in_processes(
    attempt: Callable[[E], tuple[str, Result | Exception]], chosen: Sequence[E], processes: int
) -> Iterator[tuple[str, Result | Exception]]:
    # spawned, not forked: NumPy may hold threads
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            waiting = [pool.submit(attempt, entry) for entry in chosen]
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _attempt(work: Callable[[E], Result], entry: E) -> tuple[str, Result | Exception]:
    try:
        return entry.label, work(entry)
    except Exception as error:  # whatever is wrong with one entry, the others are done
        return entry.label, error
