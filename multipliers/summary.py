"""A characterisation, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from multipliers.intervals import Interval, scaled

if TYPE_CHECKING:
    from multipliers.characterise import Characterisation

DOT_PRODUCT = 1024
"""Length of the dot product of which a summary tells the error."""

_METRICS = (
    ("mean error (bias)", "mean_error", "LSB"),
    ("standard deviation", "sd", "LSB"),
    ("mean absolute error (MAE)", "mae", "LSB"),
    ("worst-case error (WCE)", "wce", "LSB"),
    ("smallest error", "min_error", "LSB"),
    ("largest error", "max_error", "LSB"),
    ("mean squared error (MSE)", "mse", "LSB^2"),
    ("root mean squared error", "rmse", "LSB"),
    ("NMED (MAE / {normaliser})", "nmed", ""),
    ("error probability", "error_probability", ""),
    ("positive error probability", "positive_error_probability", ""),
    ("negative error probability", "negative_error_probability", ""),
    ("mean relative error (MRE, {relative})", "mre", ""),
    ("worst-case relative error", "wcre", ""),
    ("smallest relative error", "min_relative_error", ""),
    ("largest relative error", "max_relative_error", ""),
    ("relative bias", "relative_bias", ""),
    ("relative standard deviation", "relative_sd", ""),
    ("mean Hamming distance", "mean_hamming_distance", "bit"),
)
"""Label, field of `multipliers.metric_values.ErrorMetrics`, unit."""


class SummaryRow(NamedTuple):
    """One line of a report: a label, a number (or word), and its unit (``""`` for none).

    ``interval`` is where the number over all operand pairs lies, if this one is of a sample (`multipliers.sampling`).
    """

    label: str
    value: str | int | float
    unit: str
    interval: Interval | None = None


def summary_rows(c: Characterisation) -> tuple[SummaryRow, ...]:
    """Return the report on a multiplier; fractions stay plain numbers, and laws that do not apply are left out."""
    m, s, spectrum = c.metrics, c.structure, c.error_spectrum
    part = "" if c.complete else f" (at least; random {spectrum.n_rows} x {spectrum.n_columns})"
    left = "" if c.complete else f" (random {spectrum.n_rows} x {spectrum.n_columns})"
    rows = [
        SummaryRow("multiplier", c.name, ""),
        SummaryRow("operands", f"{c.a} x {c.b}", ""),
        SummaryRow("fingerprint" if c.complete else "sample fingerprint", c.fingerprint, ""),
        SummaryRow("comparison", m.comparison + (", weighted" if m.weighted else ""), ""),
        SummaryRow("operand pairs", m.n_pairs, ""),
    ]
    for label, metric, unit in _METRICS:
        text = label.format(normaliser=m.normaliser, relative=m.relative)
        rows.append(SummaryRow(text, getattr(m, metric), unit, m.intervals.get(metric)))
    laws = [
        ("commutative", s.commutative),
        ("f(-a, b) = -f(a, b)", s.sign_symmetric_a),
        ("f(a, -b) = -f(a, b)", s.sign_symmetric_b),
        ("f(0, b) = 0", s.zero_preserving_a),
        ("f(a, 0) = 0", s.zero_preserving_b),
        ("monotone in abs(a)", s.monotone_a),
        ("monotone in abs(b)", s.monotone_b),
    ]
    rows.append(SummaryRow("structure", s.comparison, ""))
    rows += [SummaryRow(label, "yes" if law else "no", "") for label, law in laws if law is not None]
    rows += [
        SummaryRow("rank of products" + part, c.product_spectrum.rank, ""),
        SummaryRow("rank of errors" + part, spectrum.rank, ""),
        SummaryRow("products that simulate it exactly" + part, c.n_exact_products, ""),
        SummaryRow("terms for 10 % of the error norm" + left, spectrum.terms_for(0.1), ""),
        SummaryRow("terms for 1 % of the error norm" + left, spectrum.terms_for(0.01), ""),
    ]
    dot = c.expected_dot_product_error(DOT_PRODUCT)
    for label, value, metric, factor in (
        ("mean error", dot.bias, "mean_error", DOT_PRODUCT),
        ("standard deviation", dot.sd, "sd", DOT_PRODUCT**0.5),
    ):
        interval = m.intervals.get(metric)
        sure = None if interval is None else scaled(interval, factor)
        rows.append(SummaryRow(f"dot product of {DOT_PRODUCT}: {label}", value, "LSB", sure))
    return tuple(rows)
