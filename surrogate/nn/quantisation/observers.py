"""Ranges of values to quantise: which numbers the smallest and the largest integer of an operand stand for.

A wide range clips nothing but has coarse steps; a narrow one the opposite. The rules differ in that choice:

``"minmax"``
    From the smallest to the largest value seen.
``"moving_average"``
    The same of each batch, averaged over batches with the weight ``momentum`` of the newest, also in calibration.
``"percentile"``
    Values outside the central ``percentile`` per cent are clipped, half of them on either side.
``"mse"``
    The range of least mean squared error between values and quantised values (Choukroun et al., arXiv
    1902.06822).

While training, every rule is applied to each batch, and the results are averaged. In calibration the last two see all
batches at once, as a histogram of `BINS` bins whose width doubles whenever a value falls outside: counts are then
added pairwise, so nothing is lost but resolution, and the width never exceeds 4 / `BINS` of the largest magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from multipliers.operands import OperandFormat
from surrogate.nn.errors import QuantisationError
from surrogate.nn.operators import opaque

OBSERVERS = ("minmax", "moving_average", "percentile", "mse")

BINS = 2048
"""Bins of a histogram, half of them for negative values."""

_FACTORS = 64  # ranges tried of each end, and of both together


@dataclass(frozen=True)
class Samples:
    """Values with how often they occur, for each channel.

    Attributes
    ----------
    values : Tensor
        Shape ``(channels, n)`` or ``(1, n)``, ascending along the last axis.
    counts : Tensor
        Shape ``(channels, n)``, not negative.
    low, high : Tensor
        Smallest and largest value of each channel, shape ``(channels,)``.
    """

    values: Tensor
    counts: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Samples:
        """Take ``(channels, n)`` values: themselves where they are few, else their histogram."""
        if x.shape[1] <= BINS:
            values = x.sort(dim=1).values
            return cls(values, torch.ones_like(values), values[:, 0], values[:, -1])
        histogram = Histogram(x.shape[0], x.device)
        histogram.add(x)
        return histogram.samples()


class Histogram:
    """Counts of values in bins of equal width around 0, which widen as needed; one histogram per channel.

    Examples
    --------
    >>> histogram = Histogram(channels=1)
    >>> histogram.add(torch.tensor([[0.5, -1.0, 1.0]]))
    >>> histogram.add(torch.tensor([[3.0]]))
    >>> int(histogram.counts.sum()), histogram.reach
    (4, 4.0)
    """

    def __init__(self, channels: int, device: torch.device | str = "cpu") -> None:
        self.counts = torch.zeros((channels, BINS), dtype=torch.float64, device=device)
        self.reach = 0.0
        """Largest magnitude that fits, a power of two, or 0 while all values are 0."""
        self.low = torch.full((channels,), torch.inf, device=device)
        self.high = torch.full((channels,), -torch.inf, device=device)

    def add(self, x: Tensor) -> None:
        """Count finite values, shape ``(channels, n)``."""
        low, high = torch.aminmax(x, dim=1)
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        largest = float(x.abs().max())
        if largest == 0 and self.reach == 0:
            self.counts[:, BINS // 2] += x.shape[1]  # whatever the width, the bin above 0
            return
        if largest > self.reach:
            self._widen(largest)
        index = ((x.double() / self.reach + 1) * (BINS // 2)).long().clamp_(0, BINS - 1)
        self.counts.scatter_add_(1, index, torch.ones_like(index, dtype=torch.float64))

    def _widen(self, largest: float) -> None:
        mantissa, exponent = torch.frexp(torch.tensor(largest, dtype=torch.float64))
        reach = 2.0 ** (int(exponent) - (1 if float(mantissa) == 0.5 else 0))
        while 0 < self.reach < reach and bool((self.counts > 0).any()):
            pairs = self.counts.reshape(len(self.counts), BINS // 2, 2).sum(dim=2)
            self.counts = torch.nn.functional.pad(pairs, (BINS // 4, BINS // 4))
            self.reach *= 2
        self.reach = reach

    def samples(self) -> Samples:
        """Middles of the bins, and their counts."""
        middles = (torch.arange(BINS, dtype=torch.float64, device=self.counts.device) + 0.5) / (BINS // 2) - 1
        used = (self.counts > 0).any(dim=0)
        return Samples((middles * self.reach)[None, used].float(), self.counts[:, used].float(), self.low, self.high)


@dataclass(frozen=True)
class AffineGrid:
    """Scale ``S`` and zero point ``Z`` of a range ``[low, high]`` that contains 0.

    Symmetric: ``Z = 0`` and ``S = max(-low, high) / largest integer``, but ``Z`` in the middle of unsigned integers
    where ``low < 0``. Affine: ``S = (high - low) / (number of integers - 1)``, ``Z = round(smallest - low / S)``.
    A range of zero width has ``S = 1``: any scale represents it.
    """

    operand: OperandFormat
    symmetric: bool

    def __call__(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and zero point, float, of the shape of ``low``."""
        smallest, largest = self.operand.minimum, self.operand.maximum
        if not self.symmetric:
            scale = _positive((high - low) / (largest - smallest))
            return scale, torch.clamp(torch.round(smallest - low / scale), smallest, largest)
        magnitude = torch.maximum(-low, high)
        if self.operand.signed:
            return _positive(magnitude / max(largest, 1)), torch.zeros_like(magnitude)
        middle = (largest + 1) // 2
        steps = torch.where(low < 0, float(max(largest - middle, 1)), float(largest))
        return _positive(magnitude / steps), torch.where(low < 0, float(middle), 0.0)


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale > torch.finfo(torch.float32).tiny, scale, 1.0)


