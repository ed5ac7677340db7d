"""Error of a floating-point multiplier relative to the product in full precision.

Over- and underflow aside, the relative error depends on the mantissas alone. Two populations of operands are of
interest: the numbers of the format, and real numbers, which the multiplier truncates first. Papers print figures of the
latter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from multipliers.errors import ParameterError
from multipliers.floating.multiplier import FloatMultiplier
from multipliers.intervals import DEFAULT_CONFIDENCE, Interval, check_confidence, mean_interval
from multipliers.multiplier import sample_pairs
from multipliers.operands import IntArray, OperandFormat

Inputs = Literal["real", "format"]
DoubleArray = NDArray[np.float64]

MAX_EXHAUSTIVE_BITS = 10
"""Mantissas up to here are compared pair by pair; wider ones are sampled."""

DEFAULT_SAMPLE = 1 << 22
"""Pairs of operands of a sampled comparison."""

_BLOCK = 1 << 18
_DRAWN = OperandFormat(32)
_TINY = 1e-300
"""Stands for products that are not positive, where a logarithm is taken."""


@dataclass(frozen=True)
class FloatMetrics:
    """Relative error ``F / P - 1`` of products ``F`` to those ``P`` in full precision; fractions, never per cent.

    Attributes
    ----------
    inputs : str
        ``"real"`` or ``"format"``, see `float_metrics`.
    comparison : str
        ``"exhaustive"`` (over mantissa pairs; integrals over the real numbers of each where ``inputs="real"``) or
        ``"sampled"``.
    n_pairs : int
        Pairs of mantissas compared, or pairs of operands drawn.
    mre : float
        Mean of the magnitude of the relative error.
    relative_bias, relative_sd : float
        Mean and standard deviation of the relative error, signed.
    min_relative_error, max_relative_error : float
        Its infimum and supremum; of a sample, the extremes seen.
    intervals : mapping of str to Interval
        Of a sampled comparison, the confidence intervals of ``mre`` and ``relative_bias``.
    """

    inputs: str
    comparison: str
    n_pairs: int
    mre: float
    relative_bias: float
    relative_sd: float
    min_relative_error: float
    max_relative_error: float
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-safe values."""
        return {**asdict(self), "intervals": {name: i.to_dict() for name, i in self.intervals.items()}}


def float_metrics(
    multiplier: FloatMultiplier,
    *,
    inputs: Inputs = "real",
    sample: int | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
) -> FloatMetrics:
    """Measure the relative error of a floating-point multiplier.

    Parameters
    ----------
    multiplier : FloatMultiplier
    inputs : {"real", "format"}
        Operands, whose significands ``x, y`` are uniform in ``[1, 2)``: real numbers, which the multiplier truncates,
        so that its error includes that of the truncation; or the numbers of the format.
    sample : int, optional
        Pairs to draw. By default, mantissas up to 10 bits are compared exhaustively, and 2**22 pairs of wider ones are
        drawn. Draws are the same on every machine (`multipliers.multiplier.sample_pairs`).
    confidence : float
        Of the intervals of a sampled comparison.

    Returns
    -------
    FloatMetrics

    Raises
    ------
    ParameterError
        If ``inputs`` is neither, ``sample`` is below 1, or ``confidence`` is not between 0 and 1.

    Notes
    -----
    Neither signs nor exponents are drawn: no product overflows or vanishes. For real operands the moments are exact, by
    integration: all reals of one pair of mantissas ``[x0, x1) x [y0, y1)`` have one product ``M``, and

        integral of M / (x y)        = M log(x1 / x0) log(y1 / y0)
        integral of (M / (x y))**2   = M**2 (1 / x0 - 1 / x1) (1 / y0 - 1 / y1)

    and that of the part where ``x y < M``, which the magnitude needs, has a closed form, too.

    Examples
    --------
    >>> from multipliers.floating import get
    >>> metrics = float_metrics(get("e8m7_mitchell8u"))
    >>> f"{metrics.mre:.2%} {metrics.relative_bias:.2%}"
    '4.37% -4.37%'
    """
    if inputs not in ("real", "format"):
        raise ParameterError(f"inputs must be 'real' or 'format', got {inputs!r}")
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int | np.integer) or sample < 1):
        raise ParameterError(f"sample must be a number of pairs from 1, got {sample!r}")
    check_confidence(confidence)
    if sample is not None or multiplier.format.mantissa_bits > MAX_EXHAUSTIVE_BITS:
        return _sampled(multiplier, inputs, DEFAULT_SAMPLE if sample is None else int(sample), confidence)
    return _exhaustive(multiplier, inputs)


