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
from surrogate.nn.surrogate_engine import SurrogateEngine
from surrogate.nn.table_engine import TableEngine

STAGES: tuple[tuple[type, str], ...] = (
    (Quantiser, "observe"),
    (Quantiser, "forward"),
    (Quantiser, "integers"),
    (ApproxConv2d, "arrange"),
    (ApproxConv2d, "from_sums"),
    (ApproxLinear, "arrange"),
    *((engine, name) for engine in (TableEngine, SurrogateEngine) for name in ("prepare", "sums")),
)
"""Methods that are marked; time in them that no operation of torch accounts for (compiled kernels) is theirs."""

_ROUNDS = 10
_SHOWN = 15


def breakdown(key: str, experiment: Experiment) -> Table:
    """Profile the whole operation on one thread: shares of its time, by operation and stage, largest first."""
    before = torch.get_num_threads()
    run = experiment.subjects["whole"].run
    run()
    try:
        torch.set_num_threads(1)
        with _marked(), profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(_ROUNDS):
                run()
    finally:
        torch.set_num_threads(before)
    averages = found.key_averages()
    total = sum(event.self_cpu_time_total for event in averages)
    table = Table(title=f"{key}: {total / 1000 / _ROUNDS:.2f} ms")
    for name in ("operation or stage", "calls", "share", "ms"):
        table.add_column(name, justify="left" if name.startswith("operation") else "right")
    for event in sorted(averages, key=lambda event: -event.self_cpu_time_total)[:_SHOWN]:
        spent = event.self_cpu_time_total
        calls = f"{event.count / _ROUNDS:g}"
        table.add_row(event.key, calls, f"{spent / total:.0%}", f"{spent / 1000 / _ROUNDS:.3f}")
    return table


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
