"""``axsurrogate discover``: surrogates of one multiplier or of many."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import (
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
from catalog.cli.console import number, percent, plain, print_json, progress
from catalog.cli.errors import EXIT_FAILED, CommandError, is_expected, message, report, users_code
from catalog.cli.front import PICTURES, draw_front, front_report, print_front
from catalog.cli.grid import Grid
from catalog.cli.objective import (
    Costs,
    Exact,
    MaxProducts,
    MaxResidual,
    MaxShare,
    choose,
    load_costs,
    read_objective,
)
from catalog.cli.sweep import Request, parse_query, run_sweep

if TYPE_CHECKING:
    from catalog.cli.front import FrontReport
    from catalog.cli.report import Found
    from multipliers.multiplier import Multiplier
    from surrogate.cost import CostModel
    from surrogate.fit.select import Objective

OBJECTIVE = "objective"
"""Stands for a method where an objective chooses it."""

TITLES = {"exact": "exact", "htp": "HTP", "lowrank": "low rank", OBJECTIVE: "objective"}

_LABELS = {"exact": "exact surrogate", "lowrank": "surrogate of low rank", OBJECTIVE: "chosen surrogate"}


@dataclass
class Row:
    """What was found for one SPEC: a surrogate or None per method."""

    spec: str
    name: str
    found: dict[str, Found | None]


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
        str | None, typer.Option(metavar="BASIS", help="htp: mod, leading_one, or auto for the better of both.")
    ] = None,
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
        refused = [specs, decimals, a, b, costs, explain, front, weights_a, weights_b, checkpoint, markdown]
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
            multiplier = _resolve(spec, a, b)
        except Exception as error:
            _failed(failures, error, spec, None, debug)
            continue
        row.name = multiplier.name
        for each in methods:
            try:
                if objective is not None:
                    found = _choose(spec, multiplier, objective, model, {**given, **_set(certifying)})
                else:
                    found = _find(spec, multiplier, each, _options_of(each, given, method == "all"), certifying)
                if explain:
                    found = _explained(found, spec, each)
                file = None if front and not to_folder else _target(output, to_folder, multiplier.name, each, written)
                if file is not None:
                    _save(found, file)
            except Exception as error:
                _failed(failures, error, spec, each, debug)
                continue
            row.found[each] = found
            records.append(_record(spec, found, file))
        if front:
            try:
                fronts.append(_front(row, multiplier, options["weights_a"], options["weights_b"]))
                if output is not None:
                    draw_front(fronts[-1], _picture(output, to_folder, multiplier.name, written))
            except Exception as error:
                _failed(failures, error, spec, None, debug)
    if json:
        told = {"fronts": [each.to_dict() for each in fronts]} if front else {}
        print_json({"surrogates": records, **told, "failures": failures})
    else:
        if records:
            _print(rows, methods, markdown)
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
    takes = {"exact": (), "htp": ("basis", "decimals"), "lowrank": lowrank}
    chosen = {name: value for name, value in given.items() if not choose or name in takes[method]}
    return {name: None if name == "decimals" and value == "none" else value for name, value in chosen.items()}


def _resolve(spec: str, a: str | None, b: str | None) -> Multiplier:
    with users_code(spec):
        from catalog import resolve

        return resolve(spec, a, b)


def _find(spec: str, multiplier: Multiplier, method: str, options: dict[str, Any], certifying: dict[str, Any]) -> Found:
    from catalog.cli.report import Found
    from surrogate import discover as find
    from surrogate import dumps

    with users_code(spec), progress(f"{multiplier.name}: {TITLES[method]}") as advance:
        start = time.perf_counter()
        surrogate = find(multiplier, method, **options, **certifying, progress=advance)
        seconds = time.perf_counter() - start
    return Found(surrogate, seconds, len(dumps(surrogate)))


def _set(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, False)}


def _choose(
    spec: str, multiplier: Multiplier, objective: Objective, costs: CostModel, options: dict[str, Any]
) -> Found:
    from catalog.cli.report import Found
    from surrogate import dumps

    with users_code(spec), progress(f"{multiplier.name}: choosing"):
        start = time.perf_counter()
        choice = choose(multiplier, objective, costs, options)
        surrogate = choice.selection.surrogate
        seconds = time.perf_counter() - start
    return Found(surrogate, seconds, len(dumps(surrogate)), choice)


def _explained(found: Found, spec: str, method: str) -> Found:
    """Write it in closed form where it is made of integers; say so where not."""
    from surrogate import dumps
    from surrogate import explain as write

    if not found.surrogate.is_integer:
        typer.echo(f"note: {plain(spec)}, {TITLES[method]}: factors of floats have no closed form", err=True)
        return found
    start = time.perf_counter()
    explanation = write(found.surrogate)
    seconds = found.seconds + time.perf_counter() - start
    n_bytes = len(dumps(explanation.surrogate))
    return replace(found, surrogate=explanation.surrogate, seconds=seconds, n_bytes=n_bytes, explanation=explanation)


def _front(row: Row, multiplier: Multiplier, weights_a: Any, weights_b: Any) -> FrontReport:
    """Compute the front of one SPEC; the first surrogate that is not the recipe's is marked as the chosen one."""
    marked = next(((m, f.surrogate) for m, f in row.found.items() if f is not None and m != "htp"), None)
    label, chosen = ("", None) if marked is None else (_LABELS[marked[0]], marked[1])
    with users_code(row.spec), progress(f"{multiplier.name}: front"):
        return front_report(row.spec, multiplier, weights_a, weights_b, chosen, label)