Cells = tuple[DoubleArray, DoubleArray, DoubleArray, DoubleArray, DoubleArray]
"""Mean magnitude, mean and mean square of the relative error of each pair of mantissas, and its extremes."""


def _exhaustive(multiplier: FloatMultiplier, inputs: Inputs) -> FloatMetrics:
    bits = multiplier.format.mantissa_bits
    cells: Callable[[DoubleArray, DoubleArray, DoubleArray, float], Cells] = _reals if inputs == "real" else _points
    mantissas = np.arange(1 << bits)
    y = 1 + np.ldexp(mantissas, -bits)
    sums, low, high = [], math.inf, -math.inf
    for rows in np.array_split(mantissas, max(1, mantissas.size**2 // _BLOCK)):
        product = multiplier.mantissa_product(rows[:, None], mantissas[None, :])
        magnitude, mean, square, least, most = cells(product, y[rows, None], y[None, :], 2.0**-bits)
        sums.append((magnitude.sum(), mean.sum(), square.sum()))
        low, high = min(low, float(least.min())), max(high, float(most.max()))
    mre, bias, square_mean = (math.fsum(column) / mantissas.size**2 for column in zip(*sums, strict=True))
    sd = math.sqrt(max(0.0, square_mean - bias**2))
    return FloatMetrics(inputs, "exhaustive", mantissas.size**2, mre, bias, sd, low, high)


def _points(product: DoubleArray, x: DoubleArray, y: DoubleArray, width: float) -> Cells:
    error = product / (x * y) - 1
    return np.abs(error), error, error**2, error, error


def _reals(product: DoubleArray, x0: DoubleArray, y0: DoubleArray, width: float) -> Cells:
    """Integrate over the squares of side ``width`` whose corners are ``x0, y0``, divided by their area."""
    area = width**2
    x1, y1 = x0 + width, y0 + width
    log_x, log_y = np.log1p(width / x0), np.log1p(width / y0)
    quotient = product * log_x * log_y / area
    square = product**2 / (x0 * x1 * y0 * y1)
    positive = np.maximum(product, _TINY)
    # where x < full every y of the square has x y < M, where x < some only those below M / x, beyond none
    full, some = np.clip(positive / y1, x0, x1), np.clip(positive / y0, x0, x1)
    excess = positive * np.log(full / x0) * log_y - (full - x0) * width
    excess += positive * (np.log(positive / (full * y0)) ** 2 - np.log(positive / (some * y0)) ** 2) / 2
    excess += y0 * (some - full) - positive * np.log(some / full)
    mean = quotient - 1
    # of the infimum and the supremum one is approached, not reached
    corners = product / (x1 * y1) - 1, product / (x0 * y0) - 1
    return 2 * excess / area - mean, mean, square - 2 * quotient + 1, np.minimum(*corners), np.maximum(*corners)


def _sampled(multiplier: FloatMultiplier, inputs: Inputs, n_pairs: int, confidence: float) -> FloatMetrics:
    sums, low, high = [], math.inf, -math.inf
    for start in range(0, n_pairs, _BLOCK):
        draws = sample_pairs(_DRAWN, _DRAWN, min(_BLOCK, n_pairs - start), start)
        error = _drawn_errors(multiplier, inputs, *draws)
        sums.append((np.abs(error).sum(), error.sum(), (error**2).sum()))
        low, high = min(low, float(error.min())), max(high, float(error.max()))
    mre, bias, square = (math.fsum(column) / n_pairs for column in zip(*sums, strict=True))
    intervals = {
        "mre": mean_interval(mre, square - mre**2, n_pairs, confidence, 0.0),
        "relative_bias": mean_interval(bias, square - bias**2, n_pairs, confidence),
    }
    sd = math.sqrt(max(0.0, square - bias**2))
    return FloatMetrics(inputs, "sampled", n_pairs, mre, bias, sd, low, high, intervals)


def _drawn_errors(multiplier: FloatMultiplier, inputs: Inputs, a: IntArray, b: IntArray) -> DoubleArray:
    """Relative errors of operands whose significands are ``1 + a / 2**32`` and ``1 + b / 2**32``."""
    cut = _DRAWN.bits - multiplier.format.mantissa_bits
    product = multiplier.mantissa_product(a >> cut, b >> cut)
    x, y = (1 + np.ldexp((v >> cut << cut if inputs == "format" else v).astype(float), -_DRAWN.bits) for v in (a, b))
    error: DoubleArray = product / (x * y) - 1
    return error
