"""Draws of torch's global generator that depend on a seed alone, and leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator of the CPU within the block; afterwards it is as it was.

    Dropout, initial weights and the baselines of random errors (`surrogate.nn.simulation`) draw from it.

    Examples
    --------
    >>> with seeded(3):
    ...     first = torch.rand(2)
    >>> with seeded(3):
    ...     torch.equal(torch.rand(2), first)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