def _empty_range(x: Tensor, *settings: object) -> tuple[Tensor, Tensor]:
    return x.new_empty(len(x)), x.new_empty(len(x))


@opaque("observed_range", _empty_range)
def observed_range(
    x: Tensor, subject: str, observer: str, percentile: float, operand: str, symmetric: bool
) -> tuple[Tensor, Tensor]:
    """Find the range of one batch.

    Parameters
    ----------
    x : Tensor
        Shape ``(channels, n)``, float32.
    subject : str
        For the error: "activations hold" or "weight holds".
    observer : str
        One of `OBSERVERS`.
    percentile : float
        Of observer ``"percentile"``.
    operand, symmetric
        Label of the integers, such as ``"8s"``, and whether the zero point is fixed; of observer ``"mse"``.

    Returns
    -------
    low, high : Tensor
        Shape ``(channels,)``.

    Raises
    ------
    QuantisationError
        If a value is not finite.
    """
    low, high = torch.aminmax(x, dim=1)
    if not bool(torch.isfinite(low).all() & torch.isfinite(high).all()):
        raise not_finite(subject)
    if observer in ("percentile", "mse"):
        grid = AffineGrid(OperandFormat.parse(operand), symmetric)
        return clipped_range(Samples.of(x), observer, percentile, grid)
    return low, high


def not_finite(subject: str) -> QuantisationError:
    """Make the error of values that have no finite range; ``subject`` as of `observed_range`."""
    return QuantisationError(
        f"cannot quantise: the {subject} NaN or infinity; look for a layer that diverges, or for NaN in the data"
    )


def clipped_range(samples: Samples, observer: str, percentile: float, grid: AffineGrid) -> tuple[Tensor, Tensor]:
    """Find the range by one of the observers that clip."""
    if observer == "percentile":
        return percentile_range(samples, percentile)
    low, high = torch.clamp(samples.low, max=0.0), torch.clamp(samples.high, min=0.0)
    return least_squares_range(samples, low, high, grid)


def percentile_range(samples: Samples, percentile: float) -> tuple[Tensor, Tensor]:
    """Find the range that holds the central ``percentile`` per cent of the values of each channel.

    Its ends are values themselves: the smallest ones with at least ``(100 - percentile) / 2`` per cent, and at least
    ``(100 + percentile) / 2`` per cent, of all values not above them.
    """
    cumulative = samples.counts.double().cumsum(dim=1)
    total = cumulative[:, -1:]
    tail = (100 - percentile) / 200
    values = samples.values.expand_as(samples.counts)
    ends = []
    for share in (tail, 1 - tail):
        # half a count of slack: a share of the total is not a whole number
        index = torch.searchsorted(cumulative, (share * total - 1e-9 * total).clamp(min=0.5))
        value = values.gather(1, index.clamp(max=values.shape[1] - 1))[:, 0]
        ends.append(value.clamp(samples.low, samples.high))  # the middle of a bin may lie beyond them
    return ends[0], ends[1]


def least_squares_range(samples: Samples, low: Tensor, high: Tensor, grid: AffineGrid) -> tuple[Tensor, Tensor]:
    """Search the range of least mean squared quantisation error of each channel.

    ``[low, high]`` is first shrunk as a whole, in steps of 1/64; affine grids then shrink each end by itself, twice in
    turn, so that the result is the best of its neighbours, though perhaps not of all pairs of ends.

    Parameters
    ----------
    samples : Samples
        What to quantise.
    low, high : Tensor
        Widest range of interest, containing 0, shape ``(channels,)``.
    grid : AffineGrid
        How ranges are quantised.
    """
    factors = torch.arange(1, _FACTORS + 1, device=low.device, dtype=low.dtype) / _FACTORS
    best = torch.ones_like(low), torch.ones_like(low)
    moves = ((True, True),) if grid.symmetric else ((True, True), (False, True), (True, False)) * 2
    least = _squared_error(samples, low, high, grid)
    for move_low, move_high in moves:
        start = best
        for factor in factors.tolist():
            new = torch.full_like(low, factor)
            trial = (new if move_low else start[0]), (new if move_high else start[1])
            error = _squared_error(samples, low * trial[0], high * trial[1], grid)
            better = error < least
            least = torch.where(better, error, least)
            best = torch.where(better, trial[0], best[0]), torch.where(better, trial[1], best[1])
    return low * best[0], high * best[1]


def _squared_error(samples: Samples, low: Tensor, high: Tensor, grid: AffineGrid) -> Tensor:
    """Sum of squared differences between values and quantised values of each channel."""
    scale, zero_point = (part[:, None] for part in grid(low, high))
    q = (torch.round(samples.values / scale) + zero_point).clamp(grid.operand.minimum, grid.operand.maximum)
    return torch.sum(samples.counts * (scale * (q - zero_point) - samples.values) ** 2, dim=1)
