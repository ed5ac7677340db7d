"""A table for the compiled kernel that is active, which an environment variable may change."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from surrogate.nn.native.library import active_kernel
from surrogate.nn.native.sums import NativeTable


class ActiveTable:
    """A table as the active kernel reads it: made when first needed, and anew when another kernel is active.

    Examples
    --------
    >>> import torch
    >>> table = ActiveTable()
    >>> found = table.read(lambda: torch.arange(16).reshape(4, 4))
    >>> found is table.read(lambda: torch.zeros(4, 4, dtype=torch.int64))  # not asked for again
    True
    """

    def __init__(self) -> None:
        self._kernel = ""
        self._native: NativeTable | None = None

    def read(self, entries: Callable[[], Tensor]) -> NativeTable | None:
        """Return the table; None where no compiled kernel is active, or none can hold it.

        Parameters
        ----------
        entries : callable
            Makes the entries ``F[x, w]``, int64; the same at every call.
        """
        kernel = active_kernel()
        if kernel == "torch":
            return None
        if kernel != self._kernel:
            table = entries()
            self._native = NativeTable(table, kernel) if NativeTable.holds(table) else None
            self._kernel = kernel
        return self._native
