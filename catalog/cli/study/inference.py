"""``axsurrogate study inference``: batch-norm statistics and biases corrected for multipliers, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import percent, plain, print_json, print_line
from catalog.cli.grid import Grid
from catalog.cli.study.multipliers import resolve_multipliers
from catalog.cli.study.options import (
    Augment,
    BatchSize,
    Data,
    Epochs,
    Multipliers,
    Output,
    Rate,
    Seeds,
    TestImages,
    TrainImages,
    load_data,
)
from catalog.cli.study.run import print_written, telling

if TYPE_CHECKING:
    from catalog.studies.study import Row


def inference(
    data: Data = "digits",
    network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="resnet20, resnext20-dw, mobilenet, vgg11-nobn, lenet5, ...; -wN is the width. Repeatable.",
        ),
    ] = None,
    multiplier: Multipliers = None,
    epochs: Epochs = 12,
    learning_rate: Rate = 0.05,
    batch_size: BatchSize = 64,
    augment: Augment = False,
    seeds: Seeds = 1,
    calibration: Annotated[
        int,
        typer.Option(metavar="N", min=2, help="Training images that ranges, statistics and errors are measured on."),
    ] = 1024,
    train_images: TrainImages = None,
    test_images: TestImages = None,
    output: Output = Path("study-inference"),
    json: Json = False,
) -> None:
    """Inference without retraining: what corrected batch-norm statistics and biases bring back.

    Networks are trained in float, converted to each multiplier, and tested uncorrected and with each correction. The
    share of the multiplier's error in the variance of each layer's outputs is measured beside it.
    """
    from catalog.studies.inference import MULTIPLIERS, NETWORKS, run_inference
    from catalog.studies.inference_results import accuracy_rows, layer_rows, means, plot_inference, shares
    from catalog.studies.study import Study
    from multipliers.plot import save_figure
    from surrogate.nn.training import Recipe

    loaded = load_data(data, train_images, test_images)
    recipe = Recipe(epochs, learning_rate, batch_size, weight_decay=1e-4, augment=augment)
    circuits = resolve_multipliers(multiplier, MULTIPLIERS)
    study = Study.open(output, "inference", loaded.settings | recipe.to_dict() | {"calibration": calibration})
    with telling("inference without retraining") as told:
        rows = run_inference(
            study,
            loaded.images,
            network or NETWORKS,
            recipe,
            circuits,
            seeds=seeds,
            calibration=calibration,
            told=told,
        )
    accuracies, layers = accuracy_rows(rows), layer_rows(rows)
    averages, kinds = means(rows), shares(layers)
    files = [*study.write_tables(accuracies), *study.write_tables(layers, "error_variance")]
    files.append(study.folder / "inference.png")
    save_figure(plot_inference(averages, layers, f"{loaded.settings['data']}, {epochs} epochs"), files[-1])
    if json:
        print_json({"rows": accuracies, "layers": layers, "means": averages, "shares": kinds})
        return
    _print(averages, kinds)
    print_line("")
    print_written(files)


def _print(averages: list[Row], kinds: list[Row]) -> None:
    from catalog.studies.inference import CORRECTIONS, REFERENCES

    corrections = [c for c in ("float", *REFERENCES, *CORRECTIONS) if any(c in row for row in averages)]
    heads = [("", "network"), ("", "multiplier"), ("mean rel.", "error"), *map(_head, corrections)]
    grid = Grid("Test accuracy in %, by correction", heads, frozenset({0, 1}))
    for row in averages:
        values = ["-" if row.get(c) is None else f"{100 * row[c]:.2f}" for c in corrections]
        grid.rows.append([plain(row["network"]), plain(row["multiplier"]), percent(row["relative_error"]), *values])
    grid.print()
    print_line("")
    columns = ("network", "multiplier", "kind", "layers", "gain", "share", "with gain")
    grid = Grid("Error over output variance, medians of layers", [("", c) for c in columns], frozenset({0, 1, 2}))
    for row in kinds:
        shown = [f"{row['gain']:.4f}", percent(row["share"]), percent(row["total_share"])]
        grid.rows.append([plain(row["network"]), plain(row["multiplier"]), row["kind"], str(row["layers"]), *shown])
    grid.print()


def _head(correction: str) -> tuple[str, str]:
    first, _, second = correction.rpartition(", ")
    return first, second
