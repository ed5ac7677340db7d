"""Compiled work on as many threads as PyTorch uses; ctypes releases the interpreter's lock meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ctypes import CDLL, Structure, byref, c_uint, c_void_p, cast
from functools import cache
from pathlib import Path
from typing import Any

import torch


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="axsurrogate")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a child has none of its parent's threads


def worthwhile_threads(work: int, per_thread: int) -> int:
    """Return how many threads to use: PyTorch's number, but ``per_thread`` units of ``work`` at least for each."""
    return max(1, min(torch.get_num_threads(), work // per_thread))


def on_threads(work: Any, description: Structure, threads: int) -> None:
    """Call compiled ``work`` with the address of its description on several threads at once, this one among them.

    They are those of PyTorch's own OpenMP runtime: these spin for a while after each of PyTorch's operations, and
    others would wait for the processors meanwhile. Only where that runtime is not found are there others.
    """
    if threads == 1:
        work(byref(description))
        return
    team = openmp_team()
    if team is not None:
        team(cast(work, c_void_p), byref(description), threads, 0)
        return
    running = [_helpers(threads - 1).submit(work, byref(description)) for _ in range(threads - 1)]
    work(byref(description))
    for future in running:
        future.result()


@cache
def openmp_team() -> Callable[[Any, Any, int, int], None] | None:
    """Return what calls a function on threads of PyTorch's own OpenMP runtime; None where it is not found.

    It takes the function, its argument, how many threads, and 0.
    """
    folder = Path(torch.__file__).parent / "lib"
    for path in sorted((*folder.glob("libgomp*.so*"), *folder.glob("libiomp5*.so*"))):
        with suppress(OSError, AttributeError):
            found = CDLL(str(path)).GOMP_parallel
            found.argtypes, found.restype = [c_void_p, c_void_p, c_uint, c_uint], None
            return found
    return None
