"""``axsurrogate catalog show``: one multiplier of the catalog, a family, or a circuit of the user's library."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import number, plain, print_json, print_line
from catalog.cli.figures import print_figures
from catalog.cli.grid import Grid
from catalog.cli.selection import LibraryFile

if TYPE_CHECKING:
    from catalog import Circuit, Entry, Family
    from catalog.catalog import FloatEntry
    from catalog.library import Source


def show(
    label: Annotated[
        str,
        typer.Argument(
            metavar="LABEL",
            help="Such as drum8u_k4, a family, or a circuit of the library: NAME, RELEASE/NAME or a fingerprint.",
            show_default=False,
        ),
    ],
    library: LibraryFile = None,
    json: Json = False,
) -> None:
    """Show one multiplier of the catalog, a family, or a circuit of the library: source, published and measured."""
    import catalog

    families = {family.family: family for family in catalog.families()}
    named = {entry.label: (f, entry) for f in families.values() for entry in f.members}
    if label in named:
        family, entry = named[label]
        if json:
            print_json(entry_dict(family, entry))
        else:
            _print_entry(family, entry)
    elif label in families:
        family = families[label]
        if json:
            print_json([entry_dict(family, entry) for entry in family.members])
        else:
            names = ", ".join(entry.label for entry in family.members)
            Grid("", [("", "")] * 2, frozenset({0, 1}), [*_family_rows(family), ("entries", names)]).print()
    else:
        circuit, sources = _find(label, library, {*named, *families})
        if json:
            print_json(_circuit_dict(circuit, sources))
        else:
            _print_circuit(circuit, sources)


def entry_dict(family: Family, entry: Entry | FloatEntry) -> dict[str, Any]:
    """Return everything about an entry as plain values: definition, published figures, measurement."""
    about = {"family": family.family, "title": family.title, "definition": family.definition}
    source = {"sign_rule": family.sign_rule, "source": family.source}
    return {**asdict(entry), **about, **source, "measured": _measured(entry).to_dict()}


def _measured(entry: Entry | FloatEntry) -> Any:
    from catalog.catalog import Entry
    from catalog.measured import float_measurement, measurement

    return measurement(entry) if isinstance(entry, Entry) else float_measurement(entry)


def _family_rows(family: Family) -> list[tuple[str, str]]:
    return [
        ("family", f"{family.family}: {family.title}"),
        ("definition", family.definition),
        ("signs", family.sign_rule),
        ("source", family.source),
    ]


def _print_entry(family: Family, entry: Entry | FloatEntry) -> None:
    from catalog.catalog import Entry
    from catalog.circuit import COSTS
    from catalog.measured import circuit_of
    from catalog.quantities import METRICS, text_of
    from catalog.verdict import verdict
    from multipliers.naming import parse_label

    measured = _measured(entry)
    about = Grid("", [("", "")] * 2, frozenset({0, 1}), [("label", entry.label)])
    metrics = Grid(_heading(measured.metrics), [("", "")] * 3, frozenset({0, 2}))
    metrics.rows = [
        (name, number(getattr(measured.metrics, name)), unit)
        for name, unit in METRICS.items()
        if hasattr(measured.metrics, name)  # those of floating-point multipliers are few
    ]
    scale: Any = None
    if isinstance(entry, Entry):
        parsed = parse_label(entry.label)
        about.rows.append(("operands", f"{parsed.a} x {parsed.b}"))
        circuit = circuit_of(family, entry, measured)
        metrics.rows.append(("products that simulate it exactly", text_of(circuit, "terms"), ""))
        scale = (parsed.a, parsed.b)
    about.rows += [*_family_rows(family), ("check value", entry.check)]
    if isinstance(entry, Entry) and entry.same_as:
        about.rows.append(("the same as", "; ".join(entry.same_as)))
    if isinstance(entry, Entry) and entry.costs is not None:
        costs = (f"{name} {number(value)} {COSTS[name]}" for name, value in entry.costs.values().items())
        about.rows.append(("costs", f"{', '.join(costs)}; {entry.costs.source}"))
    about.print()
    print_line("")
    metrics.print()
    if entry.figures:
        print_line("")
        found = [verdict(f, measured.metrics, f.scale(*scale) if scale else 100.0) for f in entry.figures]
        print_figures(entry.figures, [v.measured for v in found], "measured", [v.outcome for v in found])


def _heading(metrics: Any) -> str:
    pairs = f"{number(metrics.n_pairs)} pairs"
    return f"Measured on {pairs} drawn at random" if metrics.comparison == "sampled" else f"Measured on all {pairs}"


def _find(label: str, library: Path | None, names: set[str]) -> tuple[Circuit, list[Source]]:
    """Return a circuit of the library with its files; names of the catalog are suggested too."""
    from catalog.library import Library, default_path
    from multipliers.errors import UnknownNameError

    path = default_path() if library is None else library
    if library is None and not path.exists():
        raise UnknownNameError.of("catalog entry", label, names)
    with Library(path) as opened:
        try:
            circuit = opened.find(label)
        except UnknownNameError:
            known = {*names, *(c.name for c in opened.circuits())}
            raise UnknownNameError.of("catalog entry or circuit", label, known) from None
        return circuit, opened.sources(circuit)


def _circuit_dict(circuit: Circuit, sources: list[Source]) -> dict[str, Any]:
    from catalog.frame import record

    files = [
        {
            "path": str(source.path),
            "language": source.language,
            "sha256": source.digest,
            "gates": source.gates,
            "depth": source.depth,
            "figures": [figure._asdict() for figure in source.figures],
        }
        for source in sources
    ]
    return {**record(circuit), "sources": files}


def _print_circuit(circuit: Circuit, sources: list[Source]) -> None:
    from catalog.circuit import COSTS
    from catalog.quantities import METRICS, text_of

    about = Grid("", [("", "")] * 2, frozenset({0, 1}))
    about.rows += [
        ("name", plain(circuit.name)),
        ("operands", f"{circuit.a} x {circuit.b}"),
        ("origin", plain(circuit.origin)),
        ("family", plain(circuit.family)),
        ("fingerprint" if circuit.complete else "sample fingerprint", circuit.fingerprint),
    ]
    about.rows += [(f"{source.language} file", plain(source.path)) for source in sources]
    about.print()
    print_line("")
    how = "drawn pairs" if circuit.comparison == "sampled" else "all pairs"
    grid = Grid("", [("", name) for name in ("metric", f"measured on {how}", "published", "unit")], frozenset({0, 3}))
    for name, unit in METRICS.items():
        published = number(circuit.published[name]) if name in circuit.published else ""
        grid.rows.append((name, text_of(circuit, name), published, unit))
    grid.print()
    if circuit.costs:
        print_line("")
        costs = Grid("", [("", name) for name in ("cost", "value", "unit")], frozenset({0, 2}))
        costs.rows = [(name, text_of(circuit, name), COSTS[name]) for name in circuit.costs]
        costs.print()
