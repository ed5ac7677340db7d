"""Networks that can be built with reproducible weights."""

from __future__ import annotations

from typing import Any, Self

from torch import nn

from surrogate.nn.training.seeding import seeded


class Seeded(nn.Module):
    """A network that can be built with reproducible weights."""

    @classmethod
    def seeded(cls, seed: int, *args: Any, **options: Any) -> Self:
        """Build one whose initial weights depend on ``seed`` alone; torch's global generator is left as it was."""
        with seeded(seed):
            return cls(*args, **options)
