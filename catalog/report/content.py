"""What a report says, section by section, as plain rows for the template."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from catalog.report.charts import DOT_LENGTHS
from catalog.report.definitions import LAWS, METRICS
from catalog.report.typeset import number, percent
from catalog.text import plain
from multipliers.characterise import Characterisation
from multipliers.metrics import normaliser_value
from multipliers.spectrum import Spectrum

CITATION = "axsurrogate: exact fast surrogates of approximate multipliers"
"""Title under which the package is cited (``CITATION.cff``)."""

SPECTRUM_TERMS = (1, 2, 3, 4, 8, 16, 32, 64, 128, 256)


class Row(NamedTuple):
    """One line of a table: key, label, definition on hover, value, unit, and interval or remark."""

    key: str
    label: str
    definition: str
    value: str
    unit: str
    note: str = ""


def quantity(value: float, unit: str) -> tuple[str, str]:
    """Write a metric with its unit; shares are written in per cent."""
    return (
        (percent(value), "")
        if unit == "share" and math.isfinite(value)
        else (number(value), "" if unit == "share" else unit)
    )


def metric_rows(c: Characterisation) -> list[Row]:
    """Return every metric, with its confidence interval where it has one."""
    m, rows = c.metrics, []
    for key, definition in METRICS.items():
        value = getattr(m, key)
        if value is None:
            continue
        written, unit = quantity(value, definition.unit)
        rows.append(
            Row(key, definition.title, definition.text, written, unit, _interval(m.intervals.get(key), definition.unit))
        )
    return rows


def _interval(interval: Any, unit: str) -> str:
    if interval is None:
        return ""
    if interval.method == "bound":
        return "or more" if math.isinf(interval.high) else "or less"
    low, high = (quantity(end, unit)[0] for end in (interval.low, interval.high))
    if low == high and unit == "share":  # nearly none or nearly all: digits that matter come later
        low, high = (f"{100 * end:.8g} %" for end in (interval.low, interval.high))
    return f"{low} to {high}"


def confidence(c: Characterisation) -> str:
    """Say what the intervals beside sampled metrics are; empty where there are none."""
    found = next((x for x in c.metrics.intervals.values() if x.method != "bound"), None)
    return "" if found is None else f"{percent(found.confidence)} confidence intervals"


def key_rows(c: Characterisation) -> list[Row]:
    """Return the figures shown large: bias, MAE, worst case, error probability, MRE, and exact products."""
    rows = {row.key: row for row in metric_rows(c)}
    names = {
        "error_probability": "products wrong",
        "mean_error": "bias",
        "mae": "mean absolute error",
        "wce": "worst-case error",
        "mre": "mean relative error",
    }
    shown = [rows[key]._replace(label=label) for key, label in names.items()]
    return [
        *shown,
        Row(
            "n_exact_products",
            "products simulate it exactly" if c.n_exact_products > 1 else "product simulates it exactly",
            "Fewest ordinary products that simulate the multiplier exactly: min(rank F, 1 + rank E).",
            ("" if c.complete else "≥ ") + number(c.n_exact_products),
            "",
        ),
    ]


def structure_rows(c: Characterisation) -> list[Row]:
    """Return the laws of the accurate product, with whether each holds, and the ranks."""
    s = c.structure
    words = {None: "does not apply", True: "holds", False: "broken"}
    rows = [Row(key, law, text, words[getattr(s, key)], "") for key, (law, text) in LAWS.items()]
    at_least = "" if c.complete else "≥ "
    ranks = (
        ("product_rank", "rank of F", "Rank of the table of products over the rationals.", c.product_spectrum.rank),
        ("error_rank", "rank of E", "Rank of the table of errors over the rationals.", c.error_spectrum.rank),
    )
    return rows + [Row(key, label, text, at_least + number(rank), "") for key, label, text, rank in ranks]


def spectrum_rows(c: Characterisation) -> list[tuple[str, ...]]:
    """Return the share of the norm that the best k-term models of F and E leave."""
    spectra = (c.product_spectrum, c.error_spectrum)
    ranks = {spectrum.rank for spectrum in spectra}
    counts = sorted({k for k in SPECTRUM_TERMS if k < max(ranks)} | ranks - {0})
    return [(number(k), *(_share_left(spectrum, k) for spectrum in spectra)) for k in counts]


def _share_left(spectrum: Spectrum, k: int) -> str:
    return number(float(f"{spectrum.norm_left[k]:.3g}")) if k < spectrum.norm_left.size else "0"


def dot_rows(c: Characterisation) -> list[tuple[str, str, str]]:
    """Return mean and standard deviation of the error of dot products, by length."""
    found = [c.expected_dot_product_error(length) for length in DOT_LENGTHS]
    return [(number(d.length), number(d.bias), number(d.sd)) for d in found]


def provenance_rows(c: Characterisation) -> list[tuple[str, str]]:
    """Return what the report rests on: version, identity, comparison and conventions."""
    m = c.metrics
    whole = number(normaliser_value(c.a, c.b, m.normaliser))
    over = {"nonzero": "over the pairs with P ≠ 0", "max1": "|E| / max(1, |P|), over all pairs"}[m.relative]
    spectrum, a, b = c.error_spectrum, c.profile_a, c.profile_b
    return [
        ("made by", f"axsurrogate {version('axsurrogate')}"),
        ("multiplier", plain(c.name)),
        ("operands", f"a: {_describe(c.a)}; b: {_describe(c.b)}"),
        ("SHA-256 of all products" if c.complete else "SHA-256 of 65,536 products", c.fingerprint),
        ("metrics", comparison(c)),
        ("operand distributions", "as given" if m.weighted else "uniform"),
        ("structure", f"{c.structure.comparison}, {number(c.structure.n_pairs)} pairs"),
        ("histograms", f"{c.error_histogram.comparison}, {number(c.error_histogram.n_pairs)} pairs"),
        (
            "profiles",
            f"{number(a.values.size)} of {number(c.a.size)} values of a, {number(b.values.size)} of {number(c.b.size)} "
            f"of b; each against {number(a.n_others)} and {number(b.n_others)} values of the other operand",
        ),
        (
            "ranks and spectra",
            f"{'the whole table' if spectrum.complete else 'a random sub-matrix'}, "
            f"{number(spectrum.n_rows)} × {number(spectrum.n_columns)}; ranks over the rationals",
        ),
        ("sign of errors", "E = F − P: approximate minus exact product"),
        ("mean relative error", over),
        ("NMED divides by", f"{m.normaliser} = {whole}"),
    ]


def comparison(c: Characterisation) -> str:
    """Say how the metrics were compared."""
    m = c.metrics
    pairs = number(m.n_pairs)
    if m.comparison == "sampled":
        return f"sampled, {pairs} random pairs of {number(c.a.size * c.b.size)}"
    return f"{m.comparison}, {'the' if m.weighted else 'all'} {pairs} pairs{' that occur' if m.weighted else ''}"


def _describe(form: Any) -> str:
    kind = "signed, two's complement" if form.signed else "unsigned"
    return f"{form.bits} bits {kind}, {number(form.minimum)} to {number(form.maximum)}"


def citation() -> Mapping[str, str]:
    """Return how to cite the package: a sentence, and BibTeX."""
    release = version("axsurrogate")
    return {
        "text": f"The axsurrogate developers, {CITATION}, version {release}.",
        "bibtex": (
            "@software{axsurrogate,\n"
            "  author  = {{The axsurrogate developers}},\n"
            f"  title   = {{{CITATION}}},\n"
            f"  version = {{{release}}}\n"
            "}"
        ),
    }
