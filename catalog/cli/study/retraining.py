"""``axsurrogate study retraining``: how faithful, and how fast, the ways of retraining with a multiplier are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.arguments import Json
from catalog.cli.console import number, plain, print_json
from catalog.cli.grid import Grid
from catalog.cli.study.multipliers import resolve_multipliers
from catalog.cli.study.options import (
    Augment,
    BatchSize,
    Data,
    Epochs,
    LaterRate,
    Multipliers,
    Network,
    Output,
    QuantisedEpochs,
    Rate,
    Seeds,
    TestImages,
    TrainImages,
    load_data,
)
from catalog.cli.study.run import print_written, telling

if TYPE_CHECKING:
    from catalog.studies.retraining import Fidelity

Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="none, behavioural, exact, htp, lowrankK (of K products), linear or noise. Repeatable; all if left out.",
    ),
]
RetrainingEpochs = Annotated[int, typer.Option(metavar="N", min=0, help="Epochs of each retraining.")]


def retraining(
    multipliers: Multipliers = None,
    methods: Methods = None,
    data: Data = "digits",
    network: Network = "lenet5",
    epochs: Epochs = 20,
    learning_rate: Rate = 0.05,
    quantised_epochs: QuantisedEpochs = 5,
    retraining_epochs: RetrainingEpochs = 3,
    later_rate: LaterRate = 0.005,
    batch_size: BatchSize = 64,
    augment: Augment = False,
    seeds: Seeds = 1,
    train_images: TrainImages = None,
    test_images: TestImages = None,
    output: Output = Path("axsurrogate-retraining"),
    json: Json = False,
) -> None:
    """Retrain a network with multipliers that are simulated in several ways, and compare with behavioural simulation.

    A float network is quantised and trained on with accurate products, then retrained by each method from the same
    start with the same batches. Each is tested as it simulates itself, and on the circuit. Interrupted, the study goes
    on where it was. More multipliers, methods and seeds may be added later; the tables hold what the last call asked
    for.
    """
    from catalog.studies.retraining import (
        DEFAULT_METHODS,
        DEFAULT_MULTIPLIERS,
        Stages,
        plot_fidelity,
        retraining_fidelity,
    )
    from catalog.studies.study import Study
    from multipliers.plot import save_figure
    from surrogate.nn.training import Recipe

    chosen = resolve_multipliers(multipliers, DEFAULT_MULTIPLIERS)
    read = load_data(data, train_images, test_images)
    stages = Stages(
        Recipe(epochs, learning_rate, batch_size, augment=augment),
        Recipe(quantised_epochs, later_rate, batch_size),
        Recipe(retraining_epochs, later_rate, batch_size),
    )
    study = Study.open(output, "retraining", {**read.settings, "network": network, **stages.settings()})
    with telling("retraining") as told:
        found = retraining_fidelity(
            study,
            chosen,
            network,
            read.images,
            stages,
            methods=methods or DEFAULT_METHODS,
            seeds=range(seeds),
            told=told,
        )
    files = [
        *study.write_tables(found.rows),
        *study.write_tables(found.step_times, "step_times"),
        *study.write_tables(found.summary, "summary"),
        output / "retraining.png",
    ]
    save_figure(plot_fidelity(found, f"{network} on {Path(data).name}"), files[-1])
    if json:
        print_json({"settings": study.settings, "summary": found.summary, "rows": found.rows})
        return
    _print(found, network, Path(data).name)
    print_written(files)


def _print(found: Fidelity, network: str, data: str) -> None:
    columns = (
        ("", "operands"),
        ("", "method"),
        ("", "multipliers"),
        ("", "seeds"),
        ("accuracy (%)", "simulated"),
        ("accuracy (%)", "on the circuit"),
        ("difference to behavioural (points)", "simulated"),
        ("difference to behavioural (points)", "on the circuit"),
        ("difference to behavioural (points)", "largest"),
        ("", "step / float"),
    )
    grid = Grid(f"{plain(network)} on {plain(data)}, retrained", columns, frozenset({0, 1}))
    for row in found.rows:
        if row["multiplier"] == "-":
            grid.rows.append(_cells(row, "1"))
    for row in found.summary:
        grid.rows.append(_cells(row, number(row["seeds"])))
    grid.print()


def _cells(row: dict[str, Any], seeds: str) -> list[str]:
    """Return a row of the table; what a row has no value for stays empty."""
    accuracies = [f"{100 * row[name]:.2f}" if name in row else "" for name in ("simulated", "on_circuit")]
    names = "difference_simulated", "difference_on_circuit", "largest_difference", "ratio_to_float"
    others = [f"{row[name]:.2f}" if name in row else "" for name in names]
    multipliers = number(row["multipliers"]) if "multipliers" in row else ""
    return [row["operands"], row["method"], multipliers, seeds, *accuracies, *others]
