"""Work on many blocks in threads: NumPy releases the interpreter while it works on a block."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from multipliers.errors import ParameterError

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """Apply a function to items in threads; results come in the order of the items, few at a time.

    Parameters
    ----------
    function : callable
        Must be able to run in several threads at a time.
    items : sequence
        What to apply it to.
    workers : int, optional
        Threads; one per processor by default. With 1 everything runs in the calling thread.

    Raises
    ------
    ParameterError
        If ``workers`` is below 1.

    Examples
    --------
    >>> list(map_in_order(abs, [-3, 1, -2], workers=2))
    [3, 1, 2]
    """
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ParameterError(f"workers must be a number of threads from 1, got {workers!r}")
    threads = min(workers or os.cpu_count() or 1, len(items))
    return _in_threads(function, items, threads) if threads > 1 else map(function, items)


def _in_threads(function: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep NumPy's linear algebra in the calling thread: on small matrices its threads cost more than they bring.

    Without the package ``threadpoolctl`` it does nothing.
    """
    controller = _controller()
    if controller is None:
        yield
    else:
        with controller.limit(limits=1, user_api="blas"):
            yield


@cache
def _controller() -> ThreadpoolController | None:
    """Find the libraries once; that takes longer than a small decomposition."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
