"""Where the time of a row goes: torch's profiler, with the stages of a layer marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.experiments import Experiment
from surrogate.nn import ApproxConv2d, ApproxLinear, Quantiser
from surrogate.nn.compiled.layer import CompiledLayer
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.engines.table import TableEngine

STAGES: tuple[tuple[type, str], ...] = (
    (Quantiser, "observe"),
    (Quantiser, "forward"),
    (Quantiser, "integers"),
    (ApproxConv2d, "arrange"),
    (ApproxConv2d, "from_sums"),
    (ApproxLinear, "arrange"),
    (CompiledLayer, "pack"),
    (CompiledLayer, "output"),
    *((engine, name) for engine in (TableEngine, SurrogateEngine) for name in ("prepare", "sums")),
)
"""Methods that are marked; time in them that no operation of torch accounts for (compiled kernels) is theirs."""

_ROUNDS = 10
_SHOWN = 15


def breakdown(key: str, experiment: Experiment) -> Table:
    """Profile the whole operation and its baseline on one thread: times by operation and stage, largest first."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        ours, accurate = (_times(run) for run in (experiment.subjects["whole"].run, experiment.baseline))
    finally:
        torch.set_num_threads(before)
    totals = [sum(found.values()) for found in (ours, accurate)]
    table = Table(title=f"{key}: {totals[0]:.2f} ms, float {totals[1]:.2f} ms")
    for name in ("operation or stage", "share", "ms", "float, ms"):
        table.add_column(name, justify="left" if name.startswith("operation") else "right")
    for name in sorted(ours, key=lambda name: -ours[name])[:_SHOWN]:
        spent = f"{accurate[name]:.3f}" if name in accurate else ""
        table.add_row(name, f"{ours[name] / totals[0]:.0%}", f"{ours[name]:.3f}", spent)
    return table


def _times(run: Callable[[], object]) -> dict[str, float]:
    """Milliseconds of a run by operation and stage, without those inside it."""
    run()
    with _marked(), profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(_ROUNDS):
            run()
    return {event.key: event.self_cpu_time_total / 1000 / _ROUNDS for event in found.key_averages()}


@contextmanager
def _marked() -> Iterator[None]:
    """Mark the stages in the profile within the block."""
    with ExitStack() as stack:
        for owner, name in STAGES:
            stack.enter_context(patch.object(owner, name, _recorded(f"{owner.__name__}.{name}", getattr(owner, name))))
        yield


def _recorded(label: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def recorded(*args: Any, **options: Any) -> Any:
        with record_function(label):
            return method(*args, **options)

    return recorded
