"""``axsurrogate characterise``: what a multiplier does."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import (
    PICTURES,
    EveryPair,
    FormatA,
    FormatB,
    Function,
    Include,
    Json,
    Liberty,
    Parameters,
    Ports,
    Sample,
    Sources,
    Spec,
    Top,
    WeightsA,
    WeightsB,
    check_output,
    load_weights,
    reader_options,
)
from catalog.cli.console import number, plain, print_json, print_line, progress, to_json
from catalog.cli.errors import users_code
from catalog.cli.figures import agrees, print_figures
from catalog.cli.gates import gate_rows, gates_of
from catalog.cli.grid import Grid
from catalog.cli.page import write_page

if TYPE_CHECKING:
    from catalog import Entry, Figure
    from multipliers.characterise import Characterisation
    from multipliers.intervals import Interval
    from multipliers.multiplier import Multiplier
    from multipliers.netlist.library import Cost

SUFFIXES = (".json", *PICTURES, ".npz")

_SECTIONS = {  # first row of each section of the summary, and its heading
    "comparison": "Errors",
    "structure": "Structure",
    "rank of products": "Separable models",
    "dot product of": "Dot products of independent operands",
}
_SPECTRUM_TERMS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def characterise(
    spec: Spec,
    a: FormatA = None,
    b: FormatB = None,
    weights_a: WeightsA = None,
    weights_b: WeightsB = None,
    sample: Sample = None,
    every_pair: EveryPair = False,
    top: Top = None,
    parameters: Parameters = None,
    sources: Sources = None,
    include: Include = None,
    liberty: Liberty = None,
    ports: Ports = None,
    function: Function = None,
    confidence: Annotated[
        float, typer.Option(metavar="P", help="Confidence of the intervals of sampled metrics, between 0 and 1.")
    ] = 0.95,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write a file as well, by suffix: .json the characterisation, .png .svg .pdf a picture, "
            ".npz the table. Repeatable; replaces a file, creates no folder.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH.html",
            help="Write a report as well: one page with rotatable charts, about 2.5 MB, that needs no network.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure error, structure, rank and spectrum of a multiplier, beside its published figures."""
    from multipliers.characterise import characterise as measure
    from multipliers.metrics import MAX_STREAMED_PAIRS

    targets = [check_output(path, SUFFIXES) for path in output or ()]
    page = None if report is None else check_output(report, (".html",))
    p, q = load_weights(weights_a, "a"), load_weights(weights_b, "b")
    options = reader_options(top, parameters, sources, include, liberty, ports, function)
    with users_code(spec):
        from catalog import resolve

        multiplier = resolve(spec, a, b, options)
        gates = gates_of(multiplier, liberty)
        streamed = every_pair and (multiplier.n_pairs > MAX_STREAMED_PAIRS or sample is not None)
        with progress(f"{multiplier.name}: comparing pairs") as advance:
            found = measure(
                multiplier,
                p,
                q,
                comparison="streamed" if streamed else None,
                sample=sample,
                confidence=confidence,
                progress=advance,
            )
        usual = p is None and q is None and sample is None and not streamed
        published = _published(found, multiplier)
        data = _as_dict(found, published) | ({} if gates is None else {"circuit": asdict(gates)})
        for target in targets:
            _write(target, multiplier, found, data, usual)
        if page is not None:
            write_page(page, spec, multiplier, found, _entry(found), liberty)
    if json:
        print_json(data)
    else:
        _print(found, published, gates)
    for path in (*(output or ()), *([report] if report else [])):
        typer.echo(f"wrote {plain(path)}", err=True)


def _write(target: Path, multiplier: Multiplier, found: Characterisation, data: dict[str, Any], usual: bool) -> None:
    suffix = target.suffix.lower()
    if suffix in PICTURES:
        from multipliers.plot import overview, save_figure

        save_figure(overview(multiplier if usual else found), target)  # the error surface knows no weights
    elif suffix == ".npz":
        from multipliers.writers.arrays import write_npz

        write_npz(multiplier, target)
    else:
        from multipliers.files import write_atomically

        write_atomically(target, to_json(data).encode())


def _entry(found: Characterisation) -> Entry | None:
    """Return the entry of the catalog with these products."""
    import catalog
    from multipliers.naming import parse_label

    for entry in catalog.entries():
        label = parse_label(entry.label)
        if (label.a, label.b) != (found.a, found.b):
            continue
        if entry.check == found.fingerprint or (not found.complete and entry.label == found.name):
            return entry
    return None


def _published(found: Characterisation, multiplier: Multiplier) -> list[tuple[Figure, float]]:
    """Return the published figures of this multiplier, each with the measured one in the same unit."""
    entry = _entry(found)
    if entry is None or found.metrics.weighted:
        return []
    return [(figure, figure.convert(found.metrics, multiplier)) for figure in entry.figures]


def _as_dict(found: Characterisation, published: list[tuple[Figure, float]]) -> dict[str, Any]:
    figures = [{**asdict(figure), "measured": value, "agrees": agrees(figure, value)} for figure, value in published]
    return {**found.to_dict(), "n_exact_products": found.n_exact_products, "published": figures}


def _print(found: Characterisation, published: list[tuple[Figure, float]], gates: Cost | None) -> None:
    plain_columns = [("", "")] * 4
    about = Grid("Multiplier", plain_columns, frozenset({0, 1}))
    rest = Grid("", plain_columns, frozenset({0, 2, 3}))
    grid = about
    for label, value, unit, interval in found.summary():
        start = next((first for first in _SECTIONS if label.startswith(first)), None)
        if start is not None:
            grid = rest
            heading = (_SECTIONS[start], "", "", "")
            if heading not in rest.rows:
                rest.rows.append(heading)
        text = plain(value) if label == "multiplier" or "fingerprint" in label else number(value)
        grid.rows.append((f"  {'comparison' if label == 'structure' else label}", text, unit, _sure(interval)))
    entry = _entry(found)
    if entry is not None and entry.label != found.name:
        about.rows.append(("  in the catalog", f"the same products as {entry.label}", "", ""))
    about.rows.extend((*row, "") for row in gate_rows(gates))
    about.print()
    rest.print()
    print_line("")
    _spectrum(found).print()
    if published:
        print_line("")
        figures, values = zip(*published, strict=True)
        print_figures(figures, values, "measured" if found.metrics.comparison != "sampled" else "measured (sampled)")


def _sure(interval: Interval | None) -> str:
    """Say where the number over all operand pairs lies."""
    if interval is None:
        return ""
    if interval.method == "bound":
        low, high = interval.low, interval.high
        return f"sampled: at least {number(low)}" if math.isinf(high) else f"sampled: at most {number(high)}"
    return f"sampled: {100 * interval.confidence:.4g} % in [{number(interval.low)}, {number(interval.high)}]"


def _spectrum(found: Characterisation) -> Grid:
    """Tabulate the share of the norm that the best separable models leave."""
    product, error = found.product_spectrum, found.error_spectrum
    largest = max(product.rank, error.rank)
    counts = sorted({k for k in _SPECTRUM_TERMS if k < largest} | {product.rank, error.rank} - {0})
    names = [("", "terms"), ("", "products F"), ("", "errors E")]
    part = "" if error.complete else f" (random {error.n_rows} x {error.n_columns} sub-matrix)"
    grid = Grid(f"Share of the norm left by the best model of so many terms{part}", names, frozenset())
    for k in counts:
        left = [float(s.norm_left[k]) if k < s.norm_left.size else 0.0 for s in (product, error)]
        grid.rows.append((number(k), *(f"{share:.4g}" for share in left)))
    return grid
