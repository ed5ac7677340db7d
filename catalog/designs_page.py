"""The table of designs, ``docs/reference/designs.md``: definition, source, published figures beside measured ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from catalog.catalog import STATUSES, Entry, Family, FloatEntry, families
from catalog.measured import FloatMeasurement, Measured, circuit_of
from catalog.quantities import text_of
from catalog.text import number, percent
from catalog.verdict import OUTCOMES, Outcome, Verdict, verdict
from multipliers.floating import FloatMetrics
from multipliers.metric_values import ErrorMetrics
from multipliers.naming import parse_label
from multipliers.registry import families as designs

_HEAD = """# Designs

Written by `python -m catalog.build`, checked by `python -m catalog.build --check`: change the entries of the catalog,
not this page.

Operands are uniform. MRE is over the pairs whose exact product is not 0, NMED is MAE / 2^(n+m), bias is the mean of
E/P, WCE is in LSB. *Products* is the number of ordinary matrix products that simulate the design exactly,
min(rank F, 1 + rank E); above 2^20 operand pairs it is a lower bound, from a random sub-matrix. *Pairs* says what the
metrics rest on: every operand pair, or 2^22 drawn ones, whose extremes (WCE) are lower bounds, too.
Errors of floating-point multipliers are relative to the product of real operands, uniform in [1, 2), which the
multiplier truncates first; over- and underflow aside.
"""

_COLUMNS = ("design", "parameters", "MRE", "bias", "NMED", "WCE", "error probability", "products", "pairs")
_FLOAT_COLUMNS = ("floating point", "format", "MRE", "bias", "SD", "least E/P", "largest E/P", "pairs")

_STATUS_NOTES = {"V": "", **{key: text for key, text in STATUSES.items() if key != "V"}}


def designs_page(found: Mapping[str, Measured], chosen: Iterable[Family] | None = None) -> str:
    """Write the table of designs in Markdown.

    Parameters
    ----------
    found : mapping of str to Measured
        By label, of every entry.
    chosen : iterable of Family, optional
        By default those of the catalog.

    Raises
    ------
    KeyError
        If an entry has no measurement.
    """
    chosen = families() if chosen is None else tuple(chosen)
    verdicts = {family.family: _verdicts(family, found) for family in chosen}
    return "\n".join(
        [
            _HEAD,
            *_overview(chosen, verdicts),
            *(line for family in chosen for line in _section(family, found, verdicts[family.family])),
        ]
    )


def _verdicts(family: Family, found: Mapping[str, Measured]) -> list[tuple[str, Verdict]]:
    integer = [
        (entry.label, verdict(figure, found[entry.label].metrics, figure.scale(label.a, label.b)))
        for entry in family.entries
        for label in (parse_label(entry.label),)
        for figure in entry.figures
    ]
    floating = [(e.label, verdict(figure, found[e.label].metrics)) for e in family.floating for figure in e.figures]
    return integer + floating


def _overview(chosen: Sequence[Family], verdicts: Mapping[str, Sequence[tuple[str, Verdict]]]) -> list[str]:
    lines = [
        "| family | design | entries | figures | reproduced | open | differ | definition |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    total: Counter[Outcome] = Counter()
    for family in chosen:
        outcomes = Counter(v.outcome for _, v in verdicts[family.family])
        total += outcomes
        counts = (
            sum(outcomes.values()),
            outcomes["reproduced"] + outcomes["within the sampling error"],
            outcomes["not contradicted"],
            outcomes["differs"] + outcomes["differs, explained"],
        )
        about = (f"[{family.family}](#{family.family})", family.title, str(len(family.entries) + len(family.floating)))
        lines.append(_row((*about, *(str(n or "") for n in counts), _status(family, outcomes))))
    lines += ["", f"Of {sum(total.values())} published figures:", ""]
    lines += [f"* {total[outcome]} {outcome}: {meaning}" for outcome, meaning in OUTCOMES.items() if total[outcome]]
    return [*lines, ""]


def _status(family: Family, outcomes: Counter[Outcome]) -> str:
    """Say what the definition rests on, the strongest evidence first."""
    parts = []
    same = sum(bool(entry.same_as) for entry in family.entries)
    if same:
        parts.append(f"equals published circuits ({same} entries)" if same > 1 else "equals a published circuit")
    if outcomes["reproduced"] or outcomes["within the sampling error"]:
        parts.append("reproduces published figures")
    if "interpretation" in family.definition.lower():
        parts.append("in part an interpretation of the text")
    return "; ".join(parts) or "from the source; the catalog has no published figure of it"


def _section(family: Family, found: Mapping[str, Measured], verdicts: Sequence[tuple[str, Verdict]]) -> list[str]:
    status = _status(family, Counter(v.outcome for _, v in verdicts))
    lines = [
        f'## <a id="{family.family}"></a>{_escape(family.title)}',
        "",
        f"`{family.family}`: {_escape(family.definition)}",
        "",
        f"* Signs: {_escape(family.sign_rule)}",
        f"* Source: {_escape(family.source)}",
        f"* Definition: {status}.",
        "",
        _row((*_COLUMNS, "the same circuit as")),
        "|---|---|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    lines += [_measured_row(family, entry, found[entry.label]) for entry in family.entries]
    if family.floating:
        lines += ["", _row(_FLOAT_COLUMNS), "|---|---|---:|---:|---:|---:|---:|---|"]
        lines += [_float_row(entry, found[entry.label]) for entry in family.floating]
    if verdicts:
        lines += [
            "",
            "| design | metric | published | measured | unit | verdict | source |",
            "|---|---|---:|---:|---|---|---|",
        ]
        sources: dict[str, int] = {}
        lines += [_figure_row(label, v, sources) for label, v in verdicts]
        lines += ["", *(f"{n}. {_escape(source)}" for source, n in sources.items())]
    return [*lines, ""]


def _measured_row(family: Family, entry: Entry, measured: Measured) -> str:
    if isinstance(measured, FloatMeasurement):
        raise TypeError(f"{entry.label} is no floating-point multiplier")
    circuit, m = circuit_of(family, entry, measured), measured.metrics
    shares = [percent(x) for x in (m.mre, m.relative_bias)]
    cells = [f"`{entry.label}`", _parameters(entry.label), *shares, f"{m.nmed:.4g}", text_of(circuit, "wce")]
    cells += [percent(m.error_probability), text_of(circuit, "terms"), _pairs(m), "; ".join(entry.same_as)]
    return _row(cells)


def _float_row(entry: FloatEntry, measured: Measured) -> str:
    multiplier, m = entry.build(), measured.metrics
    shares = (m.mre, m.relative_bias, m.relative_sd, m.min_relative_error, m.max_relative_error)
    form = f"{multiplier.format.exponent_bits} exponent bits, {multiplier.format.mantissa_bits} mantissa bits"
    return _row([f"`{entry.label}`", form, *(percent(share) for share in shares), _pairs(m)])


def _parameters(text: str) -> str:
    """Write the parameters of a label with the names of the design's fields."""
    label = parse_label(text)
    letters = designs()[label.family].letters
    named = [f"{letters[letter].replace('_', ' ')} {value}" for letter, value in label.parameters.items()]
    return ", ".join([f"{label.a} x {label.b}", *named])


def _pairs(metrics: ErrorMetrics | FloatMetrics) -> str:
    return f"{number(metrics.n_pairs)} drawn" if metrics.comparison == "sampled" else "all"


def _figure_row(label: str, found: Verdict, sources: dict[str, int]) -> str:
    figure = found.figure
    notes = [figure.source, *filter(None, (figure.note, _STATUS_NOTES[figure.status]))]
    number_of = sources.setdefault("; ".join(notes), len(sources) + 1)
    cells = [f"`{label}`", figure.metric, figure.value, f"{found.measured:.6g}", figure.unit]
    return _row([*cells, found.outcome, f"{number_of}"])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_escape(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    """Keep text from being read as Markdown; code spans and links of ours hold none of these letters."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
