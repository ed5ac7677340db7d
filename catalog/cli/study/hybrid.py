"""``axsurrogate study hybrid``: approximate training that becomes exact in time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import number, percent, plain, print_json, print_line
from catalog.cli.grid import Grid
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
    Seeds,
    Steps,
    TestImages,
    TrainImages,
    load_data,
)
from catalog.cli.study.run import print_written, telling

if TYPE_CHECKING:
    from catalog.studies.hybrid_results import Prediction
    from catalog.studies.study import Row

PREDICTED = {"accuracy": "approximate to the end", "plateau_accuracy": "switched by the plateau rule"}
"""Accuracies that are compared between multipliers and their stand-ins."""


def hybrid(
    data: Data = "digits",
    network: Network = "resnet8-w4",
    multiplier: Multipliers = None,
    epochs: Epochs = 6,
    steps: Steps = None,
    learning_rate: Rate = 0.1,
    batch_size: BatchSize = 32,
    augment: Augment = False,
    seeds: Seeds = 1,
    tolerance: Annotated[
        float,
        typer.Option(metavar="X", min=0, max=1, help="Accuracy that a switch may cost: 0.001 is 0.1 points."),
    ] = 0.001,
    validation: Annotated[
        float,
        typer.Option(metavar="X", min=0, max=1, help="Share of the training images held out for the plateau rule."),
    ] = 0.1,
    window: Annotated[int, typer.Option(metavar="N", min=1, help="Epochs that the plateau rule averages.")] = 2,
    train_images: TrainImages = None,
    test_images: TestImages = None,
    output: Output = Path("study-hybrid"),
    json: Json = False,
) -> None:
    """Train with errors, then without: the latest epoch to switch at, and what predicts it.

    Hammad's eight levels of Gaussian error, multipliers, and Gaussian stand-ins of these. For each: the accuracy of
    approximate training, the latest epoch at which it can become exact and keep the baseline's accuracy, found by
    bisection, and the epoch at which a rule switches that watches held-out images.
    """
    from catalog.studies.hybrid import HAMMAD_LEVELS, MULTIPLIERS, error_sources, run_hybrid
    from catalog.studies.hybrid_results import means, plot_hybrid, prediction
    from catalog.studies.study import Study
    from multipliers.plot import save_figure
    from surrogate.nn.training import Recipe

    loaded = load_data(data, train_images, test_images)
    recipe = Recipe(epochs, learning_rate, batch_size, weight_decay=5e-4, augment=augment, steps_per_epoch=steps)
    sources = error_sources(HAMMAD_LEVELS, resolve_multipliers(multiplier, MULTIPLIERS))
    settings = {"network": network, **recipe.to_dict(), "validation": validation}
    study = Study.open(output, "hybrid", loaded.settings | settings)
    with telling("hybrid training") as told:
        rows = run_hybrid(
            study,
            loaded.images,
            network,
            recipe,
            sources,
            seeds=seeds,
            validation=validation,
            tolerance=tolerance,
            window=window,
            told=told,
        )
    files = study.write_tables(rows)
    averages = means(rows)
    found = {key: prediction(rows, key) for key in PREDICTED}
    files.append(study.folder / "hybrid.png")
    save_figure(plot_hybrid(rows, f"{network} on {loaded.settings['data']}, {epochs} epochs"), files[-1])
    if json:
        predictions = {key: None if one is None else one.to_dict() for key, one in found.items()}
        print_json({"rows": rows, "means": averages, "prediction": predictions})
        return
    _print(averages, found)
    print_line("")
    print_written(files)


def _print(rows: list[Row], found: dict[str, Prediction | None]) -> None:
    columns = [
        ("", "kind"),
        ("", "error"),
        ("mean rel.", "error"),
        ("baseline", "%"),
        ("approximate", "%"),
        ("latest switch:", "epochs"),
        ("", "%"),
        ("plateau rule:", "epochs"),
        ("", "%"),
    ]
    grid = Grid("Test accuracy without errors, and epochs approximate + exact", columns, frozenset({0, 1}))
    for row in rows:
        grid.rows.append(
            [
                row["kind"],
                plain(row["error"]),
                percent(row["mre"]),
                *(_accuracy(row[key]) for key in ("baseline", "accuracy")),
                _epochs(row, "switch") + ("" if row["monotone"] else " *"),
                _accuracy(row["switch_accuracy"]),
                _epochs(row, "plateau"),
                _accuracy(row["plateau_accuracy"]),
            ]
        )
    grid.print()
    if not all(row["monotone"] for row in rows):
        print_line("* a later switch kept the accuracy where an earlier one did not: the epoch is uncertain")
    for key, one in found.items():
        if one is not None:
            print_line(
                f"Stand-ins against multipliers, {PREDICTED[key]}, {one.n} pairs: "
                f"correlation {number(one.correlation)}, of ranks {number(one.rank_correlation)}; mean difference "
                f"{100 * one.mean_absolute_difference:.2f} points, where multipliers lose {100 * one.mean_loss:.2f}"
            )


def _accuracy(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _epochs(row: Row, key: str) -> str:
    return "-" if row[key] is None else f"{row[key]:.3g} + {row['epochs'] - row[key]:.3g}"
