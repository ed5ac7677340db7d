"""Memory of a training step: what it keeps for the backward pass, its peak, and the peak of the process."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile, record_function

Step = Callable[[], object]

_STEP = "step that is measured"
_STEPS_BEFORE = 2  # the first allocates gradients, caches and the libraries' workspaces


@dataclass(frozen=True)
class Footprint:
    """Bytes.

    Attributes
    ----------
    saved : int
        Tensors that the forward pass keeps for the backward pass, without parameters.
    peak : int
        Most that is allocated by torch at once during a step: parameters, gradients, quantisers, caches, activations.
    resident : int
        Growth of the largest resident memory of the process from before the network is made to after its steps: what
        libraries and compiled kernels allocate, too. 0 where the operating system does not tell.
    """

    saved: int
    peak: int
    resident: int


def saved_bytes(network: nn.Module, run: Step) -> int:
    """Bytes of the distinct tensors that a run keeps for the backward pass, without parameters."""
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    found: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    run()  # the first time, layers may measure which way of computing them is the fastest
    with saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return sum(found.values())


def footprint(prepare: Callable[[], tuple[nn.Module, Step]]) -> Footprint:
    """Measure a training step, from the making of the network on; in a process of its own for ``resident`` to count.

    Parameters
    ----------
    prepare : callable
        Makes the network and the function that does a step.
    """
    before = _resident_peak()
    network, step = prepare()
    for _ in range(_STEPS_BEFORE + 1):
        step()
    resident = _resident_peak() - before
    saved = saved_bytes(network, step)
    del network, step
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:  # which takes memory itself
        _, step = prepare()
        for _ in range(_STEPS_BEFORE):
            step()
        with record_function(_STEP):
            step()
    return Footprint(saved, _peak(found), resident)


def _peak(found: profile) -> int:
    """Most bytes that were allocated at once within the marked step."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        found.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    (step,) = (event for event in events if event.get("name") == _STEP and event.get("cat") == "user_annotation")
    memory = [event for event in events if event.get("name") == "[memory]"]
    changes: list[tuple[float, int]] = sorted((event["ts"], event["args"]["Bytes"]) for event in memory)
    allocated = accumulate(change for _, change in changes)
    start, end = step["ts"], step["ts"] + step["dur"]
    return max(total for (time, _), total in zip(changes, allocated, strict=True) if start <= time <= end)


def _resident_peak() -> int:
    """Largest resident memory of this process so far; unlike ``ru_maxrss``, not of the one that started it."""
    status = Path("/proc/self/status")
    match = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return int(match[1]) << 10 if match else 0
