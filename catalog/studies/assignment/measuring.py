"""Accuracies of a trained network with multipliers, uniform and assigned to layers: predicted, and measured."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from catalog.studies.assignment.ranking import naive_predictors
from catalog.studies.baseline import trained_network
from catalog.studies.identity import operands_of, short_fingerprint
from catalog.studies.retraining.stages import accurate_config
from multipliers.multiplier import MAX_TABLE_ENTRIES

if TYPE_CHECKING:
    from catalog.studies.assignment.candidates import Candidate
    from catalog.studies.study import Row, Study, Told
    from multipliers.multiplier import Multiplier
    from surrogate.nn import ApproxConfig
    from surrogate.nn.assignment import Assignment, AssignmentSearch
    from surrogate.nn.prediction import AccuracyPredictor
    from surrogate.nn.training import Images, Recipe

_BATCH = 64


class LayerStudy:
    """Measurements of one network, kept in a study's folder.

    The network is trained in float, its batch norms are folded, and it is quantised per channel to the operands of the
    candidates. Predictions rest on the first training images alone, measurements on the test images.

    Parameters
    ----------
    study : Study
    images : Images
    network : str
        As `surrogate.nn.networks.create_network` takes it.
    recipe : Recipe
        Of the float training.
    candidates : iterable of Candidate
        Of one pair of operand formats.
    calibration : int
        Training images that ranges and predictions rest on, and corrections.
    corrected : bool
        Predict and measure networks whose biases are corrected for the mean errors (`surrogate.nn.correct_`).
    told : callable, optional
        ``told(stage, done, total)``.

    Raises
    ------
    ParameterError
        If there is no candidate, or two are of different formats or of one name.
    """

    def __init__(
        self,
        study: Study,
        images: Images,
        network: str,
        recipe: Recipe,
        candidates: Iterable[Candidate],
        calibration: int = 1024,
        corrected: bool = False,
        told: Told | None = None,
    ) -> None:
        self.study, self.images, self.network, self.recipe = study, images, network, recipe
        self.candidates = _checked(candidates)
        self.calibration, self.corrected, self._told = calibration, corrected, told

    @property
    def energies(self) -> dict[Multiplier | str, float]:
        """Energies of the candidates that can be assigned."""
        return {c.multiplier: c.energy for c in self.candidates if c.energy is not None}

    @cached_property
    def model(self) -> Any:
        """The network, quantised to the candidates' operands, with accurate products."""
        from surrogate.nn import approximate_, calibrate, fold_batch_norm_

        model = copy.deepcopy(self._float_network)
        fold_batch_norm_(model)
        first = self.candidates[0].multiplier
        approximate_(model, accurate_config(first.a, first.b))
        calibrate(model, [x for x, _ in self._batches])
        return model

    @cached_property
    def predictor(self) -> AccuracyPredictor:
        """What predictions rest on."""
        from surrogate.nn.prediction import AccuracyPredictor

        n_batches = len(self._batches)
        return AccuracyPredictor.measure(
            self.model,
            self._batches,
            corrected=self.corrected,
            progress=lambda done: self._tell("sensitivities", done, n_batches),
        )

    @cached_property
    def search(self) -> AssignmentSearch:
        """The search for assignments of the candidates of known energy."""
        from surrogate.nn.assignment import AssignmentSearch

        return AssignmentSearch(
            self.predictor, self.energies, told=lambda done, in_all: self._tell("candidates", done, in_all)
        )

    def baselines(self) -> dict[str, float]:
        """Measure the accuracy in float, and with accurate products of quantised operands."""
        found = {}
        for name in ("float", "quantised"):
            compute = partial(self._baseline, name)
            found[name] = self.study.cell({"kind": "baseline", "multiplier": name}, compute)["measured"]
        return found

    def rank(self) -> list[Row]:
        """Predict and measure the accuracy with each candidate in every layer; rows by descending prediction."""
        rows = []
        for done, candidate in enumerate(self.candidates):
            self._tell(f"every layer: {candidate.name}", done, len(self.candidates))
            row = self.study.cell(self._key("uniform", candidate), partial(self._uniform, candidate))
            rows.append(row | {"energy": candidate.energy})
        return sorted(rows, key=lambda row: -row["predicted"])

    def retrained(
        self, steps: int, learning_rate: float, names: Iterable[str] | None = None
    ) -> dict[str, float | None]:
        """Measure the accuracy with candidates in every layer after brief retraining, by name; None if it diverges.

        Parameters
        ----------
        steps : int
            Batches of 64.
        learning_rate : float
            At the first step; it decays to 0.
        names : iterable of str, optional
            Of which candidates; all by default.
        """
        wanted = None if names is None else set(names)
        chosen = [c for c in self.candidates if wanted is None or c.name in wanted]
        found = {}
        for done, candidate in enumerate(chosen):
            self._tell(f"retraining: {candidate.name}", done, len(chosen))
            key = {**self._key("retrained", candidate), "steps": steps, "learning_rate": learning_rate}
            compute = partial(self._retrained, candidate, steps, learning_rate)
            found[candidate.name] = self.study.cell(key, compute)["measured"]
        return found

    def assign(self, budgets: Sequence[float]) -> list[Row]:
        """Find and measure the assignment for each budget, and write it to ``assignment_NN.json`` in the folder.

        Parameters
        ----------
        budgets : sequence of float
            Shares of the energy with the candidate of the most energy in every layer.

        Raises
        ------
        AssignmentError
            If no assignment meets a budget (`surrogate.nn.assignment.require_feasible` tells before training, too).
        """
        rows = []
        for done, budget in enumerate(sorted(budgets, reverse=True)):
            self._tell(f"budget {100 * budget:g} %", done, len(budgets))
            row = self.study.cell({"kind": "assigned", "budget": budget}, partial(self._assigned, budget))
            rows.append(row)
        return rows

    def _baseline(self, name: str) -> Row:
        return {"measured": self._accuracy(self._float_network if name == "float" else self.model)}

    def _uniform(self, candidate: Candidate) -> Row:
        from multipliers.distributions import OperandDistributions

        multiplier = candidate.multiplier
        operands = OperandDistributions.merged(self.predictor.distributions.values())
        return {
            "predicted": self.predictor.predict(multiplier).accuracy,
            "measured": self._accuracy(self._with(multiplier)),
            **naive_predictors(multiplier, operands),
        }

    def _retrained(self, candidate: Candidate, steps: int, learning_rate: float) -> Row:
        from surrogate.nn.errors import QuantisationError
        from surrogate.nn.training import train

        model = self._with(candidate.multiplier)
        seed = self.recipe.seed
        try:
            train(model, self.images, steps=steps, learning_rate=learning_rate, batch_size=_BATCH, seed=seed)
        except QuantisationError:  # of weights that are no longer finite
            return {"measured": None}
        return {"measured": self._accuracy(model)}

    def _assigned(self, budget: float) -> Row:
        found = self.search.assign(budget)
        found.save(self.study.folder / f"assignment_{100 * budget:g}.json")
        return {
            "energy": found.energy,
            "predicted": found.predicted_accuracy,
            "measured": self._accuracy(self._approximate(found)),
            "layers": " ".join(f"{layer}={name}" for layer, name in found.multipliers.items()),
        }

    def _with(self, multiplier: Multiplier) -> Any:
        """Return the network with a multiplier in every layer."""
        from surrogate.nn import ApproxConfig

        backend = "table" if multiplier.n_pairs <= MAX_TABLE_ENTRIES else "auto"
        return self._approximate(ApproxConfig(multiplier=multiplier, backend=backend))

    def _approximate(self, config: ApproxConfig | Assignment) -> Any:
        from surrogate.nn import approximate_, correct_

        model = copy.deepcopy(self.model)
        approximate_(model, config)
        if self.corrected:
            correct_(model, [x for x, _ in self._batches], "bias")
        return model

    def _accuracy(self, model: Any) -> float:
        from surrogate.nn.training import accuracy

        return accuracy(model, self.images.x_test, self.images.y_test)

    @cached_property
    def _float_network(self) -> Any:
        return trained_network(self.study, self.network, self.images, self.recipe, self._told)

    @cached_property
    def _batches(self) -> list[tuple[Any, Any]]:
        x, y = self.images.x_train, self.images.y_train
        ends = range(0, min(self.calibration, len(y)), _BATCH)
        return [(x[i : i + _BATCH], y[i : i + _BATCH]) for i in ends]

    def _key(self, kind: str, candidate: Candidate) -> Row:
        return {"kind": kind, "multiplier": candidate.name, "fingerprint": short_fingerprint(candidate.multiplier)}

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self._told is not None:
            self._told(stage, done, total)


def _checked(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    from multipliers.errors import ParameterError

    found = tuple(candidates)
    if not found:
        raise ParameterError("there is no multiplier to rank; name some, or take operand formats of which there are")
    first, names = found[0].multiplier, set()
    for candidate in found:
        m = candidate.multiplier
        if (m.a, m.b) != (first.a, first.b):
            raise ParameterError(
                f"{m.name} multiplies {operands_of(m)} operands, and {first.name} {operands_of(first)}; a network is "
                f"quantised to those of one pair of formats: rank the others by themselves"
            )
        if m.name in names:
            raise ParameterError(f"two multipliers are called {m.name}; rename one")
        names.add(m.name)
    return found
