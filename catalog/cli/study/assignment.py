"""``axsurrogate study assignment``: which multiplier for which layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import number, percent, plain, print_json, print_line
from catalog.cli.errors import CommandError
from catalog.cli.grid import Grid
from catalog.cli.selection import LibraryFile, library_circuits, load_circuits
from catalog.cli.study.multipliers import resolve_multipliers
from catalog.cli.study.options import (
    Augment,
    BatchSize,
    Data,
    Epochs,
    Multipliers,
    Network,
    Output,
    Rate,
    Steps,
    TestImages,
    TrainImages,
    load_data,
)
from catalog.cli.study.run import print_written, telling

if TYPE_CHECKING:
    from catalog.studies.assignment import Candidate
    from catalog.studies.study import Row

BUDGETS = ("90%", "80%", "70%", "60%", "50%", "40%", "30%")

_WORST = 8
"""Multipliers of the ranking that are printed at most from its end; `_BEST` from its beginning."""
_BEST = 20


def assignment(
    multipliers: Multipliers = None,
    operands: Annotated[
        str,
        typer.Option(metavar="FORMAT", help="Without -m: all multipliers of these operands, such as 8u."),
    ] = "8s",
    library: LibraryFile = None,
    energy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Energy of a product by multiplier: .json, or .csv of name and energy."),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(metavar="NAME", help="Without --energy: the cost that stands for it."),
    ] = "power",
    budgets: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="PERCENT",
            help="Energy of multipliers, of that with the dearest one in every layer. Repeatable.",
        ),
    ] = None,
    data: Data = "digits",
    network: Network = "lenet5",
    epochs: Epochs = 20,
    steps: Steps = None,
    learning_rate: Rate = 0.05,
    batch_size: BatchSize = 64,
    augment: Augment = False,
    calibration: Annotated[
        int, typer.Option(metavar="N", min=1, help="Training images that ranges and predictions rest on.")
    ] = 1024,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="Correct biases for the mean errors of the multipliers.")
    ] = False,
    retraining: Annotated[
        int, typer.Option("--retraining-steps", metavar="N", min=0, help="Also retrain with each multiplier so long.")
    ] = 0,
    train_images: TrainImages = None,
    test_images: TestImages = None,
    output: Output = Path("study-assignment"),
    json: Json = False,
) -> None:
    """Predict which multipliers a trained network bears, and assign them to its layers within energy budgets.

    Every multiplier is ranked by the accuracy that its error moments predict, and measured, without retraining. Those
    of known energy are assigned to layers for each budget; the assignments are measured, and kept as files for
    surrogate.nn.assignment.Assignment.load.
    """
    from catalog.studies.assignment import LayerStudy, correlations, plot_front, plot_ranking
    from catalog.studies.study import Study
    from multipliers.plot import save_figure
    from surrogate.nn.assignment import require_feasible
    from surrogate.nn.training import Recipe

    candidates = _candidates(multipliers, operands, library, energy, cost)
    energies = {c.name: c.energy for c in candidates if c.energy is not None}
    shares = [_share(text) for text in budgets or (BUDGETS if len(energies) > 1 else ())]
    for share in shares:
        require_feasible(energies, share)
    loaded = load_data(data, train_images, test_images)
    recipe = Recipe(epochs, learning_rate, batch_size, augment=augment, steps_per_epoch=steps)
    settings = {"network": network, **recipe.to_dict(), "calibration": calibration, "corrected": corrected}
    study = Study.open(output, "assignment", {**loaded.settings, **settings, "energies": energies})
    with telling("assignment") as told:
        layers = LayerStudy(
            study,
            loaded.images,
            network,
            recipe,
            candidates,
            calibration,
            corrected,
            told=told,
        )
        assigned = layers.assign(shares)
        ranked = layers.rank()
        baselines = layers.baselines()
        if retraining:
            retrained = layers.retrained(retraining, learning_rate / 10)
            ranked = [row | {"retrained": retrained[row["multiplier"]]} for row in ranked]
    inexact = [row for row in ranked if row["mae"] > 0]
    found = []
    for against in ("measured", "retrained") if retraining else ("measured",):
        if sum(row[against] is not None for row in inexact) > 2:
            found += correlations(inexact, against)
    most = max(energies.values(), default=1.0)
    uniform = [row | {"share": row["energy"] / most} for row in ranked if row["energy"] is not None]
    title = f"{network} on {loaded.settings['data']}"
    files = [*study.write_tables(ranked + assigned), *(study.write_tables(found, "correlations") if found else ())]
    files.append(study.folder / "ranking.png")
    how = "biases corrected" if corrected else "without retraining"
    save_figure(plot_ranking(inexact, baselines["quantised"], f"{title}, {how}"), files[-1])
    if assigned:
        files.append(study.folder / "front.png")
        save_figure(plot_front(assigned, uniform, baselines["quantised"], f"{title}: accuracy and energy"), files[-1])
        files += [study.folder / f"assignment_{100 * row['budget']:g}.json" for row in assigned]
    if json:
        about = {"settings": study.settings, "baselines": baselines}
        print_json({**about, "ranking": ranked, "correlations": found, "assignments": assigned})
        return
    print_line(f"{plain(title)}: float {_points(baselines['float'])} %, quantised {_points(baselines['quantised'])} %")
    _print_ranking(ranked)
    _print_correlations(found)
    _print_front(assigned, uniform)
    print_written(files)


def _candidates(
    specs: list[str] | None, operands: str, library: Path | None, energy: Path | None, cost: str
) -> list[Candidate]:
    """Collect multipliers with energies of one source: the file, else the library that is named, else the catalog."""
    from catalog.circuit import COSTS
    from catalog.library import Library
    from catalog.quantities import quantity
    from catalog.studies.assignment import catalog_candidates, read_energies, with_energies
    from multipliers.operands import OperandFormat

    if not quantity(cost).is_cost:
        raise CommandError(f"--cost {cost} is an error metric; take one of {', '.join(COSTS)}")
    circuits = load_circuits(None) if library is None else library_circuits(library)
    if specs:
        found = with_energies(resolve_multipliers(specs, ()), circuits, cost)
    elif library is None:
        form = OperandFormat.parse(operands)
        found = catalog_candidates(form, form, cost)
    else:
        form = OperandFormat.parse(operands)
        distinct = {c.fingerprint: c for c in reversed(circuits) if (c.a, c.b) == (form, form)}
        with Library(library) as opened:
            found = with_energies([opened.multiplier(c) for c in distinct.values()], circuits, cost)
    return found if energy is None else read_energies(energy, found)


def _share(text: str) -> float:
    """Read ``60%`` or ``0.6``."""
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise CommandError(f"--budget {text}: write a share of the energy, above 0 and up to 100%, such as 60% or 0.6")
    return value


def _points(share: float | None) -> str:
    return "diverged" if share is None else f"{100 * share:.2f}"


def _print_ranking(rows: list[Row]) -> None:
    again = "retrained" in rows[0]
    columns = [("", "multiplier"), ("", "MRE"), ("accuracy (%)", "predicted"), ("accuracy (%)", "measured")]
    columns += [("accuracy (%)", "retrained")] if again else []
    title = f"One multiplier in every layer, {len(rows)} ranked by prediction"
    grid = Grid(title, columns, frozenset({0}))
    kinds = ("predicted", "measured", "retrained") if again else ("predicted", "measured")
    for place, row in enumerate(rows):
        if _BEST <= place < len(rows) - _WORST:
            if place == _BEST:
                grid.rows.append([f"... {len(rows) - _WORST - _BEST} more", *[""] * (len(columns) - 1)])
            continue
        cells = [plain(row["multiplier"]), percent(row["mre"]), *(_points(row[kind]) for kind in kinds)]
        grid.rows.append(cells)
    grid.print()
    print_line("")


def _print_correlations(found: list[dict[str, Any]]) -> None:
    if not found:
        return
    from catalog.studies.assignment import PREDICTORS

    columns = (
        ("", "accuracy"),
        ("", "ranked by"),
        ("", "Spearman's rho"),
        ("95 % interval", "from"),
        ("95 % interval", "to"),
    )
    grid = Grid(f"Ranks against those of accuracies, {found[0]['n']} multipliers", columns, frozenset({0, 1}))
    for row in found:
        about = row["against"], PREDICTORS[row["predictor"]]
        grid.rows.append([*about, *(f"{row[name]:.3f}" for name in ("rho", "low", "high"))])
    grid.print()
    print_line("")


def _print_front(assigned: list[Row], uniform: list[Row]) -> None:
    if not assigned:
        print_line("nothing is assigned: fewer than two energies are known; give --energy or a --library of them")
        return
    columns = (
        ("", "budget"),
        ("", "energy"),
        ("accuracy (%)", "predicted"),
        ("accuracy (%)", "measured"),
        ("best in every layer", "multiplier"),
        ("best in every layer", "measured"),
    )
    grid = Grid("Assigned to layers within a budget", columns, frozenset({4}))
    for row in assigned:
        best = max((u for u in uniform if u["share"] <= row["budget"] + 1e-9), key=lambda u: u["measured"])
        energy = f"{100 * row['energy']:.1f} %"
        accuracies = [_points(row[kind]) for kind in ("predicted", "measured")]
        others = [plain(best["multiplier"]), _points(best["measured"])]
        grid.rows.append([f"{number(100 * row['budget'])} %", energy, *accuracies, *others])
    grid.print()
    print_line("")
