"""``axsurrogate sweep``, and ``discover --all``: surrogates of many circuits, in parallel."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import PICTURES, EveryPair, Json, check_output
from catalog.cli.console import number, plain, print_json, progress
from catalog.cli.errors import EXIT_FAILED, CommandError, report
from catalog.cli.grid import Grid
from catalog.cli.objective import Exact, MaxProducts, MaxResidual, MaxShare, read_objective
from catalog.cli.selection import (
    Bits,
    Csv,
    Least,
    LibraryFile,
    Most,
    Name,
    OnlyA,
    OnlyB,
    OnlyFamily,
    Origin,
    Signed,
    check_one_form,
    choose,
    load_circuits,
    ranges,
)

if TYPE_CHECKING:
    from catalog.query import Query
    from catalog.sweep import Outcome, Sweep

BACKENDS = ("loky", "threading", "sequential", "dask")

Jobs = Annotated[int | None, typer.Option(metavar="N", help="Circuits at a time; by default one per processor.")]
Backend = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Where the work is done, by joblib: loky (processes), threading, sequential, dask."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="dask: scheduler of the cluster; by default a cluster on this machine."),
]
Store = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where results are kept; by default surrogates.jsonl beside your library.",
        show_default=False,
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Draw error against products over the circuits: .png, .svg or .pdf."
    ),
]


@dataclass
class Request:
    """What a sweep is to do, and how it is told."""

    query: Query
    asked: dict[str, Any]
    jobs: int | None = None
    backend: str = "loky"
    scheduler: str | None = None
    store: Path | None = None
    library: Path | None = None
    output: Path | None = None
    json: bool = False
    csv: bool = False


def sweep(
    bits: Bits = None,
    a: OnlyA = None,
    b: OnlyB = None,
    signed: Signed = None,
    family: OnlyFamily = None,
    origin: Origin = None,
    name: Name = None,
    least: Least = None,
    most: Most = None,
    method: Annotated[
        str | None, typer.Option(metavar="METHOD", help="exact (if left out), htp, or lowrank (with --products).")
    ] = None,
    products: Annotated[int | None, typer.Option(metavar="K", help="lowrank: products.")] = None,
    factors: Annotated[
        str | None, typer.Option(metavar="TYPE", help="lowrank with --products: factors in int8 or bfloat16.")
    ] = None,
    exact: Exact = False,
    max_products: MaxProducts = None,
    max_residual: MaxResidual = None,
    max_share: MaxShare = None,
    every_pair: EveryPair = False,
    jobs: Jobs = None,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
    store: Store = None,
    library: LibraryFile = None,
    output: Picture = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Discover surrogates of all circuits that pass the filters, of the catalog and of your library, in parallel.

    A line on stderr tells of each circuit that is done; what fails is reported, the rest is still done. Results are
    kept: an interrupted sweep goes on where it was when it is started again.
    """
    from catalog.query import Query

    query = Query(bits, a, b, signed, family, origin, name, ranges(least, "--min"), ranges(most, "--max"))
    objective = read_objective(exact, max_products, max_residual, max_share)
    given = {"method": method, "products": products, "factors": factors, "every_pair": every_pair}
    asked = {key: value for key, value in given.items() if value not in (None, False)}
    if products is not None and method is None and objective is None:
        asked["method"] = "lowrank"
    run_sweep(
        Request(query, {**asked, "objective": objective}, jobs, backend, scheduler, store, library, output, json, csv)
    )


def parse_query(text: str) -> Query:
    """Read filters from text: ``"bits=8 unsigned family=drum mre<=2%"``, or ``"all"``.

    Raises
    ------
    CommandError
        If a word is no filter.
    """
    from catalog.query import Query

    fields: dict[str, Any] = {}
    limits: dict[str, dict[str, str | float]] = {"minimum": {}, "maximum": {}}
    for word in text.split():
        if word == "all":
            continue
        if word in ("signed", "unsigned"):
            fields["signed"] = word == "signed"
            continue
        for sign, side in (("<=", "maximum"), (">=", "minimum")):
            metric, found, value = word.partition(sign)
            if found and metric and value:
                limits[side][metric] = value
                break
        else:
            key, _, value = word.partition("=")
            if key not in ("bits", "a", "b", "family", "origin", "name") or not value:
                raise CommandError(
                    f"{word!r} is no filter; write all, signed, unsigned, bits=8, a=8u, b=8u, family=drum, "
                    f"origin=TEXT, name=TEXT, or a range of a metric or cost such as mre<=2%"
                )
            if key == "bits" and not value.isdecimal():
                raise CommandError(f"{word!r}: bits is a number, such as bits=8")
            fields[key] = int(value) if key == "bits" else value
    return Query(**fields, minimum=limits["minimum"], maximum=limits["maximum"])


