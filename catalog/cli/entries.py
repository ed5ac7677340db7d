"""``axsurrogate catalog``: the named multipliers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import number, print_json, print_line
from catalog.cli.figures import print_figures
from catalog.cli.grid import Grid

if TYPE_CHECKING:
    from catalog import Entry, Family

app = typer.Typer(name="catalog", help="The named multipliers and their published figures.", no_args_is_help=True)


@app.command("list")
def list_entries(
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Only this family, such as drum.")] = None,
    json: Json = False,
) -> None:
    """List the multipliers of the catalog."""
    import catalog

    chosen = catalog.families() if family is None else (_family(family),)
    if json:
        print_json([_as_dict(f, entry) for f in chosen for entry in f.entries])
        return
    names = [("", n) for n in ("label", "operands", "published figures", "the same circuit as")]
    for f in chosen:
        grid = Grid(f"{f.family}: {f.title}", names, frozenset({0, 1, 3}))
        for entry in f.entries:
            grid.rows.append((entry.label, _operands(entry), number(len(entry.figures)), "; ".join(entry.same_as)))
        grid.print()
        print_line("")


@app.command("show")
def show_entry(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Such as drum8u_k4, or a family.", show_default=False)],
    json: Json = False,
) -> None:
    """Show one multiplier of the catalog, or a family: definition, source, check value, published figures."""
    import catalog

    by_family = {family.family: family for family in catalog.families()}
    if label in by_family:
        family, chosen = by_family[label], None
    else:
        chosen = catalog.entry(label)
        family = next(f for f in by_family.values() if chosen in f.entries)
    if json:
        print_json(
            [_as_dict(family, entry) for entry in family.entries] if chosen is None else _as_dict(family, chosen)
        )
        return
    about = Grid("", [("", ""), ("", "")], frozenset({0, 1}))
    if chosen is not None:
        about.rows += [("label", chosen.label), ("operands", _operands(chosen))]
    about.rows += [
        ("family", f"{family.family}: {family.title}"),
        ("definition", family.definition),
        ("signs", family.sign_rule),
        ("source", family.source),
    ]
    if chosen is None:
        about.rows.append(("entries", ", ".join(entry.label for entry in family.entries)))
    else:
        about.rows.append(("check value", chosen.check))
        if chosen.same_as:
            about.rows.append(("the same as", "; ".join(chosen.same_as)))
    about.print()
    if chosen is not None and chosen.figures:
        print_line("")
        print_figures(chosen.figures)


def _family(name: str) -> Family:
    import catalog
    from multipliers.errors import UnknownNameError

    known = {family.family: family for family in catalog.families()}
    if name not in known:
        raise UnknownNameError.of("family", name, known)
    return known[name]


def _operands(entry: Entry) -> str:
    from multipliers.naming import parse_label

    label = parse_label(entry.label)
    return f"{label.a} x {label.b}"


def _as_dict(family: Family, entry: Entry) -> dict[str, Any]:
    about = {"family": family.family, "title": family.title, "definition": family.definition}
    return {**asdict(entry), **about, "sign_rule": family.sign_rule, "source": family.source}
