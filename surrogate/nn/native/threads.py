"""Compiled work on as many threads as PyTorch uses; ctypes releases the interpreter's lock meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ctypes import CDLL, c_uint, c_void_p
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


def on_threads(work: Callable[[int], object], threads: int) -> None:
    """Call ``work(0)`` to ``work(threads - 1)``, each on a thread of its own, the first on this one."""
    if threads == 1:
        work(0)
        return
    running = [_helpers(threads - 1).submit(work, number) for number in range(1, threads)]
    work(0)
    for future in running:
        future.result()


@cache
def openmp_team() -> Callable[[Any, Any, int, int], None] | None:
    """Return the function that runs compiled code on the threads of PyTorch's own OpenMP runtime; None if not found.

    These threads spin for a while after each of PyTorch's operations: others would wait for the processors meanwhile.
    It takes a function, its argument, a number of threads, and 0.
    """
    folder = Path(torch.__file__).parent / "lib"
    for path in sorted((*folder.glob("libgomp*.so*"), *folder.glob("libiomp5*.so*"))):
        with suppress(OSError, AttributeError):
            found = CDLL(str(path)).GOMP_parallel
            found.argtypes, found.restype = [c_void_p, c_void_p, c_uint, c_uint], None
            return found
    return None
