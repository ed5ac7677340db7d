"""Networks that can be built with reproducible weights."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn


class Seeded(nn.Module):
    """A network that can be built with reproducible weights."""

    @classmethod
    def seeded(cls, seed: int, *args: Any, **options: Any) -> Self:
        """Build one whose initial weights depend on ``seed`` alone; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(*args, **options)
