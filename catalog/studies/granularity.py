"""Weights of few bits, quantised per tensor or per output channel: what a network keeps of its accuracy.

A float network is quantised and trained on with a multiplier whose operand ``b`` has few bits, once with one scale for
all weights of a layer and once with one for each output channel. After Trommer, Waschneck, Kumar, "Fast Retraining of
Approximate CNNs for High Accuracy", table II: 8 x n bit circuits of EvoApproxLib, medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.studies.baseline import trained_network
from catalog.studies.identity import short_fingerprint
from catalog.studies.retraining.stages import Stages, quantise, run
from catalog.studies.study import Row, Study, Told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multipliers.multiplier import Multiplier
    from surrogate.nn.training import Images

GRANULARITIES = ("tensor", "channel")
DEFAULT_MULTIPLIERS = (*(f"exact8x{bits}u" for bits in range(2, 8)), "exact8u")
"""Accurate ones, for those who bring none of their own."""


@dataclass(frozen=True)
class Granularity:
    """What the study found, as tidy tables.

    Attributes
    ----------
    rows : list of dict
        Multiplier, granularity, seed; accuracy before and after training, every product being the multiplier's.
    summary : list of dict
        Bits of the weights; medians over multipliers and seeds by granularity, and the gain in percentage points.
    """

    rows: list[Row]
    summary: list[Row]


def weight_granularity(
    study: Study,
    multipliers: Sequence[Multiplier],
    network: str,
    images: Images,
    stages: Stages,
    *,
    seeds: Sequence[int] = (0,),
    told: Told | None = None,
) -> Granularity:
    """Train a network with weights quantised per tensor and per channel, for every multiplier.

    Parameters
    ----------
    study : Study
        Where measurements are kept, and resumed from.
    multipliers : sequence of Multiplier
        Activations are their operand ``a``, weights ``b``.
    network : str
        As `surrogate.nn.networks.create_network` takes it.
    images : Images
    stages : Stages
        Float and quantised training; their seeds are replaced.
    seeds : sequence of int
        Each is a repetition.
    told : callable, optional
        ``told(stage, steps_done, steps)``.

    Raises
    ------
    NetworkError, CheckpointError
        As `catalog.studies.baseline.trained_network`.
    ConversionError
        If no exact sums of a multiplier are possible.
    """
    rows: list[Row] = []
    for multiplier in multipliers:
        key = {
            "multiplier": multiplier.name,
            "fingerprint": short_fingerprint(multiplier),
            "weight_bits": multiplier.b.bits,
        }
        for seed in seeds:
            for granularity in GRANULARITIES:

                def compute(granularity: str = granularity, seed: int = seed, one: Multiplier = multiplier) -> Row:
                    model = trained_network(study, network, images, stages.seeded(seed).floating, told)
                    return _trained(model, one, granularity, images, stages.seeded(seed), told)

                rows.append(study.cell({**key, "granularity": granularity, "seed": seed}, compute))
    return Granularity(rows, _summary(rows))


def _trained(
    model: Any, multiplier: Multiplier, granularity: str, images: Images, stages: Stages, told: Told | None
) -> Row:
    from surrogate.nn import ApproxConfig, QuantiserConfig
    from surrogate.nn.training import accuracy

    quantise(model, ApproxConfig(multiplier=multiplier, weight=QuantiserConfig(granularity=granularity)), images)
    before = accuracy(model, images.x_test, images.y_test)
    stage = f"{multiplier.name}, per {granularity}, seed {stages.quantised.seed}"
    run(model, images, stages.quantised, None if told is None else lambda done, steps: told(stage, done, steps))
    return {"before": before, "accuracy": accuracy(model, images.x_test, images.y_test)}


def _summary(rows: list[Row]) -> list[Row]:
    """Take medians for each number of bits."""
    found = []
    for bits in sorted({row["weight_bits"] for row in rows}):
        of_bits = [row for row in rows if row["weight_bits"] == bits]
        median = {
            granularity: statistics.median(r["accuracy"] for r in of_bits if r["granularity"] == granularity)
            for granularity in GRANULARITIES
        }
        found.append(
            {
                "weight_bits": bits,
                "multipliers": len({row["multiplier"] for row in of_bits}),
                "seeds": len({row["seed"] for row in of_bits}),
                **{f"per_{granularity}": value for granularity, value in median.items()},
                "gain": 100 * (median["channel"] - median["tensor"]),
            }
        )
    return found


def plot_granularity(found: Granularity, title: str) -> Figure:
    """Draw accuracies and their medians against the bits of the weights."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for granularity, colour, shift in zip(GRANULARITIES, ("#d55e00", "#0072b2"), (-0.06, 0.06), strict=True):
        rows = [row for row in found.rows if row["granularity"] == granularity]
        axis.plot(
            [row["weight_bits"] + shift for row in rows], [100 * row["accuracy"] for row in rows], ".", color=colour
        )
        axis.plot(
            [row["weight_bits"] for row in found.summary],
            [100 * row[f"per_{granularity}"] for row in found.summary],
            color=colour,
            label=f"per {granularity}, median",
        )
    axis.set_xlabel("bits of a weight")
    axis.set_ylabel("test accuracy / %")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(title)
    return figure
