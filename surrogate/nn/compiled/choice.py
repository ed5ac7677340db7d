"""Which way of computing a layer is the fastest: measured once for each class of shapes, and remembered.

All ways give the same integers, so the choice never changes a result. Shapes are of one class if their sizes round up
to the same powers of two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import torch

T = TypeVar("T")

_TRIALS = 2  # after a first call, which also prepares what is cached later

_chosen: dict[tuple[Hashable, tuple[str, ...], int], str] = {}
_measuring = threading.Lock()


def size_class(*sizes: int) -> tuple[int, ...]:
    """Round sizes up to powers of two, and return the exponents.

    Examples
    --------
    >>> size_class(0, 1, 64, 65)
    (0, 1, 7, 8)
    """
    return tuple((size - 1).bit_length() + 1 if size else 0 for size in sizes)


def fastest(ways: Mapping[str, Callable[[], T]], shape_class: Hashable) -> T:
    """Run the way that was the fastest for this class of shapes; measure all of them if it is a new class.

    Parameters
    ----------
    ways : mapping
        Functions that compute the same thing, by name.
    shape_class : hashable
        What the times depend on, but for the number of threads and which ways there are.

    Examples
    --------
    >>> fastest({"slowly": lambda: time.sleep(0.01) or 4, "at once": lambda: 4}, "documentation")
    4
    >>> chosen_ways()["documentation"]
    'at once'
    """
    if len(ways) == 1:
        return next(iter(ways.values()))()
    key = shape_class, tuple(ways), torch.get_num_threads()
    name = _chosen.get(key)
    if name is None:
        with _measuring:
            name = _chosen[key] = min(ways, key=lambda way: _duration(ways[way]))
    return ways[name]()


def chosen_ways() -> dict[Hashable, str]:
    """Return what has been chosen so far, by class of shapes."""
    return {shape_class: name for (shape_class, *_), name in _chosen.items()}


def forget_choices() -> None:
    """Measure anew from now on, as on a machine whose load has changed."""
    _chosen.clear()


def _duration(way: Callable[[], object]) -> float:
    way()
    times = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    return min(times)
