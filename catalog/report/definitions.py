"""What each metric and law means, in one line for the reader of a report."""

from __future__ import annotations

from typing import NamedTuple


class Definition(NamedTuple):
    """A metric: its name, its unit (``"share"`` for fractions) and its definition."""

    title: str
    unit: str
    text: str


METRICS = {
    "mean_error": Definition("mean error (bias)", "LSB", "Mean of E over all operand pairs."),
    "sd": Definition("standard deviation", "LSB", "Root of the variance of E."),
    "variance": Definition("variance", "LSB²", "Mean of (E − mean error)²."),
    "mae": Definition("mean absolute error (MAE)", "LSB", "Mean of |E|; also called mean error distance (MED)."),
    "nmed": Definition("normalised mean error distance (NMED)", "share", "MAE divided by the normaliser."),
    "wce": Definition("worst-case error (WCE)", "LSB", "Largest |E|."),
    "min_error": Definition("smallest error", "LSB", "Smallest E, with its sign."),
    "max_error": Definition("largest error", "LSB", "Largest E, with its sign."),
    "mse": Definition("mean squared error (MSE)", "LSB²", "Mean of E²."),
    "rmse": Definition("root mean squared error (RMSE)", "LSB", "Root of the mean of E²."),
    "error_probability": Definition("error probability (EP)", "share", "Share of operand pairs with E ≠ 0."),
    "positive_error_probability": Definition("positive error probability", "share", "Share of pairs with E > 0."),
    "negative_error_probability": Definition("negative error probability", "share", "Share of pairs with E < 0."),
    "mre": Definition(
        "mean relative error (MRE)", "share", "Mean of |E| / |P|, over the pairs that the convention names."
    ),
    "relative_bias": Definition("relative bias", "share", "Mean of E / P, with its sign, over the pairs with P ≠ 0."),
    "relative_sd": Definition("relative standard deviation", "share", "Standard deviation of E / P over P ≠ 0."),
    "wcre": Definition("worst-case relative error (WCRE)", "share", "Largest |E| / |P| over the pairs with P ≠ 0."),
    "min_relative_error": Definition("smallest relative error", "share", "Smallest E / P over the pairs with P ≠ 0."),
    "max_relative_error": Definition("largest relative error", "share", "Largest E / P over the pairs with P ≠ 0."),
    "mean_hamming_distance": Definition(
        "mean Hamming distance", "bit", "Mean number of differing bits of F and P, as words of n + m bits."
    ),
    "wmed": Definition(
        "weighted mean error distance (WMED)", "LSB", "Sum of p(a) q(b) |E| under the given operand distributions."
    ),
}
"""Definitions of the metrics by their field of `multipliers.metric_values.ErrorMetrics`, in the order of the report."""

LAWS = {
    "commutative": ("f(a, b) = f(b, a)", "Commutative: the order of the operands does not matter."),
    "sign_symmetric_a": ("f(−a, b) = −f(a, b)", "Odd in a, at every value whose negative is representable."),
    "sign_symmetric_b": ("f(a, −b) = −f(a, b)", "Odd in b, at every value whose negative is representable."),
    "zero_preserving_a": ("f(0, b) = 0", "A product with a = 0 is 0, whatever b."),
    "zero_preserving_b": ("f(a, 0) = 0", "A product with b = 0 is 0, whatever a."),
    "monotone_a": ("monotone in |a|", "|f(a, b)| never decreases when a moves away from 0."),
    "monotone_b": ("monotone in |b|", "|f(a, b)| never decreases when b moves away from 0."),
}
"""Laws of the accurate product by their field of `multipliers.structure.Structure`: the law, and what it says."""
