"""The study: many multipliers, every method, several seeds; how far each method is from behavioural simulation.

Fidelity is the mean, over multipliers and seeds, of the absolute difference between the accuracy that a method leads to
and the accuracy that behavioural simulation leads to, in percentage points, from the same start with the same batches.
Two differences are told apart, because either is what a user may rely on:

* *as simulated*: what the method itself says the retrained network's accuracy is;
* *on the circuit*: what the network that was retrained by the method achieves, every product being the multiplier's.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.studies.identity import DIGITS, operands_of, short_fingerprint
from catalog.studies.retraining.simulations import Simulations, check_methods
from catalog.studies.retraining.stages import Stages, retrain
from catalog.studies.retraining.starts import Starts
from catalog.studies.study import Row, Study, Told

if TYPE_CHECKING:
    from multipliers.multiplier import Multiplier
    from surrogate.nn.training import Images

DEFAULT_METHODS = ("none", "behavioural", "exact", "htp", "lowrank2", "linear", "noise")
"""See `catalog.studies.retraining.simulations`."""

DEFAULT_MULTIPLIERS = ("bam8s_h3v7", "drum8s_k4", "mitchw8s_w4c2", "trunc8s_t3")
"""Of the catalog, for those who bring none of their own."""


@dataclass(frozen=True)
class Fidelity:
    """What the study found, as tidy tables.

    Attributes
    ----------
    rows : list of dict
        An observation a row: multiplier, method, seed; accuracies, and differences to behavioural in points.
    step_times : list of dict
        Multiplier, method; time of a training step, and its ratio to the float network's.
    summary : list of dict
        Operands, method; means over multipliers and seeds.
    """

    rows: list[Row]
    step_times: list[Row]
    summary: list[Row]


def retraining_fidelity(
    study: Study,
    multipliers: Sequence[Multiplier],
    network: str,
    images: Images,
    stages: Stages,
    *,
    methods: Iterable[str] = DEFAULT_METHODS,
    seeds: Sequence[int] = (0,),
    told: Told | None = None,
) -> Fidelity:
    """Retrain a network with every multiplier by every method, and compare with behavioural simulation.

    Parameters
    ----------
    study : Study
        Where measurements are kept, and resumed from.
    multipliers : sequence of Multiplier
        Of different names.
    network : str
        As `surrogate.nn.networks.create_network` takes it.
    images : Images
    stages : Stages
        Their seeds are replaced.
    methods : iterable of str
        See `catalog.studies.retraining.simulations`. Behavioural simulation is always one; for operands of more than
        8 bits an exact surrogate that is proven on every pair of operands takes its place.
    seeds : sequence of int
        Each is a repetition: initial weights, batches and random errors.
    told : callable, optional
        ``told(stage, steps_done, steps)``.

    Returns
    -------
    Fidelity

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ValueError
        If two multipliers have one name.
    NetworkError, CheckpointError
        As `catalog.studies.baseline.trained_network`.
    """
    methods = check_methods(methods)
    names = [multiplier.name for multiplier in multipliers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several multipliers are called {', '.join(twice)}; names tell the rows apart")
    starts = Starts(study, network, images, stages, told)
    operands = {operands_of(multiplier): multiplier for multiplier in multipliers}
    accurate = [starts.accuracy_in_float(seed) for seed in seeds]
    accurate += [starts.accuracy_quantised(one, seed) for one in operands.values() for seed in seeds]
    rows: list[Row] = []
    times: list[Row] = []
    for multiplier in multipliers:
        simulations = Simulations(multiplier)
        available = simulations.available(methods)
        for seed in seeds:
            found = {method: _retrained(simulations, method, seed, starts) for method in available}
            reference = found[simulations.reference]
            rows += [row | _differences(row, reference) for row in found.values()]
        times += _step_times(simulations, available, starts, seeds[0])
    return Fidelity([*accurate, *rows], times, _summary(rows, times))


def _retrained(simulations: Simulations, method: str, seed: int, starts: Starts) -> Row:
    multiplier = simulations.multiplier

    def compute() -> Row:
        model, simulation = starts.quantised(multiplier, seed), simulations.of(method)
        recipe = starts.stages.seeded(seed).approximate
        advance = starts.advance(f"{multiplier.name}, seed {seed}: {method}")
        done = retrain(model, simulation, simulations.circuit, starts.images, recipe, advance).to_dict()
        return {"exact": simulation.exact, **done, "weights": done["weights"][:DIGITS]}

    return starts.study.cell({**_identity(multiplier), "method": method, "seed": seed}, compute)


def _identity(multiplier: Multiplier) -> Row:
    return {
        "multiplier": multiplier.name,
        "fingerprint": short_fingerprint(multiplier),
        "operands": operands_of(multiplier),
    }


def _differences(row: Row, reference: Row) -> Row:
    """Differences to the reference in percentage points, and whether all weights are its weights."""
    return {
        "difference_simulated": 100 * abs(row["simulated"] - reference["simulated"]),
        "difference_on_circuit": 100 * abs(row["on_circuit"] - reference["on_circuit"]),
        "same_weights": row["weights"] == reference["weights"],
    }


def _step_times(simulations: Simulations, methods: tuple[str, ...], starts: Starts, seed: int) -> list[Row]:
    """Measure training steps of the float network and of all methods, taking turns."""
    from surrogate.nn import approximate_, approximate_layers
    from surrogate.nn.training import step_times

    multiplier = simulations.multiplier

    def compute() -> Row:
        models = {"float": starts.floating(seed)}
        for method in methods:
            simulation = simulations.of(method)
            models[method] = copy.deepcopy(starts.quantised(multiplier, seed))
            approximate_(models[method], simulation.config)
            for _, layer in approximate_layers(models[method]):
                layer.mode = simulation.mode
        return step_times(models, starts.images, batch_size=starts.stages.approximate.batch_size)

    found = starts.study.cell({**_identity(multiplier), "step_times_of": list(methods)}, compute)
    return [
        {
            **_identity(multiplier),
            "method": method,
            "step_time_s": found[method],
            "ratio_to_float": found[method] / found["float"],
        }
        for method in ("float", *methods)
    ]


def _summary(rows: list[Row], times: list[Row]) -> list[Row]:
    """Summarise by operands and method."""
    found = []
    for operands, method in dict.fromkeys((row["operands"], row["method"]) for row in rows):
        of_method = [row for row in rows if (row["operands"], row["method"]) == (operands, method)]
        ratios = [time["ratio_to_float"] for time in times if (time["operands"], time["method"]) == (operands, method)]
        found.append(
            {
                "operands": operands,
                "method": method,
                "multipliers": len({row["multiplier"] for row in of_method}),
                "seeds": len({row["seed"] for row in of_method}),
                "before": statistics.fmean(row["before"] for row in of_method),
                "simulated": statistics.fmean(row["simulated"] for row in of_method),
                "on_circuit": statistics.fmean(row["on_circuit"] for row in of_method),
                "difference_simulated": statistics.fmean(row["difference_simulated"] for row in of_method),
                "difference_on_circuit": statistics.fmean(row["difference_on_circuit"] for row in of_method),
                "largest_difference": max(row["difference_on_circuit"] for row in of_method),
                "same_weights": sum(row["same_weights"] for row in of_method),
                "ratio_to_float": statistics.median(ratios),
            }
        )
    return found
