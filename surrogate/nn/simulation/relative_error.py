"""The relative error of a product as a normal variable: what a multiplier's MRE and standard deviation leave of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from multipliers.metrics import error_metrics
from multipliers.multiplier import Multiplier

_ROUNDING = 0.03
"""Published pairs are rounded: 1.4 % and 1.8 % of Hammad et al. miss ``MRE = sqrt(2 / pi) SD`` by 2.5 %."""


@dataclass(frozen=True)
class RelativeError:
    """A relative error ``e`` of products, ``a * b * (1 + e)``, that is normal.

    Parameters
    ----------
    mean, sd : float
        Its mean and standard deviation, as fractions: 0.01 is one percent.
    seed : int
        Decides the errors that are drawn, together with a layer's name and the shape of its weights.

    Raises
    ------
    ValueError
        If they are not finite, or ``sd`` is negative.

    Examples
    --------
    >>> RelativeError.from_mre(0.024, 0.03)
    RelativeError(mean=0.0021..., sd=0.03, seed=0)
    >>> f"{RelativeError(0, 0.03).mre:.5f}"
    '0.02394'
    """

    mean: float
    sd: float
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("mean", "sd"):
            value = getattr(self, name)
            if not math.isfinite(value) or (name == "sd" and value < 0):
                wanted = "a finite number" if name == "mean" else "a finite number from 0"
                raise ValueError(f"{name} must be {wanted}, as a fraction (0.01 is one percent), got {value}")

    @property
    def mre(self) -> float:
        """Mean relative error, the mean of ``|e|``.

        ``SD sqrt(2 / pi) exp(-mean**2 / (2 SD**2)) + mean erf(mean / (SD sqrt(2)))``, the mean of a folded normal
        variable (Leone, Nelson, Nottingham, Technometrics 3(4), 1961).
        """
        if self.sd == 0:
            return abs(self.mean)
        z = self.mean / self.sd
        return self.sd * math.sqrt(2 / math.pi) * math.exp(-z * z / 2) + self.mean * math.erf(z / math.sqrt(2))

    @classmethod
    def from_mre(cls, mre: float, sd: float | None = None, *, negative: bool = False, seed: int = 0) -> Self:
        """Find the normal error of a given mean relative error (MRE) and standard deviation.

        Parameters
        ----------
        mre, sd : float
            As fractions. Without ``sd`` the mean is 0, and ``sd = sqrt(pi / 2) mre``.
        negative : bool
            Whether products are too small on average; the pair says only how large the mean is.
        seed : int
            See `RelativeError`.

        Raises
        ------
        ValueError
            If no normal variable has the pair: its MRE is at least ``sqrt(2 / pi) = 0.798`` of its standard deviation.
            A pair that misses this by up to 3 % is taken for one of mean 0 that has been rounded, and keeps its ``sd``.

        Examples
        --------
        >>> RelativeError.from_mre(0.05, 0.0, negative=True)
        RelativeError(mean=-0.05, sd=0.0, seed=0)
        >>> RelativeError.from_mre(0.014, 0.018)
        RelativeError(mean=0.0, sd=0.018, seed=0)
        """
        if not (math.isfinite(mre) and mre >= 0):
            raise ValueError(f"mre must be a finite number from 0, as a fraction (0.01 is one percent), got {mre}")
        if sd is None:
            return cls(0.0, mre * math.sqrt(math.pi / 2), seed)
        least = cls(0.0, sd).mre
        if mre <= least:
            if mre < (1 - _ROUNDING) * least:
                raise ValueError(
                    f"no normal error has MRE {mre:g} and standard deviation {sd:g}: its MRE is at least "
                    f"sqrt(2 / pi) * sd = {least:.4g}; give a larger mre or a smaller sd, or leave sd out"
                )
            return cls(0.0, sd, seed)
        low, high = 0.0, mre  # the MRE grows with the mean, and is never below it
        while (middle := (low + high) / 2) not in (low, high):
            low, high = (middle, high) if cls(middle, sd).mre < mre else (low, middle)
        return cls(-high if negative else high, sd, seed)

    @classmethod
    def of(cls, multiplier: Multiplier, *, seed: int = 0) -> Self:
        """Take mean and standard deviation from a multiplier, over all pairs of operands whose product is not 0.

        Examples
        --------
        >>> from multipliers import get
        >>> RelativeError.of(get("drum8u_k3"))
        RelativeError(mean=0.0..., sd=0.14..., seed=0)
        """
        metrics = error_metrics(multiplier)
        return cls(metrics.relative_bias, metrics.relative_sd, seed)
