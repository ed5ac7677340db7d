"""``axsurrogate demo``: the main job from end to end, on data that is at hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import SPEC_HELP, FormatA, FormatB, Json
from catalog.cli.console import number, percent, plain, print_json, print_line, progress, to_json
from catalog.cli.errors import CommandError, users_code
from catalog.cli.grid import Grid

if TYPE_CHECKING:
    from catalog.datasets import ImageArrays
    from catalog.studies.retraining import Row, Stages
    from multipliers.characterise import Characterisation
    from multipliers.multiplier import Multiplier
    from surrogate.model import Surrogate

DEFAULT_MULTIPLIER = "bam8s_h3v7"


def demo(
    multiplier: Annotated[str, typer.Option(metavar="SPEC", help=SPEC_HELP)] = DEFAULT_MULTIPLIER,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz",
            help="Images: x_train, y_train, x_test, y_test (such as Fashion-MNIST). "
            "Left out: the digits that come with scikit-learn.",
        ),
    ] = None,
    a: FormatA = None,
    b: FormatB = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Training steps of the float network; retraining takes a third of them."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of initial weights and batches.")] = 0,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where pictures, surrogates and results go.")
    ] = Path("axsurrogate-demo"),
    json: Json = False,
) -> None:
    """Do the main job from end to end: characterise, discover, certify, save, train.

    Takes a multiplier, finds surrogates of it by all three methods, and trains LeNet-5: float, quantised, then with
    the approximate multiplier, simulated by table, by the exact surrogate and by the approximate ones.
    """
    from catalog import resolve
    from catalog.datasets import digits, read_images
    from catalog.studies.retraining import compare_retraining
    from multipliers.files import write_atomically

    start = time.perf_counter()
    images = digits() if data is None else read_images(data)
    with users_code(multiplier):
        circuit = resolve(multiplier, a, b)
        _check_width(circuit)
        folder = _folder(output)
        characterisation = _characterise(circuit)
        surrogates, seconds = _discover(circuit)
    files = _write_surrogates(surrogates, folder)
    stages = _stages(images, steps, seed)
    with progress("training") as advance:
        rows = compare_retraining(
            circuit,
            {f"{name} surrogate": s for name, s in surrogates.items()},
            images,
            stages,
            progress=lambda stage, done, total: advance(done, total, f"training: {stage}"),
        )
    pictures = _draw(circuit, characterisation, rows, folder)
    results: dict[str, Any] = {
        "multiplier": circuit.name,
        "data": "digits" if data is None else str(data),
        "stages": stages.to_dict(),
        "surrogates": [
            {"method": name, "n_terms": s.n_terms, "seconds": seconds[name], "file": str(files[name])}
            | ({} if s.certificate is None else s.certificate.to_dict())
            for name, s in surrogates.items()
        ],
        "networks": [row.to_dict() for row in rows],
        "seconds": time.perf_counter() - start,
    }
    write_atomically(folder / "results.json", to_json(results).encode())
    if json:
        print_json(results)
        return
    _print(circuit, characterisation, surrogates, seconds, rows, results["data"])
    print_line("")
    for path in (*files.values(), *pictures, folder / "results.json"):
        print_line(f"wrote {path}")
    print_line(f"done in {results['seconds']:.0f} s")


def _check_width(multiplier: Multiplier) -> None:
    from multipliers.multiplier import MAX_TABLE_ENTRIES

    if multiplier.n_pairs > MAX_TABLE_ENTRIES:
        raise CommandError(
            f"{multiplier.name}: the demo compares with a table of all products, and that of {multiplier.a} x "
            f"{multiplier.b} operands is too large; take operands of at most 12 bits each"
        )


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise CommandError(f"cannot write to {str(path)!r}: it is not a folder; give another with -o")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _characterise(multiplier: Multiplier) -> Characterisation:
    from multipliers.characterise import characterise

    with progress(f"{multiplier.name}: characterising") as advance:
        return characterise(multiplier, progress=advance)


def _discover(multiplier: Multiplier) -> tuple[dict[str, Surrogate], dict[str, float]]:
    """Find surrogates by all methods; the low-rank one gets as many terms as the published recipe."""
    from catalog.studies.retraining.simulations import MOST_TERMS
    from surrogate import FitError, discover

    found: dict[str, Surrogate] = {}
    seconds: dict[str, float] = {}
    for name in ("exact", "HTP", "low-rank"):
        options: dict[str, Any] = {"exact": {"terms": MOST_TERMS}, "HTP": {}}.get(name, {})
        if name == "low-rank":
            options = {"terms": max(1, found["HTP"].n_products)}
        start = time.perf_counter()
        with progress(f"{multiplier.name}: {name} surrogate") as advance:
            try:
                method = name.lower().replace("-", "")
                found[name] = discover(multiplier, method, **options, progress=advance)
            except FitError as error:
                if name != "exact":
                    raise
                typer.echo(f"note: {plain(error)}", err=True)
        seconds[name] = time.perf_counter() - start
    return found, seconds


def _write_surrogates(surrogates: dict[str, Surrogate], folder: Path) -> dict[str, Path]:
    from surrogate import save

    files = {name: folder / f"surrogate_{name.lower().replace('-', '')}.json" for name in surrogates}
    for name, surrogate in surrogates.items():
        save(surrogate, files[name])
    return files


def _stages(images: ImageArrays, steps: int | None, seed: int) -> Stages:
    from catalog.studies.retraining import Stages

    return Stages.of_steps(steps if steps is not None else 600 if len(images.x_train) < 10_000 else 1200, seed)


def _draw(multiplier: Multiplier, characterisation: Characterisation, rows: list[Row], folder: Path) -> list[Path]:
    from catalog.studies.retraining import plot_comparison
    from multipliers.plot import overview, save_figure

    paths = [folder / "multiplier.png", folder / "networks.png"]
    save_figure(overview(characterisation, multiplier), paths[0])
    save_figure(plot_comparison(rows, f"LeNet-5 with {multiplier.name}"), paths[1])
    return paths


def _print(
    multiplier: Multiplier,
    characterisation: Characterisation,
    surrogates: dict[str, Surrogate],
    seconds: dict[str, float],
    rows: list[Row],
    data: str,
) -> None:
    from catalog.cli.report import measures

    m = characterisation.metrics
    wanted = (
        ("mean relative error", percent(m.mre)),
        ("mean error (LSB)", number(m.mean_error)),
        ("SD of the error (LSB)", number(m.sd)),
        ("worst-case error (LSB)", number(m.wce)),
        ("error probability", percent(m.error_probability)),
        (
            "rank of the table, of the error",
            f"{characterisation.product_spectrum.rank}, {characterisation.error_spectrum.rank}",
        ),
    )
    Grid(
        f"1. The multiplier: {plain(multiplier.name)} ({multiplier.a} x {multiplier.b})",
        [("", ""), ("", "")],
        rows=[list(row) for row in wanted],
    ).print()
    print_line("")
    grid = Grid(
        "2. Its surrogates",
        [("", n) for n in ("method", "terms", "exact", "wrong", "RMS (LSB)", "bias (LSB)", "compared", "seconds")],
        frozenset({0, 2, 6}),
    )
    for name, s in surrogates.items():
        measured = dict(measures(s))
        keys = ("terms", "exact", "wrong products", "RMS residual (LSB)", "bias (LSB)", "compared")
        grid.rows.append([name, *(measured[key] for key in keys), f"{seconds[name]:.2f}"])
    grid.print()
    print_line("")
    grid = Grid(
        f"3. LeNet-5 on {plain(data)}: test accuracy, and time of a training step",
        [
            ("", n)
            for n in ("network", "simulated by", "exact", "before", "after (re)training", "on the circuit", "ms/step")
        ],
        frozenset({0, 1, 2}),
    )
    for row in rows:
        grid.rows.append(
            [
                row.network,
                row.method,
                "yes" if row.exact else "no",
                "-" if row.before is None else f"{100 * row.before:.2f} %",
                f"{100 * row.after:.2f} %",
                f"{100 * row.on_circuit:.2f} %",
                f"{1000 * row.step_time_s:.2f}",
            ]
        )
    grid.print()
