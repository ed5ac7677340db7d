"""Discovering surrogates of many circuits, in parallel, on one machine or a cluster."""

from __future__ import annotations

import hashlib
import inspect
import json
import statistics
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import multipliers
from catalog.circuit import Circuit
from catalog.results import Discovered, Key, Results
from multipliers.errors import ParameterError
from multipliers.multiplier import Multiplier
from surrogate.errors import FitError
from surrogate.fit import METHODS, Objective, discover
from surrogate.model import MultiplierReference


class SweepError(RuntimeError):
    """A sweep cannot go on, or a circuit is not what it was; the message says what to do."""


@dataclass(frozen=True)
class Outcome:
    """What became of one circuit.

    Attributes
    ----------
    circuit : Circuit or Multiplier
    found : Discovered or None
        None where it failed.
    error : str
        Why it failed; ``""`` where it did not.
    is_new : bool
        Whether this sweep found it; else it was stored, or another circuit of the sweep has the same products.
    """

    circuit: Circuit | Multiplier = field(repr=False)
    found: Discovered | None
    error: str = ""
    is_new: bool = True

    @property
    def name(self) -> str:
        """Name of the circuit."""
        return self.circuit.name


@dataclass(frozen=True)
class Sweep:
    """What became of all circuits, in their order.

    Attributes
    ----------
    outcomes : tuple of Outcome
    time_s : float
        Time from beginning to end, in seconds.
    """

    outcomes: tuple[Outcome, ...]
    time_s: float

    @property
    def found(self) -> tuple[Discovered, ...]:
        """What was found, of the circuits that did not fail."""
        return tuple(outcome.found for outcome in self.outcomes if outcome.found is not None)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The circuits that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.found is None)

    def summary(self) -> dict[str, float | None]:
        """Count circuits; median and largest time (s), products and RMS residual (LSB), None where nothing was found.

        Times are those of the surrogates that were found anew or before, each on the machine that found it.
        """
        found = self.found
        counts: dict[str, float | None] = {
            "circuits": len(self.outcomes),
            "found": len(found),
            "new": sum(outcome.is_new for outcome in self.outcomes if outcome.found is not None),
            "failed": len(self.failures),
            "exact": sum(each.is_exact for each in found),
        }
        columns: dict[str, list[float]] = {
            "time_s": [each.time_s for each in found],
            "products": [each.n_products for each in found],
            "rms_residual": [each.certificate.rms_residual for each in found],
        }
        for name, values in columns.items():
            counts[f"median_{name}"] = statistics.median(values) if values else None
            counts[f"worst_{name}"] = max(values, default=None)
        return counts


class Told(Protocol):
    """Told of each circuit that is done."""

    def __call__(self, done: int, in_all: int, outcome: Outcome) -> None:
        """Be told."""


def sweep(
    circuits: Iterable[Circuit | Multiplier | str],
    method: str | None = None,
    *,
    objective: Objective | None = None,
    jobs: int | None = None,
    backend: str | None = "loky",
    store: str | Path | Results | None = None,
    library: str | Path | None = None,
    told: Told | None = None,
    **options: Any,
) -> Sweep:
    """Discover a surrogate of each circuit, in parallel; what fails is noted, the rest is still done.

    Parameters
    ----------
    circuits : iterable of Circuit, Multiplier or str
        Such as `catalog.search` finds; text is resolved by `catalog.resolve`. Circuits with the same products are done
        once.
    method : {"exact", "htp", "lowrank"}, optional
        As for `surrogate.discover`, the default is ``"exact"``, or what meets the objective.
    objective : Objective, optional
        What is needed, instead of a method.
    jobs : int, optional
        How many at a time; by default one per processor, or per worker of a cluster.
    backend : str or None
        Of joblib: ``"loky"`` (processes), ``"threading"``, ``"dask"`` (the workers of the `distributed.Client` that
        is open), any that was registered, as ``ray.util.joblib.register_ray`` does; None takes that of the
        surrounding ``joblib.parallel_config``.
    store : path or Results, optional
        A file to which each result is added as soon as there is one (`catalog.results`). What it holds is not done
        again, so that an interrupted sweep goes on where it was: Ctrl-C loses the circuits at work.
    library : path, optional
        The user's library, of circuits that are from one; by default `catalog.library.default_path`. Workers read it,
        those of a cluster as well: where they do not see the file, give multipliers instead.
    told : callable, optional
        Called as ``told(done, in_all, outcome)`` when a circuit is done, first of all for those that are stored.
    **options
        Of `surrogate.discover`, such as ``products`` or ``every_pair``; not ``progress`` and ``checkpoint``.

    Returns
    -------
    Sweep

    Raises
    ------
    FitError
        If the method or an option is unknown.
    ParameterError
        If ``jobs`` is below 1.
    UnknownNameError
        If text among the circuits names no multiplier.
    ResultsError
        If ``store`` is a file of something else, or damaged.
    OSError
        If it cannot be written.
    SweepError
        If a process was killed, for example because memory ran out. What was done until then is stored.

    Examples
    --------
    >>> import catalog
    >>> done = sweep(catalog.search(bits=8, family="trunc"), backend="threading")
    >>> [(x.name, x.n_products, x.is_exact) for x in done.found][:2]
    [('trunc8s_t1', 1, True), ('trunc8s_t2', 1, True)]
    """
    started = time.perf_counter()
    _check(method, jobs, options)
    asked = asked_for(method, objective, options)
    arguments = {"method": method, "objective": objective, **options}
    tasks = [_Task.of(circuit, asked, library) for circuit in circuits]
    results = store if isinstance(store, Results) or store is None else Results(store)
    stored = {} if results is None else results.read()
    outcomes: list[Outcome | None] = [None] * len(tasks)
    waiting: dict[Key, list[int]] = {}
    done = 0

    def note(i: int, found: Discovered | None, error: str, is_new: bool) -> None:
        nonlocal done
        done += 1
        outcome = outcomes[i] = Outcome(tasks[i].circuit, found, error, is_new)
        if told is not None:
            told(done, len(tasks), outcome)

    for i, task in enumerate(tasks):
        if task.key in stored:
            note(i, stored[task.key], "", False)
        else:
            waiting.setdefault(task.key, []).append(i)
    work = [(tasks[places[0]], arguments) for places in waiting.values()]
    with closing(_run(work, jobs, backend)) as finished:
        for key, found, error in finished:
            if found is not None and results is not None:
                results.add(found)
            for n, i in enumerate(waiting[key]):
                note(i, found, error, found is not None and n == 0)
    return Sweep(tuple(o for o in outcomes if o is not None), time.perf_counter() - started)


