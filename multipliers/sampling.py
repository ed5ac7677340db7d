"""How sure a sample of operand pairs is of each error metric."""

from __future__ import annotations

import numpy as np

from multipliers.intervals import (
    DEFAULT_CONFIDENCE,
    Interval,
    check_confidence,
    lower_bound,
    mean_interval,
    root,
    scaled,
    share_interval,
    square_interval,
    upper_bound,
)
from multipliers.metric_values import ErrorMetrics, normaliser_value
from multipliers.operands import IntArray, OperandFormat
from multipliers.sums import FourMoments, Moments


class SampleSpread:
    """Collects independent draws, and gives each metric of theirs a confidence interval.

    | metric                                             | interval                                                |
    |----------------------------------------------------|---------------------------------------------------------|
    | mean_error, mae, wmed, nmed, mean_hamming_distance | Student's, of a mean over all draws                     |
    | mre, relative_bias                                 | Student's, of a mean over the draws with P != 0         |
    | error_probability, positive_..., negative_...      | Wilson's                                                |
    | mse, rmse, variance, sd, relative_sd               | delta method on the logarithm, from the fourth moment   |
    | wce, wcre, min_..., max_...                        | bounds: the extreme of all pairs is at least as far out |

    Parameters
    ----------
    a, b : OperandFormat
        Operand formats; they set the word of the Hamming distance and the normaliser.
    relative : str
        Convention of ``mre``, see `multipliers.metric_values.ErrorMetrics`.

    Examples
    --------
    >>> from multipliers import get
    >>> from multipliers.metrics import error_metrics
    >>> m = get("mitchell8u")
    >>> sampled = error_metrics(m, sample=10_000)
    >>> error_metrics(m).mae in sampled.intervals["mae"]
    True
    """

    def __init__(self, a: OperandFormat, b: OperandFormat, relative: str = "nonzero") -> None:
        self.a, self.b = a, b
        self._word = np.uint64((1 << (a.bits + b.bits)) - 1)
        self._relative = relative
        self._errors, self._ratios = FourMoments(), FourMoments()
        self._relative_sizes, self._differing = Moments(), Moments()

    def add(self, exact: IntArray, approximate: IntArray) -> None:
        """Add products of drawn operand pairs."""
        errors = (approximate - exact).astype(np.float64)
        nonzero = exact != 0
        ratios = errors[nonzero] / exact[nonzero]
        self._errors.add(errors)
        self._ratios.add(ratios)
        sizes = np.abs(ratios)
        if self._relative == "max1":
            sizes = np.concatenate([sizes, np.abs(errors[~nonzero])])
        if sizes.size:
            self._relative_sizes.add(sizes, None)
        differing = np.bitwise_count((exact ^ approximate).view(np.uint64) & self._word)
        self._differing.add(differing.astype(np.float64), None)

    def intervals(self, metrics: ErrorMetrics, confidence: float = DEFAULT_CONFIDENCE) -> dict[str, Interval]:
        """Return the interval of each metric of the draws; a metric without a value (see the zero rule) has none.

        Raises
        ------
        ParameterError
            If ``confidence`` is not strictly between 0 and 1.
        """
        check_confidence(confidence)
        m, n = metrics, self._errors.n
        second, third, fourth = self._errors.central
        spread_of_squares = fourth - second**2  # variance of (E - mean)^2
        # E^2 = (E - mean)^2 + 2 mean (E - mean) + mean^2
        spread_about_zero = spread_of_squares + 4 * m.mean_error * third + 4 * m.mean_error**2 * second
        mae = mean_interval(m.mae, m.mse - m.mae**2, n, confidence, 0.0)
        mse = square_interval(m.mse, spread_about_zero, n, confidence)
        variance = square_interval(m.variance, spread_of_squares, n, confidence)
        found = {
            "mean_error": mean_interval(m.mean_error, m.variance, n, confidence),
            "mae": mae,
            "nmed": scaled(mae, 1 / normaliser_value(self.a, self.b, m.normaliser)),
            "mse": mse,
            "rmse": root(mse),
            "variance": variance,
            "sd": root(variance),
            "mean_hamming_distance": mean_interval(
                m.mean_hamming_distance, self._differing.variance, n, confidence, 0.0
            ),
            "wce": lower_bound(m.wce),
            "min_error": upper_bound(m.min_error),
            "max_error": lower_bound(m.max_error),
        }
        if m.wmed is not None:
            found["wmed"] = mae
        for name in ("error_probability", "positive_error_probability", "negative_error_probability"):
            found[name] = share_interval(getattr(m, name), n, confidence)
        if self._relative_sizes.weight:
            sizes = self._relative_sizes
            found["mre"] = mean_interval(m.mre, sizes.variance, sizes.weight, confidence, 0.0)
        if self._ratios.n:
            second, _, fourth = self._ratios.central
            found["relative_bias"] = mean_interval(m.relative_bias, second, self._ratios.n, confidence)
            found["relative_sd"] = root(square_interval(second, fourth - second**2, self._ratios.n, confidence))
            found["wcre"] = lower_bound(m.wcre)
            found["min_relative_error"] = upper_bound(m.min_relative_error)
            found["max_relative_error"] = lower_bound(m.max_relative_error)
        return found
