"""``axsurrogate study granularity``: weights of few bits, per tensor or per channel."""

from __future__ import annotations

from pathlib import Path

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


def granularity(
    multipliers: Multipliers = None,
    data: Data = "digits",
    network: Network = "lenet5",
    epochs: Epochs = 20,
    learning_rate: Rate = 0.05,
    quantised_epochs: QuantisedEpochs = 5,
    later_rate: LaterRate = 0.005,
    batch_size: BatchSize = 64,
    augment: Augment = False,
    seeds: Seeds = 1,
    train_images: TrainImages = None,
    test_images: TestImages = None,
    output: Output = Path("axsurrogate-granularity"),
    json: Json = False,
) -> None:
    """Train with weights of few bits, quantised per tensor and per output channel, and compare.

    By default with accurate products of 8-bit activations and weights of 2 to 8 bits; with ``-m`` by multipliers of any
    two widths, of which weights are operand b. Interrupted, the study goes on where it was.
    """
    from catalog.studies.granularity import DEFAULT_MULTIPLIERS, plot_granularity, weight_granularity
    from catalog.studies.retraining import Stages
    from catalog.studies.study import Study
    from multipliers.plot import save_figure
    from surrogate.nn.training import Recipe

    chosen = resolve_multipliers(multipliers, DEFAULT_MULTIPLIERS)
    read = load_data(data, train_images, test_images)
    later = Recipe(quantised_epochs, later_rate, batch_size)
    stages = Stages(Recipe(epochs, learning_rate, batch_size, augment=augment), later, later)
    study = Study.open(output, "granularity", {**read.settings, "network": network, **stages.settings()})
    with telling("training") as told:
        found = weight_granularity(
            study,
            chosen,
            network,
            read.images,
            stages,
            seeds=range(seeds),
            told=told,
        )
    files = [*study.write_tables(found.rows), *study.write_tables(found.summary, "summary"), output / "granularity.png"]
    save_figure(plot_granularity(found, f"{network} on {Path(data).name}"), files[-1])
    if json:
        print_json({"settings": study.settings, "summary": found.summary, "rows": found.rows})
        return
    names = ("weight bits", "multipliers", "seeds", "per tensor (%)", "per channel (%)", "gain (points)")
    title = f"{plain(network)} on {plain(Path(data).name)}, quantised: median accuracy"
    grid = Grid(title, [("", name) for name in names], frozenset())
    for row in found.summary:
        counts = [number(row[name]) for name in ("weight_bits", "multipliers", "seeds")]
        medians = [f"{100 * row[name]:.2f}" for name in ("per_tensor", "per_channel")]
        grid.rows.append([*counts, *medians, f"{row['gain']:+.2f}"])
    grid.print()
    print_written(files)
