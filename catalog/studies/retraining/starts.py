"""What retraining starts from: float networks, and quantised ones for each format of operands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.studies.baseline import trained_network
from catalog.studies.identity import operands_of
from catalog.studies.retraining.stages import Progress, Stages, accurate_config, quantise
from catalog.studies.study import Row, Study, Told

if TYPE_CHECKING:
    from multipliers.multiplier import Multiplier
    from surrogate.nn.training import Images


class Starts:
    """Float and quantised networks of a study: trained or read when they are needed, resumed where interrupted.

    Parameters
    ----------
    study : Study
    network : str
        As `surrogate.nn.networks.create_network` takes it.
    images : Images
    stages : Stages
        Their seeds are replaced.
    told : callable, optional
        ``told(stage, steps_done, steps)``.
    """

    def __init__(self, study: Study, network: str, images: Images, stages: Stages, told: Told | None) -> None:
        self.study, self.network, self.images, self.stages, self.told = study, network, images, stages, told
        self._quantised: dict[tuple[str, int], Any] = {}

    def floating(self, seed: int) -> Any:
        """Return the float network."""
        return trained_network(self.study, self.network, self.images, self.stages.seeded(seed).floating, self.told)

    def quantised(self, multiplier: Multiplier, seed: int) -> Any:
        """Return the network trained with accurate products of a multiplier's operands; it is not to be changed."""
        key = operands_of(multiplier), seed
        if key not in self._quantised:
            self._quantised[key] = self._train(multiplier, seed)
        return self._quantised[key]

    def _train(self, multiplier: Multiplier, seed: int) -> Any:
        from surrogate.nn.training import Training

        operands, model = operands_of(multiplier), self.floating(seed)
        quantise(model, accurate_config(multiplier.a, multiplier.b), self.images)
        path = self.study.checkpoint(f"{self.network}_seed{seed}_{operands.replace(' ', '')}")
        advance = self.advance(f"{self.network}, seed {seed}: quantised to {operands}")
        Training(model, self.images, self.stages.seeded(seed).quantised).run(advance, path)
        return model.eval()

    def accuracy_in_float(self, seed: int) -> Row:
        """Return the row of the float network."""
        return self._row("float", "float", seed, lambda: self.floating(seed))

    def accuracy_quantised(self, multiplier: Multiplier, seed: int) -> Row:
        """Return the row of the quantised network, with accurate products."""
        return self._row("quantised", operands_of(multiplier), seed, lambda: self.quantised(multiplier, seed))

    def _row(self, method: str, operands: str, seed: int, model: Any) -> Row:
        from surrogate.nn.training import accuracy

        key = {"multiplier": "-", "fingerprint": "-", "operands": operands, "method": method, "seed": seed}
        images = self.images
        return self.study.cell(key, lambda: {"simulated": accuracy(model(), images.x_test, images.y_test)})

    def advance(self, stage: str) -> Progress | None:
        """Return what is told of the steps of a stage."""
        told = self.told
        return None if told is None else lambda done, steps: told(stage, done, steps)