def asked_for(method: str | None, objective: Objective | None, options: dict[str, Any]) -> str:
    """Write what is asked for as text: two sweeps that ask for the same give the same.

    Examples
    --------
    >>> asked_for(None, None, {"terms": None}), asked_for("lowrank", None, {"products": 4})
    ('{"method": "exact"}', '{"method": "lowrank", "products": 4}')
    """
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    what: dict[str, Any] = {"method": method or "exact"} if objective is None else {"objective": asdict(objective)}
    return json.dumps({**what, **given}, sort_keys=True, default=_digest)


def _digest(value: Any) -> str:
    """Stand for a distribution, by its values."""
    return hashlib.sha256(np.ascontiguousarray(value, dtype="<f8").tobytes()).hexdigest()


def _check(method: str | None, jobs: int | None, options: dict[str, Any]) -> None:
    if method is not None and method not in METHODS:
        raise FitError(f"unknown method {method!r}; choose one of {', '.join(map(repr, METHODS))}")
    known = set(inspect.signature(discover).parameters) - {"multiplier", "progress", "checkpoint"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise FitError(f"unknown option {unknown[0]!r}; surrogate.discover has {', '.join(sorted(known))}")
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise ParameterError(f"jobs must be an integer from 1, got {jobs!r}")


@dataclass(frozen=True)
class _Task:
    """A circuit, what its result is found by, and where a worker gets the multiplier from."""

    circuit: Circuit | Multiplier
    key: Key
    library: str | None

    @classmethod
    def of(cls, circuit: Circuit | Multiplier | str, asked: str, library: str | Path | None) -> _Task:
        if isinstance(circuit, str):
            from catalog.resolve import resolve

            circuit = resolve(circuit)
        if isinstance(circuit, Circuit):
            from catalog.library import default_path

            path = None if circuit.origin == "catalog" else str(default_path() if library is None else library)
            return cls(circuit, Key(circuit.fingerprint, circuit.a, circuit.b, asked), path)
        reference = MultiplierReference.of(circuit)
        return cls(circuit, Key(reference.fingerprint, circuit.a, circuit.b, asked), None)

    def multiplier(self) -> Multiplier:
        """Return the multiplier, on whatever machine."""
        if isinstance(self.circuit, Multiplier):
            return self.circuit
        if self.library is None:
            return multipliers.get(self.circuit.name)
        from catalog.library import Library

        with Library(self.library) as opened:
            return opened.multiplier(self.circuit)


Finished = tuple[Key, Discovered | None, str]


def _attempt(task: _Task, arguments: dict[str, Any]) -> Finished:
    """Find the surrogate of one circuit; runs in a worker."""
    try:
        started = time.perf_counter()
        found = discover(task.multiplier(), **arguments)
        time_s = time.perf_counter() - started
        if task.library is None and found.multiplier.fingerprint != task.key.fingerprint:
            raise SweepError(
                f"{task.circuit.name} multiplies otherwise than its fingerprint {task.key.fingerprint[:12]}... says; "
                f"it has changed since"
            )
        return task.key, Discovered.of(found, task.key, time_s), ""
    except Exception as error:  # whatever is wrong with one circuit, the others are done
        return task.key, None, str(error) or type(error).__name__


def _run(
    work: Sequence[tuple[_Task, dict[str, Any]]], jobs: int | None, backend: str | None
) -> Generator[Finished, None, None]:
    """Do the work in parallel; results come as they are finished."""
    from joblib import Parallel, delayed, parallel_config

    chosen: dict[str, Any] = {} if backend is None else {"backend": backend, "n_jobs": -1}
    if jobs is not None:
        chosen["n_jobs"] = jobs
    with parallel_config(**chosen):  # other than Parallel itself, it knows the backend of Dask by name
        # one circuit at a time: a batch would be told only when its last one is done
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
    try:
        yield from parallel(delayed(_attempt)(*each) for each in work)
    except BrokenProcessPool as error:
        raise SweepError(
            "a process was killed, perhaps because memory ran out; what was done until then is stored: run the sweep "
            "again, with fewer jobs"
        ) from error
