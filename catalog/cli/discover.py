"""``axsurrogate discover``: surrogates of one multiplier or of many."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import (
    EveryPair,
    FormatA,
    FormatB,
    Json,
    Sample,
    Specs,
    WeightsA,
    WeightsB,
    check_output,
    load_weights,
)
from catalog.cli.console import number, percent, plain, print_json, progress
from catalog.cli.errors import EXIT_FAILED, CommandError, is_expected, message, report, users_code
from catalog.cli.grid import Grid

if TYPE_CHECKING:
    from catalog.cli.report import Found
    from multipliers.multiplier import Multiplier

TITLES = {"exact": "exact", "htp": "HTP", "lowrank": "low rank"}


@dataclass
class Row:
    """What was found for one SPEC: a surrogate or None per method."""

    spec: str
    name: str
    found: dict[str, Found | None]


def discover(
    context: typer.Context,
    specs: Specs,
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="exact, htp (published recipe), lowrank, or all three.")
    ] = "exact",
    terms: Annotated[
        int | None, typer.Option(metavar="K", help="lowrank: terms, 4 if left out; exact: refuse to use more.")
    ] = None,
    basis: Annotated[
        str | None, typer.Option(metavar="BASIS", help="htp: mod, leading_one, or auto for the better of both.")
    ] = None,
    decimals: Annotated[
        str | None, typer.Option(metavar="N", help="htp: decimals of the coefficients, 1 if left out; or none.")
    ] = None,
    a: FormatA = None,
    b: FormatB = None,
    weights_a: WeightsA = None,
    weights_b: WeightsB = None,
    sample: Sample = None,
    every_pair: EveryPair = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write FILE.json, or into an existing folder one NAME.METHOD.json each. Replaces files.",
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    json: Json = False,
) -> None:
    """Find surrogates of multipliers, certify them, and compare the methods.

    Several SPECs, and --method all, print one table; what fails is reported,
    the rest is still done. With --method all each option goes to the methods
    that take it, --terms to lowrank.
    """
    from surrogate.fit import METHODS

    if method not in (*METHODS, "all"):
        raise CommandError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}, all")
    if json and markdown:
        raise CommandError("--json and --markdown exclude each other")
    debug = bool(context.find_root().params.get("debug"))
    methods = METHODS if method == "all" else (method,)
    several = len(specs) > 1 or len(methods) > 1
    to_folder = output is not None and output.is_dir()
    if output is not None and not to_folder:
        if several and output.suffix.lower() != ".json":
            raise CommandError(f"cannot write to {str(output)!r}: there is no such folder; create it first")
        if several:
            raise CommandError(f"{str(output)!r} is one file for several surrogates; give -o an existing folder")
        check_output(output, (".json",))
    options = {
        "terms": terms,
        "weights_a": load_weights(weights_a, "a"),
        "weights_b": load_weights(weights_b, "b"),
        "basis": basis,
        "decimals": _decimals(decimals),
    }
    given = {name: value for name, value in options.items() if value is not None}
    certifying = {"sample": sample, "every_pair": every_pair}

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
                found = _find(spec, multiplier, each, _options_of(each, given, method == "all"), certifying)
                file = _target(output, to_folder, multiplier.name, each, written)
                if file is not None:
                    _save(found, file)
            except Exception as error:
                _failed(failures, error, spec, each, debug)
                continue
            row.found[each] = found
            records.append(_record(spec, found, file))
    if json:
        print_json({"surrogates": records, "failures": failures})
    elif records:
        _print(rows, methods, markdown)
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
    takes = {"exact": (), "htp": ("basis", "decimals"), "lowrank": ("terms", "weights_a", "weights_b")}
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
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".")[:100] or "multiplier"
    file = check_output(output / f"{safe}.{method}.json", (".json",))
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
    return {"spec": spec, "method": found.surrogate.provenance.method, **as_dict(found.surrogate), **took}


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


def _overview(rows: list[Row], methods: tuple[str, ...]) -> Grid:
    """Tabulate many multipliers: three columns per method, or all measures of a single one."""
    from catalog.cli.report import compared

    single = len(methods) == 1
    names: tuple[str, ...] = ("terms", "wrong", "RMS (LSB)")
    if single:
        residuals = ("max (LSB)", "RMS (LSB)", "bias (LSB)")
        names = ("terms", "products", "wrong", *residuals, "pairs", "seconds", "bytes")
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
            else:
                cells += [number(s.n_terms), percent(c.share_different), number(c.rms_residual)]
        grid.rows.append(cells)
    return grid
