"""The error metrics of one multiplier: what each is, under which convention, and how sure a sample is of it.

``P`` is the exact product, ``F`` the approximate one, ``E = F - P``. ``D`` is the set of compared operand pairs, ``D0``
those with ``P != 0``. Means are weighted means where operand distributions are given; extremes are then taken over the
pairs of non-zero probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from multipliers.errors import ParameterError
from multipliers.intervals import Interval
from multipliers.operands import OperandFormat

Comparison = Literal["exhaustive", "streamed", "sampled"]
Relative = Literal["nonzero", "max1"]
Normaliser = Literal["2^(n+m)", "2^(n+m)-1", "largest exact product"]

COMPARISONS = ("exhaustive", "streamed", "sampled")
RELATIVES = ("nonzero", "max1")
NORMALISERS = ("2^(n+m)", "2^(n+m)-1", "largest exact product")


@dataclass(frozen=True)
class ErrorMetrics:
    """Error metrics of one multiplier; fractions are plain numbers, never per cent.

    Attributes
    ----------
    n_pairs : int
        Operand pairs compared: those of non-zero probability, or those drawn.
    comparison : str
        ``"exhaustive"``, ``"streamed"`` (both: every pair) or ``"sampled"``.
    weighted : bool
        Whether operand distributions were given.
    mean_error : float
        Bias, mean over D of E (LSB).
    mae : float
        Mean absolute error, mean over D of abs(E) (LSB); also called MED.
    wce : int
        Worst-case error, max over D of abs(E) (LSB).
    error_probability, positive_error_probability, negative_error_probability : float
        Share of D with E != 0, E > 0, E < 0.
    mse, rmse : float
        Mean over D of E^2 (LSB^2), and its root (LSB).
    variance, sd : float
        Mean over D of (E - mean_error)^2 (LSB^2), and its root (LSB).
    mre : float
        Mean relative error: mean over D0 of abs(E)/abs(P); under ``relative="max1"`` mean over D of
        abs(E)/max(1, abs(P)).
    relative_bias, relative_sd : float
        Mean and standard deviation over D0 of E/P, signed.
    wcre : float
        Worst-case relative error, max over D0 of abs(E)/abs(P).
    min_error, max_error : int
        Peak errors, min and max over D of E (LSB).
    min_relative_error, max_relative_error : float
        Min and max over D0 of E/P.
    mean_hamming_distance : float
        Mean number of differing bits of F and P, both taken as words of n + m bits, that is modulo ``2**(n+m)``:
        negative results in two's complement, bits above the word ignored.
    nmed : float
        ``mae`` divided by the normaliser.
    wmed : float or None
        Weighted mean error distance, sum p(a) q(b) abs(E) (LSB); None without distributions. Vasicek et al.,
        arXiv 1903.04188.
    relative : str
        Convention of ``mre``: ``"nonzero"`` or ``"max1"``.
    normaliser : str
        Of ``nmed``: ``"2^(n+m)"``, ``"2^(n+m)-1"`` or ``"largest exact product"`` (of the formats, in magnitude).
    intervals : mapping of str to Interval
        Of a sampled comparison, the confidence interval of each metric by its name (`multipliers.sampling` says which
        metric has which): empty where every pair was compared, and the metrics are those of the multiplier.

    Notes
    -----
    Zero rule: where no compared pair has P != 0, every mean and extreme over D0 is NaN (None in `to_dict`).
    """

    n_pairs: int
    comparison: str
    weighted: bool
    mean_error: float
    mae: float
    wce: int
    error_probability: float
    positive_error_probability: float
    negative_error_probability: float
    mse: float
    rmse: float
    variance: float
    sd: float
    mre: float
    relative_bias: float
    relative_sd: float
    wcre: float
    min_error: int
    max_error: int
    min_relative_error: float
    max_relative_error: float
    mean_hamming_distance: float
    nmed: float
    wmed: float | None
    relative: Relative
    normaliser: Normaliser
    intervals: Mapping[str, Interval] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intervals", MappingProxyType(dict(self.intervals)))
        if self.n_pairs < 1:
            raise ParameterError(f"n_pairs must be at least 1, got {self.n_pairs}")
        check_name("comparison", self.comparison, COMPARISONS)
        check_name("relative", self.relative, RELATIVES)
        check_name("normaliser", self.normaliser, NORMALISERS)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON-safe values; NaN becomes None. ``intervals`` is there if there are any."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        del data["intervals"]
        data = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in data.items()}
        if self.intervals:
            data["intervals"] = {name: interval.to_dict() for name, interval in self.intervals.items()}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ErrorMetrics:
        """Read what `to_dict` wrote.

        Raises
        ------
        ParameterError
            If a field is missing or unknown.
        """
        names = {f.name for f in fields(cls)} - {"intervals"}
        found = set(data) - {"intervals"}
        if names != found:
            raise ParameterError(
                f"error metrics: missing fields {sorted(names - found)}, unknown fields {sorted(found - names)}"
            )
        values: dict[str, Any] = {k: math.nan if data[k] is None and k != "wmed" else data[k] for k in names}
        intervals = {name: Interval.from_dict(interval) for name, interval in data.get("intervals", {}).items()}
        return cls(**values, intervals=intervals)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle through `to_dict`: a mapping proxy cannot be pickled."""
        return type(self).from_dict, (self.to_dict(),)


def normaliser_value(a: OperandFormat, b: OperandFormat, normaliser: Normaliser = "2^(n+m)") -> int:
    """Return the number by which ``nmed`` divides.

    Examples
    --------
    >>> normaliser_value(OperandFormat(8, True), OperandFormat(8, True), "largest exact product")
    16384
    """
    check_name("normaliser", normaliser, NORMALISERS)
    if normaliser == "largest exact product":
        return max(-a.minimum, a.maximum) * max(-b.minimum, b.maximum)
    return (1 << (a.bits + b.bits)) - (normaliser == "2^(n+m)-1")


def check_name(parameter: str, value: str, known: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of the known names of a parameter."""
    if value not in known:
        raise ParameterError(f"{parameter} must be one of {', '.join(map(repr, known))}, got {value!r}")
