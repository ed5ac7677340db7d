"""Confidence intervals of sampled metrics: how far a figure of random operand pairs may be from that of all pairs.

Draws are independent and follow the operand distributions, so each interval rests on the sample alone and on ``n``, the
number of draws behind the metric (of the relative metrics: those with P != 0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

from multipliers.errors import ParameterError

Method = Literal["student", "wilson", "log-delta", "bound"]

DEFAULT_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """Where a metric over all operand pairs lies, seen from a sample.

    Attributes
    ----------
    low, high : float
        Ends of the interval; one of them is infinite for a bound.
    confidence : float
        Share of samples whose interval contains the true value, in the limit of many draws; 1 for a bound.
    method : str
        ``"student"``: mean +- Student's t times the standard error. ``"wilson"``: the score interval of a share
        (Wilson, J. Am. Stat. Assoc. 22, 1927). ``"log-delta"``: delta method on the logarithm of a mean of squares,
        from the sample's fourth moment. ``"bound"``: an extreme of a sample only bounds that of all pairs; nothing is
        said of how far it is.

    Notes
    -----
    All but ``"wilson"`` and ``"bound"`` need errors to be seen: where a sample holds none, they shrink to the point 0,
    and only the interval of the error probability says how rare errors may still be. Where the error is rare and large,
    they cover less often than they claim until dozens of erroneous pairs were drawn.

    Examples
    --------
    >>> interval = share_interval(0, 1000)
    >>> interval.low, round(interval.high, 5)
    (0.0, 0.00383)
    """

    low: float
    high: float
    confidence: float
    method: Method

    @property
    def half_width(self) -> float:
        """Half the distance of the ends; infinite for a bound."""
        return (self.high - self.low) / 2

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-safe values; an infinite end becomes None."""
        return {k: None if isinstance(v, float) and math.isinf(v) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Interval:
        """Read what `to_dict` wrote."""
        low, high = (end if data[key] is None else data[key] for key, end in (("low", -math.inf), ("high", math.inf)))
        return cls(low, high, data["confidence"], data["method"])


def check_confidence(confidence: float) -> None:
    """Raise ParameterError unless a level of confidence lies strictly between 0 and 1."""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence < 1:
        raise ParameterError(f"confidence must be a number between 0 and 1, such as 0.95, got {confidence!r}")


def student_quantile(confidence: float, n: float) -> float:
    """Two-sided quantile of Student's t with ``n - 1`` degrees of freedom.

    Expansion about the normal quantile (Abramowitz, Stegun, *Handbook of Mathematical Functions*, 26.7.5): at 0.95 off
    by 0.1 % at 6 degrees of freedom, and less above. Below 3 it is infinite: so small a sample says nothing.

    Examples
    --------
    >>> round(student_quantile(0.95, 11), 3), round(student_quantile(0.95, 1 << 22), 3)
    (2.228, 1.96)
    """
    nu = n - 1
    if nu < 3:
        return math.inf
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / nu**i for i, term in enumerate(terms))


def mean_interval(
    mean: float, variance: float, n: float, confidence: float = DEFAULT_CONFIDENCE, least: float = -math.inf
) -> Interval:
    """Interval of a mean from ``n`` draws whose mean squared deviation is ``variance``, cut off at ``least``."""
    # the product of an infinite quantile and a spread of 0 is undefined: a few equal draws say nothing either
    quantile = student_quantile(confidence, n)
    half = math.inf if math.isinf(quantile) else quantile * math.sqrt(max(0.0, variance) / (n - 1))
    return Interval(max(least, mean - half), mean + half, confidence, "student")


def share_interval(share: float, n: float, confidence: float = DEFAULT_CONFIDENCE) -> Interval:
    """Wilson's score interval of a probability of which ``n`` draws showed the share ``share``."""
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 / n * (share * (1 - share) + z2 / (4 * n))) / (1 + z2 / n)
    # at 0 and 1 the end is exact, where rounding would leave it out
    low = 0.0 if share == 0 else max(0.0, middle - half)
    high = 1.0 if share == 1 else min(1.0, middle + half)
    return Interval(low, high, confidence, "wilson")


def square_interval(
    square: float, variance_of_square: float, n: float, confidence: float = DEFAULT_CONFIDENCE
) -> Interval:
    """Interval of a mean of squares (a variance, an MSE), from the variance of the squares that it averages."""
    quantile = student_quantile(confidence, n)
    if math.isinf(quantile):
        return Interval(0.0, math.inf, confidence, "log-delta")
    if square <= 0:
        return Interval(0.0, 0.0, confidence, "log-delta")
    half = quantile * math.sqrt(max(0.0, variance_of_square) / (n - 1)) / square
    high = square * math.exp(half) if half < 700 else math.inf
    return Interval(square * math.exp(-half), high, confidence, "log-delta")


def root(interval: Interval) -> Interval:
    """Interval of the square root of what an interval is of."""
    return Interval(math.sqrt(interval.low), math.sqrt(interval.high), interval.confidence, interval.method)


def scaled(interval: Interval, factor: float) -> Interval:
    """Interval of a metric that is another one times a positive constant."""
    return Interval(interval.low * factor, interval.high * factor, interval.confidence, interval.method)


def lower_bound(value: float) -> Interval:
    """Return what a sample's maximum says of the true one: at least ``value``."""
    return Interval(value, math.inf, 1.0, "bound")


def upper_bound(value: float) -> Interval:
    """Return what a sample's minimum says of the true one: at most ``value``."""
    return Interval(-math.inf, value, 1.0, "bound")
