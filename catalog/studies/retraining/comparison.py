"""One multiplier, one network: LeNet-5, float, quantised, then retrained by given surrogates of the multiplier."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from catalog.studies.retraining.stages import Stages, accurate_config, quantise, retrain, run

if TYPE_CHECKING:
    from catalog.datasets import ImageArrays
    from catalog.studies.study import Told
    from multipliers.multiplier import Multiplier
    from surrogate.model import Surrogate


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
    stages: Stages | None = None,
    *,
    table: bool = True,
    progress: Told | None = None,
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
    stages : Stages, optional
        How it is trained; by default 600 steps in float and 200 at each later stage.
    table : bool
        Also simulate by table lookup.
    progress : callable, optional
        ``progress(stage, steps_done, steps)``.

    Returns
    -------
    list of Row
        Float, quantised, then one row per simulation, table first.
    """
    from catalog.studies.retraining.simulations import Simulation
    from surrogate.nn import ApproxConfig
    from surrogate.nn.networks import create_network
    from surrogate.nn.training import Images, accuracy

    stages = stages or Stages.of_steps(600)
    images = Images.from_arrays(*data)

    def advance(stage: str) -> Any:
        return None if progress is None else lambda done, steps: progress(stage, done, steps)

    def test() -> float:
        return accuracy(model, images.x_test, images.y_test)

    _, channels, height, width = images.x_train.shape
    model = create_network("lenet5", (channels, height, width), images.n_classes, stages.floating.seed)
    step_time = run(model, images, stages.floating, advance("float"))
    rows = [Row("float", "-", True, None, test(), test(), step_time)]

    quantise(model, accurate_config(multiplier.a, multiplier.b), images)
    before = test()
    step_time = run(model, images, stages.quantised, advance("quantised"))
    rows.append(Row("quantised", "-", True, before, test(), test(), step_time))

    circuit = Simulation("circuit", ApproxConfig(multiplier=multiplier))
    configs = {"table": ApproxConfig(multiplier=multiplier, backend="table")} if table else {}
    configs |= {name: ApproxConfig(multiplier=multiplier, surrogate=s) for name, s in surrogates.items()}
    for name, config in configs.items():
        simulation = Simulation(name, config)
        done = retrain(model, simulation, circuit, images, stages.approximate, advance(name))
        rows.append(
            Row("approximate", name, simulation.exact, done.before, done.simulated, done.on_circuit, done.step_time_s)
        )
    return rows
