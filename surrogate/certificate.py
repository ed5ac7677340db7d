"""What was compared between a surrogate and its multiplier, and how far they differ."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from surrogate.errors import SurrogateError

COMPARISONS = ("exhaustive", "streamed", "sampled")


@dataclass(frozen=True)
class Certificate:
    """The residual ``surrogate - multiplier``, measured on the surrogate as it is stored.

    Attributes
    ----------
    comparison : str
        ``"exhaustive"`` or ``"streamed"`` (every operand pair, the latter in blocks), or ``"sampled"``
        (``n_pairs`` reproducible random pairs).
    n_pairs : int
        Operand pairs compared.
    n_different : int
        Pairs whose surrogate product, rounded to the nearest integer, is not the multiplier's.
    max_abs_residual, mean_abs_residual, rms_residual : float
        In LSB of the product, over the compared pairs, uniformly weighted.
    residual_bias : float
        Mean residual in LSB, over the compared pairs, uniformly weighted.
    """

    comparison: str
    n_pairs: int
    n_different: int
    max_abs_residual: float
    mean_abs_residual: float
    rms_residual: float
    residual_bias: float

    def __post_init__(self) -> None:
        if self.comparison not in COMPARISONS:
            raise SurrogateError(f"certificate: comparison must be one of {COMPARISONS}, got {self.comparison!r:.80}")
        for name in ("n_pairs", "n_different"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise SurrogateError(f"certificate: {name} must be a non-negative integer, got {value!r:.80}")
        if self.n_pairs == 0 or self.n_different > self.n_pairs:
            raise SurrogateError(f"certificate: {self.n_different} of {self.n_pairs} pairs cannot differ")
        for name in ("max_abs_residual", "mean_abs_residual", "rms_residual", "residual_bias"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise SurrogateError(f"certificate: {name} must be a finite number, got {value!r:.80}")
            if value < 0 and name != "residual_bias":
                raise SurrogateError(f"certificate: {name} cannot be negative, got {value!r:.80}")
            object.__setattr__(self, name, float(value) + 0.0)  # no -0.0
        residuals = (self.mean_abs_residual, self.rms_residual, abs(self.residual_bias))
        if (self.n_different > 0) != (self.max_abs_residual >= 0.5) or (self.max_abs_residual == 0 and any(residuals)):
            raise SurrogateError(f"certificate: the residuals contradict each other: {self}")

    @property
    def every_pair(self) -> bool:
        """Whether every operand pair was compared."""
        return self.comparison != "sampled"

    @property
    def exact(self) -> bool:
        """Whether every operand pair was compared and none differs by anything at all."""
        return self.every_pair and self.max_abs_residual == 0

    @property
    def share_different(self) -> float:
        """``n_different / n_pairs``."""
        return self.n_different / self.n_pairs

    def agrees_with(self, other: Certificate) -> bool:
        """Whether ``other`` states the same comparison and residuals, but for the rounding of long sums (1e-9)."""
        exact = ("n_pairs", "n_different", "max_abs_residual", "every_pair")
        means = ("mean_abs_residual", "rms_residual", "residual_bias")
        slack = 1e-9 * max(self.mean_abs_residual, other.mean_abs_residual)
        return all(getattr(self, name) == getattr(other, name) for name in exact) and all(
            math.isclose(getattr(self, name), getattr(other, name), rel_tol=1e-9, abs_tol=slack) for name in means
        )

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Certificate:
        """Build a certificate from its stored form."""
        expected = {f.name for f in fields(cls)}
        if not isinstance(data, dict) or set(data) != expected:
            raise SurrogateError(f"a certificate has the fields {sorted(expected)}")
        return cls(**data)