def _failed(failures: list[dict[str, Any]], error: Exception, spec: str, method: str | None, debug: bool) -> None:
    """Note and report an expected error; raise any other."""
    if debug or not is_expected(error) or isinstance(error, BrokenPipeError):
        raise error
    report(error, spec if method is None else f"{spec}, {TITLES[method]}")
    failures.append({"spec": spec, "method": method, "error": message(error)})


def _target(output: Path | None, to_folder: bool, name: str, method: str, written: set[Path]) -> Path | None:
    """Return the file for one surrogate; never one that this run has already written."""
    if output is None:
        return None
    if not to_folder:
        return check_output(output, (".json",))
    return _named(output, name, f"{method}.json", written)


def _picture(output: Path, to_folder: bool, name: str, written: set[Path]) -> Path:
    """Return the file for one picture."""
    return _named(output, name, "front.svg", written) if to_folder else check_output(output, PICTURES)


def _named(folder: Path, name: str, ending: str, written: set[Path]) -> Path:
    """Return a file of a folder named after a multiplier, whatever its name holds."""
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".")[:100] or "multiplier"
    file = check_output(folder / f"{safe}.{ending}", ())
    if file in written:
        raise CommandError(f"{file.name} was written for another multiplier of this name; write them in separate runs")
    written.add(file)
    return file


def _save(found: Found, file: Path) -> None:
    from surrogate import save

    save(found.surrogate, file)
    typer.echo(f"wrote {plain(file)}", err=True)


def _record(spec: str, found: Found, file: Path | None) -> dict[str, Any]:
    from catalog.cli.report import as_dict

    took = {"seconds": found.seconds, "n_bytes": found.n_bytes, "file": None if file is None else str(file)}
    told: dict[str, Any] = {}
    if found.choice is not None:
        told["choice"] = found.choice.to_dict()
    if found.explanation is not None:
        from surrogate.export import to_words

        explanation = found.explanation
        told["explanation"] = {
            "n_factors": explanation.n_factors,
            "n_named": explanation.n_named,
            "words": to_words(found.surrogate),
        }
    return {"spec": spec, "method": found.surrogate.provenance.method, **as_dict(found.surrogate), **told, **took}


def _print(rows: list[Row], methods: tuple[str, ...], markdown: bool) -> None:
    from catalog.cli.report import print_comparison, print_surrogate

    if len(rows) == 1:
        found = [f for f in rows[0].found.values() if f is not None]
        names = [TITLES[m] for m, f in rows[0].found.items() if f is not None]
        if len(methods) == 1 and not markdown:
            print_surrogate(found[0].surrogate, found[0])
        else:
            print_comparison(found, names, f"Surrogates of {plain(rows[0].name)}", markdown)
        return
    grid = _overview(rows, methods)
    if markdown:
        typer.echo(grid.markdown(), nl=False)
    else:
        grid.print()
    explained = [f.explanation for row in rows for f in row.found.values() if f is not None and f.explanation]
    if explained and not markdown:
        named, factors = (sum(getattr(e, name) for e in explained) for name in ("n_named", "n_factors"))
        share = f" ({percent(named / factors)})" if factors else ""
        typer.echo(f"In closed form: {number(named)} of {number(factors)} factors{share}")


def _overview(rows: list[Row], methods: tuple[str, ...]) -> Grid:
    """Tabulate many multipliers: three columns per method, or all measures of a single one."""
    from catalog.cli.report import compared

    single = len(methods) == 1
    explained = [f.explanation for row in rows for f in row.found.values() if f is not None and f.explanation]
    names: tuple[str, ...] = ("terms", "wrong", "RMS (LSB)")
    if single:
        residuals = ("max (LSB)", "RMS (LSB)", "bias (LSB)")
        named = ("closed form",) if explained else ()
        names = ("terms", "products", "wrong", *residuals, "pairs", "seconds", "bytes", *named)
    columns = [("", "multiplier"), *(("" if single else TITLES[m], n) for m in methods for n in names)]
    title = "" if single else "Surrogates: terms, wrong products, RMS residual"
    grid = Grid(title, columns)
    for row in rows:
        cells = [plain(row.name)]
        for f in row.found.values():
            if f is None or (c := f.surrogate.certificate) is None:
                cells += ["-"] * len(names)
                continue
            s = f.surrogate
            if single:
                cells += [number(s.n_terms), number(s.n_products), percent(c.share_different)]
                cells += [number(x) for x in (c.max_abs_residual, c.rms_residual, c.residual_bias)]
                cells += [compared(c).removesuffix(" pairs"), f"{f.seconds:.2f}", number(f.n_bytes)]
                cells += [f.named] if explained else []
            else:
                cells += [number(s.n_terms), percent(c.share_different), number(c.rms_residual)]
        grid.rows.append(cells)
    return grid
