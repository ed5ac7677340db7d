"""What a multiplier does to a network, and what retraining mends: LeNet-5, float, quantised, then approximate.

The approximate network is run and retrained by several models of the multiplier, from the same start with the same
batches; each is then tested on the circuit itself, bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from catalog.datasets import ImageArrays
    from multipliers.multiplier import Multiplier
    from surrogate.model import Surrogate

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, steps of the stage)."""


@dataclass(frozen=True)
class Budget:
    """Training steps and learning rates.

    Attributes
    ----------
    float_steps, quantised_steps, retraining_steps : int
        Batches of each stage; every retraining gets the same.
    float_rate, quantised_rate, retraining_rate : float
        First learning rate of each stage.
    batch_size : int
        Images a step.
    seed : int
        Of the initial weights and of the order of images.
    """

    float_steps: int = 600
    quantised_steps: int = 200
    retraining_steps: int = 200
    float_rate: float = 0.05
    quantised_rate: float = 0.01
    retraining_rate: float = 0.01
    batch_size: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One network of the comparison.

    Attributes
    ----------
    network : str
        ``"float"``, ``"quantised"`` or ``"approximate"``.
    method : str
        How the multiplier was simulated while retraining; ``"-"`` where none was.
    exact : bool
        Whether that simulation is exact.
    before : float or None
        Accuracy before (re)training, as simulated.
    after : float
        Accuracy after it, as simulated.
    on_circuit : float
        Accuracy after it with every product as the circuit returns it (of the accurate multiplier, where that was
        used); float for the float network.
    step_time_s : float
        Median time of a training step.
    """

    network: str
    method: str
    exact: bool
    before: float | None
    after: float
    on_circuit: float
    step_time_s: float

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values."""
        return asdict(self)


def compare_retraining(
    multiplier: Multiplier,
    surrogates: dict[str, Surrogate],
    data: ImageArrays,
    budget: Budget | None = None,
    *,
    table: bool = True,
    progress: Progress | None = None,
) -> list[Row]:
    """Train LeNet-5 accurately, quantised, and with a multiplier simulated in several ways.

    Parameters
    ----------
    multiplier : Multiplier
        Behind all approximate products.
    surrogates : dict of str to Surrogate
        Certified surrogates of it, by the name of the method.
    data : ImageArrays
        Images and classes.
    budget : Budget, optional
        Steps and learning rates.
    table : bool
        Also simulate by table lookup.
    progress : callable, optional
        ``progress(stage, steps_done, steps)``.

    Returns
    -------
    list of Row
        Float, quantised, then one row per simulation, table first.
    """
    from multipliers.registry import create
    from surrogate.nn import ApproxConfig, approximate_, calibrate
    from surrogate.nn.networks import LeNet5
    from surrogate.nn.training import Images, accuracy, train

    budget = budget or Budget()
    images = Images.from_arrays(*data)

    def run(model: Any, stage: str, steps: int, rate: float) -> float:
        advance = None if progress is None else lambda done, total: progress(stage, done, total)
        outcome = train(
            model,
            images,
            steps=steps,
            learning_rate=rate,
            batch_size=budget.batch_size,
            seed=budget.seed,
            progress=advance,
        )
        return outcome.step_time_s

    def test(model: Any) -> float:
        return accuracy(model, images.x_test, images.y_test)

    model = LeNet5.seeded(budget.seed, images.x_train.shape[-1], images.x_train.shape[1], images.n_classes)
    rows = []
    step_time = run(model, "float", budget.float_steps, budget.float_rate)
    final = test(model)
    rows.append(Row("float", "-", True, None, final, final, step_time))

    accurate = ApproxConfig(multiplier=create("exact", multiplier.a, multiplier.b))
    approximate_(model, accurate)
    calibrate(model, [images.x_train[:1024]])
    before = test(model)
    step_time = run(model, "quantised", budget.quantised_steps, budget.quantised_rate)
    final = test(model)
    rows.append(Row("quantised", "-", True, before, final, final, step_time))

    circuit = ApproxConfig(multiplier=multiplier)
    simulations = {"table": ApproxConfig(multiplier=multiplier, backend="table")} if table else {}
    simulations |= {name: ApproxConfig(multiplier=multiplier, surrogate=s) for name, s in surrogates.items()}
    for name, config in simulations.items():
        candidate = copy.deepcopy(model)
        approximate_(candidate, config)  # quantised alike, so the observed ranges stay
        before = test(candidate)
        step_time = run(candidate, name, budget.retraining_steps, budget.retraining_rate)
        final = test(candidate)
        exact = config.surrogate is None or config.surrogate.is_exact
        on_circuit = final
        if not exact:
            approximate_(candidate, circuit)
            on_circuit = test(candidate)
        rows.append(Row("approximate", name, exact, before, final, on_circuit, step_time))
    return rows


def plot_comparison(rows: list[Row], title: str) -> Figure:
    """Draw accuracies before and after retraining, and step times, as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    names = [row.network if row.method == "-" else row.method for row in rows]
    positions = range(len(rows))
    width = 0.38
    for shift, colour, label, values in (
        (-width / 2, "#bbbbbb", "before (re)training", [row.before for row in rows]),
        (width / 2, "#0072b2", "after, on the circuit", [row.on_circuit for row in rows]),
    ):
        places = [(p + shift, 100 * v) for p, v in zip(positions, values, strict=True) if v is not None]
        bars = left.bar([x for x, _ in places], [y for _, y in places], width, color=colour, label=label)
        left.bar_label(bars, fmt="%.1f", fontsize=7)
    left.set_xticks(positions, names, rotation=20, ha="right")
    left.set_ylabel("test accuracy / %")
    left.set_ylim(0, 112)
    left.legend(loc="upper center", ncols=2, fontsize=8, frameon=False)
    bars = right.barh(positions, [1000 * row.step_time_s for row in rows], color="#009e73")
    right.bar_label(bars, fmt="%.1f", fontsize=7)
    right.set_yticks(positions, names)
    right.invert_yaxis()
    right.set_xlabel("median training step / ms")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure
