"""``axsurrogate discover``: surrogates of one multiplier or of many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import (
    PICTURES,
    SPEC_HELP,
    EveryPair,
    FormatA,
    FormatB,
    Json,
    Sample,
    WeightsA,
    WeightsB,
    check_output,
    load_weights,
)
from catalog.cli.console import print_json
from catalog.cli.discover_find import OBJECTIVE, TITLES, Row, choose, explained, find, find_front, resolve_spec
from catalog.cli.discover_output import front_file, print_found, record, surrogate_file, write_found
from catalog.cli.errors import EXIT_FAILED, CommandError, is_expected, message, report
from catalog.cli.front import draw_front, print_front
from catalog.cli.objective import (
    Costs,
    Exact,
    MaxProducts,
    MaxResidual,
    MaxShare,
    load_costs,
    read_objective,
)
from catalog.cli.sweep import Request, parse_query, run_sweep

if TYPE_CHECKING:
    from catalog.cli.front import FrontReport


def discover(
    context: typer.Context,
    specs: Annotated[list[str] | None, typer.Argument(metavar="SPEC...", help=SPEC_HELP, show_default=False)] = None,
    query: Annotated[
        str | None,
        typer.Option(
            "--all",
            metavar="QUERY",
            help="Instead of SPECs all circuits of a query, in parallel, such as 'bits=8 unsigned mre<=2%', or all; "
            "axsurrogate sweep has more options.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="exact (if left out), htp (published recipe), lowrank (with --products), or all three.",
        ),
    ] = None,
    terms: Annotated[
        int | None, typer.Option(metavar="K", help="lowrank: terms, 4 if left out; exact: refuse to use more.")
    ] = None,
    products: Annotated[
        int | None, typer.Option(metavar="K", help="lowrank: products, beside a nearly free additive part.")
    ] = None,
    factors: Annotated[
        str | None, typer.Option(metavar="TYPE", help="lowrank with --products: factors in int8 or bfloat16.")
    ] = None,
    basis: Annotated[
        str | None, typer.Option(metavar="BASIS", help="htp: mod, leading_one, auto (the better of both), bits or all.")
    ] = None,
    solver: Annotated[str | None, typer.Option(metavar="NAME", help="htp: ols (if left out), omp or lasso.")] = None,
    decimals: Annotated[
        str | None, typer.Option(metavar="N", help="htp: decimals of the coefficients, 1 if left out; or none.")
    ] = None,
    a: FormatA = None,
    b: FormatB = None,
    exact: Exact = False,
    max_products: MaxProducts = None,
    max_residual: MaxResidual = None,
    max_share: MaxShare = None,
    costs: Costs = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Write factors of integers in closed form, and the whole in plain words.")
    ] = False,
    front: Annotated[
        bool, typer.Option("--front", help="Print the error against the number of products; -o FILE.svg draws it.")
    ] = False,
    weights_a: WeightsA = None,
    weights_b: WeightsB = None,
    sample: Sample = None,
    every_pair: EveryPair = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Note there how far certifying came: after an interruption the same command goes on."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write FILE.json, or into an existing folder one NAME.METHOD.json each; with --front a picture, .png, "
            ".svg or .pdf, in a folder NAME.front.svg. Replaces files.",
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    json: Json = False,
) -> None:
    """Find surrogates of multipliers, certify them, and compare the methods.

    Several SPECs, and --method all, print one table; what fails is reported,
    the rest is still done. With --method all each option goes to the methods
    that take it, --terms to lowrank. What is needed may be said instead of a
    method: --exact, --max-products, --max-residual, --max-share.
    """
    from surrogate.fit import METHODS

    if method not in (None, *METHODS, "all"):
        raise CommandError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}, all")
    objective = read_objective(exact, max_products, max_residual, max_share)
    if objective is not None and method is not None:
        raise CommandError("--method and an objective exclude each other; the objective chooses the method")
    if costs is not None and objective is None:
        raise CommandError("--costs is for an objective: --exact, --max-products, --max-residual or --max-share")
    if json and markdown:
        raise CommandError("--json and --markdown exclude each other")
    if query is not None:
        chosen = {"method": method or (None if products is None or objective else "lowrank"), "objective": objective}
        more = {"terms": terms, "products": products, "factors": factors, "basis": basis}
        certified = {"sample": sample, "every_pair": every_pair}
        refused = [specs, solver, decimals, a, b, costs, explain, front, weights_a, weights_b, checkpoint, markdown]
        refused.append(method == "all")
        if any(option is not None and option is not False and option != [] for option in refused):
            raise CommandError(
                "--all goes with --method (one), --terms, --products, --factors, --basis, an objective, --sample, "
                "--every-pair, -o and --json, and with no SPEC"
            )
        asked = {**chosen, **_set({**more, **certified})}
        run_sweep(Request(parse_query(query), asked, output=output, json=json))
        return
    if not specs:
        raise CommandError("give a SPEC, or --all with a query; axsurrogate discover --help says what a SPEC is")
    debug = bool(context.find_root().params.get("debug"))
    if objective is not None:
        methods: tuple[str, ...] = (OBJECTIVE,)
    elif method is None and products is None and terms is None and front:
        methods = ()  # only the front is asked for
    else:
        methods = METHODS if method == "all" else (method or ("exact" if products is None else "lowrank"),)
    several = len(specs) > 1 or len(methods) > 1
    if checkpoint is not None and (several or objective is not None):
        raise CommandError("--checkpoint is for one SPEC and one --method: it notes one comparison")
    to_folder = output is not None and output.is_dir()
    if output is not None and not to_folder:
        suffixes = PICTURES if front else (".json",)
        if several and output.suffix.lower() not in suffixes:
            raise CommandError(f"cannot write to {str(output)!r}: there is no such folder; create it first")
        if several:
            raise CommandError(f"{str(output)!r} is one file for several surrogates; give -o an existing folder")
        check_output(output, suffixes)
    options = {
        "terms": terms,
        "products": products,
        "factors": factors,
        "weights_a": load_weights(weights_a, "a"),
        "weights_b": load_weights(weights_b, "b"),
        "basis": basis,
        "solver": solver,
        "decimals": _decimals(decimals),
    }
    given = {name: value for name, value in options.items() if value is not None}
    certifying: dict[str, Any] = {"sample": sample, "every_pair": every_pair, **_set({"checkpoint": checkpoint})}
    model = load_costs(costs)
    fronts: list[FrontReport] = []

    rows: list[Row] = []
    failures: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    written: set[Path] = set()
    for spec in specs:
        row = Row(spec, spec, dict.fromkeys(methods))
        rows.append(row)
        try:
            multiplier = resolve_spec(spec, a, b)
        except Exception as error:
            _failed(failures, error, spec, None, debug)
            continue
        row.name = multiplier.name
        for each in methods:
            try:
                if objective is not None:
                    found = choose(spec, multiplier, objective, model, {**given, **_set(certifying)})
                else:
                    found = find(spec, multiplier, each, _options_of(each, given, method == "all"), certifying)
                if explain:
                    found = explained(found, spec, each)
                no_file = front and not to_folder
                file = None if no_file else surrogate_file(output, to_folder, multiplier.name, each, written)
                if file is not None:
                    write_found(found, file)
            except Exception as error:
                _failed(failures, error, spec, each, debug)
                continue
            row.found[each] = found
            records.append(record(spec, found, file))
        if front:
            try:
                fronts.append(find_front(row, multiplier, options["weights_a"], options["weights_b"]))
                if output is not None:
                    draw_front(fronts[-1], front_file(output, to_folder, multiplier.name, written))
            except Exception as error:
                _failed(failures, error, spec, None, debug)
    if json:
        told = {"fronts": [each.to_dict() for each in fronts]} if front else {}
        print_json({"surrogates": records, **told, "failures": failures})
    else:
        if records:
            print_found(rows, methods, markdown)
        for i, drawn in enumerate(fronts):
            if i or records:
                typer.echo()
            print_front(drawn, markdown)
    if failures:
        raise typer.Exit(EXIT_FAILED)


def _decimals(text: str | None) -> int | str | None:
    """Read --decimals; the text ``"none"`` stays, since None says that it was not given."""
    if text is None or text == "none":
        return text
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise CommandError(f"--decimals must be a number from 0, or none, got {text!r}")
    return int(text)


def _options_of(method: str, given: dict[str, Any], choose: bool) -> dict[str, Any]:
    """Return the options for one method: all of them, or where ``choose`` only those that it takes."""
    lowrank = ("terms", "products", "factors", "weights_a", "weights_b")
    takes = {"exact": (), "htp": ("basis", "solver", "decimals"), "lowrank": lowrank}
    chosen = {name: value for name, value in given.items() if not choose or name in takes[method]}
    return {name: None if name == "decimals" and value == "none" else value for name, value in chosen.items()}


def _set(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, False)}


def _failed(failures: list[dict[str, Any]], error: Exception, spec: str, method: str | None, debug: bool) -> None:
    """Note and report an expected error; raise any other."""
    if debug or not is_expected(error) or isinstance(error, BrokenPipeError):
        raise error
    report(error, spec if method is None else f"{spec}, {TITLES[method]}")
    failures.append({"spec": spec, "method": method, "error": message(error)})
