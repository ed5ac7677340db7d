"""Ratios of times in one process: the baseline runs before every run of what is compared with it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Run = Callable[[], object]

_SAMPLE_S = 0.01  # shorter runs are repeated until a sample takes about as long


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    rounds : int
        Fewest rounds.
    seconds : float
        Rounds go on for so long.
    clock : callable
        ``time.perf_counter``; or ``time.process_time``, which on one thread leaves other processes of a busy machine
        out.
    """

    rounds: int = 7
    seconds: float = 3.0
    clock: Callable[[], float] = time.perf_counter


@dataclass(frozen=True)
class Ratio:
    """Time relative to the baseline.

    Attributes
    ----------
    median, low, high : float
        Median and quartiles over the rounds of the ratio to the run of the baseline just before.
    baseline_s : float
        Median time of the baseline, in seconds.
    rounds : int
    """

    median: float
    low: float
    high: float
    baseline_s: float
    rounds: int


def interleaved(baseline: Run, runs: Mapping[str, Run], effort: Effort) -> dict[str, Ratio]:
    """Time every run beside the baseline: baseline, first, baseline, second, ..., round after round.

    Examples
    --------
    >>> found = interleaved(lambda: sum(range(1000)), {"twice": lambda: sum(range(2000))}, Effort(3, 0.0))
    >>> found["twice"].rounds
    3
    """
    counts = {name: _repeats(run, effort.clock) for name, run in runs.items()}
    of_baseline = _repeats(baseline, effort.clock)
    ratios: dict[str, list[float]] = {name: [] for name in runs}
    times: list[float] = []
    end = time.perf_counter() + effort.seconds
    while len(times) < effort.rounds * len(runs) or time.perf_counter() < end:
        for name, run in runs.items():
            times.append(_seconds(baseline, of_baseline, effort.clock))
            ratios[name].append(_seconds(run, counts[name], effort.clock) / times[-1])
    return {name: _ratio(found, statistics.median(times)) for name, found in ratios.items()}


def _ratio(ratios: list[float], baseline_s: float) -> Ratio:
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high, baseline_s, len(ratios))


def _repeats(run: Run, clock: Callable[[], float]) -> int:
    """Warm up, and count the runs of a sample."""
    run()
    return max(1, round(_SAMPLE_S / _seconds(run, 1, clock)))


def _seconds(run: Run, repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        run()
    return (clock() - start) / repeats
