"""What ``axsurrogate discover`` prints and writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from catalog.cli.arguments import PICTURES, check_output
from catalog.cli.console import number, percent, plain
from catalog.cli.discover_find import TITLES, Row
from catalog.cli.errors import CommandError
from catalog.cli.grid import Grid

if TYPE_CHECKING:
    from catalog.cli.report import Found


def surrogate_file(output: Path | None, to_folder: bool, name: str, method: str, written: set[Path]) -> Path | None:
    """Return the file for one surrogate; never one that this run has already written."""
    if output is None:
        return None
    if not to_folder:
        return check_output(output, (".json",))
    return _named(output, name, f"{method}.json", written)


def front_file(output: Path, to_folder: bool, name: str, written: set[Path]) -> Path:
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


def write_found(found: Found, file: Path) -> None:
    """Write a surrogate to a file and say so."""
    from surrogate import save

    save(found.surrogate, file)
    typer.echo(f"wrote {plain(file)}", err=True)


def record(spec: str, found: Found, file: Path | None) -> dict[str, Any]:
    """Return what JSON says of one surrogate."""
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


def print_found(rows: list[Row], methods: tuple[str, ...], markdown: bool) -> None:
    """Print one surrogate in full, or a table of several."""
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
