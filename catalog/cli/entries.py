"""``axsurrogate catalog``: the named multipliers, and the circuits of the user's library."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import number, percent, plain, print_json, print_line
from catalog.cli.describe import entry_dict, show
from catalog.cli.grid import Grid
from catalog.cli.import_ import import_
from catalog.cli.pareto import pareto
from catalog.cli.search import search
from catalog.cli.selection import LibraryFile, library_circuits

if TYPE_CHECKING:
    from catalog import Circuit, Family

app = typer.Typer(name="catalog", help="The named multipliers, and the circuits of your library.", no_args_is_help=True)

_COLUMNS = ("name", "operands", "MRE", "NMED", "products", "published figures", "the same circuit as")
_TEXT = frozenset({0, 1, len(_COLUMNS) - 1})


def list_entries(
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Only this family, such as drum.")] = None,
    library: LibraryFile = None,
    json: Json = False,
) -> None:
    """List the multipliers of the catalog by family, then the circuits of the user's library by release.

    Products are the ordinary matrix products that simulate a multiplier exactly.
    """
    import catalog
    from catalog.frame import record
    from multipliers.errors import UnknownNameError

    circuits = library_circuits(library)
    known = {f.family: f for f in catalog.families()}
    if family is not None:
        if family not in known and family not in {c.family for c in circuits}:
            raise UnknownNameError.of("family", family, {*known, *(c.family for c in circuits)})
        known = {name: f for name, f in known.items() if name == family}
        circuits = [c for c in circuits if c.family == family]
    if json:
        entries = [entry_dict(f, entry) for f in known.values() for entry in f.members]
        print_json([*entries, *(record(circuit) for circuit in circuits)])
        return
    for f in known.values():
        _family(f).print()
        print_line("")
    for origin, group in groupby(circuits, key=lambda circuit: circuit.origin):
        _release(origin, group).print()
        print_line("")


def _family(family: Family) -> Grid:
    from catalog.measured import circuit_of, float_measurement, measurement
    from catalog.quantities import text_of

    grid = Grid(f"{family.family}: {family.title}", [("", name) for name in _COLUMNS], _TEXT)
    for entry in family.entries:
        circuit = circuit_of(family, entry, measurement(entry))
        metrics = (percent(circuit.metrics["mre"]), text_of(circuit, "nmed"), text_of(circuit, "terms"))
        about = (entry.label, f"{circuit.a} x {circuit.b}")
        grid.rows.append((*about, *metrics, number(len(entry.figures)), "; ".join(entry.same_as)))
    for floating in family.floating:
        mre = percent(float_measurement(floating).metrics.mre)
        grid.rows.append((floating.label, "floating point", mre, "", "", number(len(floating.figures)), ""))
    return grid


def _release(origin: str, circuits: Iterable[Circuit]) -> Grid:
    from catalog.quantities import text_of

    grid = Grid(plain(origin), [("", name) for name in _COLUMNS], _TEXT)
    for circuit in circuits:
        metrics = (percent(circuit.metrics["mre"]), text_of(circuit, "nmed"), text_of(circuit, "terms"))
        grid.rows.append(
            (plain(circuit.name), f"{circuit.a} x {circuit.b}", *metrics, number(len(circuit.published)), "")
        )
    return grid


app.command("list")(list_entries)
app.command("show")(show)
app.command("search")(search)
app.command("pareto")(pareto)
app.command("import")(import_)
