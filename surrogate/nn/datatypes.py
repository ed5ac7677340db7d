"""Which datatype multiplies a surrogate's factors: the fastest that rounds nothing, by an estimate of its cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surrogate.errors import ExactnessError

COSTS = {"int8": 0.115, "float32": 1.0, "float64": 1.95}
"""Cost of a product, in multiples of a float32 one: 1024 x 1024 x 1024, one thread, AVX-512 VNNI, PyTorch 2.13."""

_SUM = 0.035  # adding one product to the float64 sums, measured in the same run
_MOST_PIECES = 4  # of short products, which are slower than these costs say
_SHORT = 1024  # lanes


@dataclass(frozen=True)
class Datatype:
    """What a datatype needs to multiply given factors.

    Attributes
    ----------
    name : str
        A key of `COSTS`.
    products : int
        Number of products, digits counted.
    sums : int
        Number of sums that are added with a weight each.
    lanes_summed : int
        Longest sum of its accumulator that is exact; longer ones are cut into pieces, added in float64.
    lanes_in_all : int
        Longest sum whose pieces add up to exact float64 numbers.
    """

    name: str
    products: int
    sums: int
    lanes_summed: int
    lanes_in_all: int

    def channels(self, pixels: int) -> int:
        """Channels that one product can sum over ``pixels`` of a kernel."""
        return self.lanes_summed // pixels

    def cost(self, channels: int, pixels: int) -> float:
        """Cost of sums over ``channels``, in multiples of a float32 product."""
        added = self.sums * -(-channels // self.channels(pixels))
        return self.products * COSTS[self.name] + (added * _SUM if added > 1 else 0.0)


def fastest(datatypes: Iterable[Datatype], channels: int, pixels: int, forced: bool) -> tuple[str, int]:
    """Choose the datatype of least cost for sums over ``channels`` of a group and ``pixels`` of a kernel.

    Parameters
    ----------
    forced : bool
        Whether to cut sums into any number of pieces, not just a few.

    Returns
    -------
    name : str
    channels : int
        How many channels one product takes.

    Raises
    ------
    ExactnessError
        If none is exact.
    """
    lanes = channels * pixels

    def worthwhile(piece: int) -> bool:
        few = piece * _MOST_PIECES >= channels or piece * pixels >= _SHORT
        return piece > 0 and (forced or few)

    exact = [each for each in datatypes if lanes <= each.lanes_in_all and worthwhile(each.channels(pixels))]
    if not exact:
        raise ExactnessError(
            f"sums of {lanes} products could reach 2**53, or leave the datatype that is asked for, and be rounded; "
            f"take arithmetic='auto', operands of fewer bits, or split the layer"
        )
    chosen = exact[0]
    for each in exact[1:]:  # a minimum by key does not compile
        if each.cost(channels, pixels) < chosen.cost(channels, pixels):
            chosen = each
    return chosen.name, min(chosen.channels(pixels), channels)