def run_sweep(request: Request) -> None:
    """Do a sweep, and print what it found."""
    from catalog import sweep
    from catalog.results import Results, default_results

    check_one_form(request.json, request.csv)
    if request.backend not in BACKENDS:
        raise CommandError(f"unknown backend {request.backend!r}; choose one of {', '.join(BACKENDS)}")
    if request.scheduler is not None and request.backend != "dask":
        raise CommandError("--scheduler is for --backend dask")
    target = None if request.output is None else check_output(request.output, PICTURES)
    results = Results(default_results() if request.store is None else request.store)
    circuits = choose(request.query, load_circuits(request.library))
    with _cluster(request), progress(f"{len(circuits)} circuits") as advance:

        def told(done: int, in_all: int, outcome: Outcome) -> None:
            advance(done, in_all, f"{done} of {in_all} circuits")
            _tell(done, in_all, outcome)

        done = sweep(
            circuits,
            jobs=request.jobs,
            backend=request.backend,
            store=results,
            library=request.library,
            told=told,
            **request.asked,
        )
    _print(done, request, results.path)
    if target is not None and done.found:
        from catalog.plot import sweep_figure
        from multipliers.plot import save_figure

        save_figure(sweep_figure(done), target)
        typer.echo(f"wrote {plain(request.output)}", err=True)
    if done.failures:
        raise typer.Exit(EXIT_FAILED)


def _cluster(request: Request) -> AbstractContextManager[Any]:
    """Connect to a Dask cluster, where that is where the work is done."""
    if request.backend != "dask":
        return nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise CommandError("--backend dask needs Dask: pip install 'axsurrogate[dask]'") from None
    where: dict[str, Any] = {"n_workers": request.jobs, "threads_per_worker": 1, "dashboard_address": None}
    if request.scheduler is not None:
        where = {"address": request.scheduler}
    client: AbstractContextManager[Any] = Client(**where)  # type: ignore[no-untyped-call]  # distributed is untyped
    return client


def _tell(done: int, in_all: int, outcome: Outcome) -> None:
    """Write a line about a circuit on stderr."""
    found = outcome.found
    if found is None:
        report(ValueError(outcome.error), outcome.name)
        return
    products = f"{found.n_products} product{'' if found.n_products == 1 else 's'}"
    residual = "exact" if found.is_exact else f"RMS residual {number(found.certificate.rms_residual)} LSB"
    took = f"{found.time_s:.2f} s" if outcome.is_new else "done before"
    typer.echo(f"[{done}/{in_all}] {plain(outcome.name)}: {products}, {residual}, {took}", err=True)


def rows_of(done: Sweep) -> list[dict[str, Any]]:
    """Return a flat row for each circuit that was found."""
    return [
        {
            "name": outcome.name,
            "origin": getattr(outcome.circuit, "origin", ""),
            "a": found.key.a.label,
            "b": found.key.b.label,
            "fingerprint": found.key.fingerprint,
            "n_terms": found.n_terms,
            "n_products": found.n_products,
            "is_exact": found.is_exact,
            **found.certificate.to_dict(),
            "time_s": found.time_s,
            "is_new": outcome.is_new,
        }
        for outcome in done.outcomes
        if (found := outcome.found) is not None
    ]


def _print(done: Sweep, request: Request, store: Path) -> None:
    from catalog.cli.search import to_csv

    summary = done.summary()
    if request.json:
        failures = [{"name": o.name, "error": o.error} for o in done.failures]
        print_json({"summary": summary, "store": str(store), "circuits": rows_of(done), "failures": failures})
        return
    if request.csv:
        typer.echo(to_csv(rows_of(done)), nl=False)
        return
    if not done.outcomes:
        return
    counts = f"{summary['found']} of {summary['circuits']} circuits, {summary['exact']} exact, {summary['new']} new"
    grid = Grid(f"Surrogates: {counts}, {summary['failed']} failed", [("", ""), ("", "median"), ("", "worst")])
    for name, title in (("time_s", "time (s)"), ("products", "products"), ("rms_residual", "RMS residual (LSB)")):
        median, worst = summary[f"median_{name}"], summary[f"worst_{name}"]
        shown = [f"{x:.2f}" if name == "time_s" and x is not None else number(x) for x in (median, worst)]
        grid.rows.append((title, *shown))
    grid.print()
    typer.echo(f"kept in {plain(store)}")
