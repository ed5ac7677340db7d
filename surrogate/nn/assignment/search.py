"""Which multiplier for which layer, so that accuracy is best within an energy budget.

With ``loss[l, m]`` the predicted loss of accuracy with multiplier ``m`` in layer ``l`` alone, and ``energy[l, m]`` the
energy of the layer's products with it, the choice of least total loss within the budget is a multiple-choice knapsack,
which is solved to the optimum (`surrogate.nn.assignment.knapsack`). Losses of several layers do not just add up, so it
is solved again with the losses of each layer's choices *beside those of the other layers*, as long as the prediction
for the whole network improves. The answer is the best that was met, which need not be the best there is; it is never
predicted to be worse than one multiplier in every layer within the budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from multipliers.distributions import FloatArray
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray
from multipliers.registry import get
from surrogate.nn.assignment.assignment import Assignment
from surrogate.nn.assignment.errors import AssignmentError
from surrogate.nn.assignment.knapsack import SLACK, choose
from surrogate.nn.prediction import AccuracyPredictor, MarginChange
from surrogate.nn.prediction.predictor import tabulated

MOST_ROUNDS = 20
"""How often the program is solved again at most."""


class AssignmentSearch:
    """Assigns multipliers to the layers of one network, for any budget.

    Parameters
    ----------
    predictor : AccuracyPredictor
        Of the network.
    energies : mapping of Multiplier or str to float
        Energy of one product with each candidate, in any unit; at one clock rate for all, their power does. A string
        is a label, such as ``"drum8s_k4"``.
    told : callable, optional
        ``told(done, in_all)``, after the errors of each candidate in each layer are computed.

    Attributes
    ----------
    candidates : tuple of Multiplier
    energy : ndarray of float64, shape (layers, candidates)
        Shares of the energy with the candidate of the most energy in every layer.

    Raises
    ------
    AssignmentError
        If there is no candidate, or an energy is not positive and finite.
    ConversionError
        If operand formats of candidates are not those of the layers.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from surrogate.nn import ApproxConfig, approximate_
    >>> model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
    >>> images = torch.rand(64, 8)
    >>> batches = [(images, model(images).argmax(dim=1))]
    >>> predictor = AccuracyPredictor.measure(model, batches, ApproxConfig(multiplier="exact8s"))
    >>> search = AssignmentSearch(predictor, {"exact8s": 0.425, "trunc8s_t1": 0.301, "trunc8s_t2": 0.2})
    >>> found = search.assign(budget=0.6)
    >>> found.energy <= 0.6
    True
    >>> approximate_(model, found)
    ('0', '2')
    """

    def __init__(
        self,
        predictor: AccuracyPredictor,
        energies: Mapping[Multiplier | str, float],
        told: Callable[[int, int], None] | None = None,
    ) -> None:
        self.predictor = predictor
        self.candidates = tuple(get(m) if isinstance(m, str) else m for m in energies)
        self._energies = dict(zip((m.name for m in self.candidates), energies.values(), strict=True))
        require_feasible(self._energies, 1.0)
        each = np.array([float(energy) for energy in energies.values()])
        products = np.array(list(predictor.n_products.values()))
        self.energy: FloatArray = np.outer(products / products.sum(), each / each.max())
        self._changes: list[list[MarginChange]] = [[] for _ in predictor.layers]
        for done, candidate in enumerate(map(tabulated, self.candidates), 1):
            for changes, layer in zip(self._changes, predictor.layers, strict=True):
                changes.append(predictor.change(layer, candidate))
            if told is not None:
                told(done, len(self.candidates))

    @property
    def least_energy(self) -> float:
        """The least budget that can be met: the candidate of the least energy in every layer."""
        return min(self._energies.values()) / max(self._energies.values())

    def uniform(self, multiplier: Multiplier | str) -> Assignment:
        """Assign one of the candidates to every layer.

        Raises
        ------
        AssignmentError
            If it is none of them.
        """
        name = multiplier if isinstance(multiplier, str) else multiplier.name
        which = [i for i, candidate in enumerate(self.candidates) if candidate.name == name]
        if not which:
            raise AssignmentError(f"{name} is no candidate: {', '.join(c.name for c in self.candidates)}")
        return self._assignment(np.full(len(self._changes), which[0]))

    def assign(self, budget: float) -> Assignment:
        """Find the assignment of the best predicted accuracy within a budget.

        Parameters
        ----------
        budget : float
            Largest energy, as a share of that with the candidate of the most energy in every layer.

        Raises
        ------
        AssignmentError
            If no assignment meets it; the message says what the least energy is.
        """
        require_feasible(self._energies, budget)
        n_layers, n_candidates = self.energy.shape
        starts = [choose(self._losses(None), self.energy, budget)]
        starts += [np.full(n_layers, i) for i in range(n_candidates) if self.energy[:, i].sum() <= budget + SLACK]
        losses = [self._loss(self._total(start)) for start in starts]
        best, loss = starts[int(np.argmin(losses))], min(losses)
        for _ in range(MOST_ROUNDS):
            chosen = choose(self._losses(best), self.energy, budget)
            improved = self._loss(self._total(chosen))
            if improved >= loss:
                break
            best, loss = chosen, improved
        return self._assignment(best)

    def _losses(self, chosen: IntArray | None) -> FloatArray:
        """Predict the loss of each candidate in each layer, alone or beside the chosen ones of the other layers."""
        losses = np.zeros(self.energy.shape)
        others = [self.predictor.nothing] * len(losses)
        if chosen is not None:
            total = self._total(chosen)
            others = [total - changes[i] for changes, i in zip(self._changes, chosen, strict=True)]
        for layer, changes in enumerate(self._changes):
            losses[layer] = [self._loss(others[layer] + change) for change in changes]
        return losses

    def _total(self, chosen: Sequence[int] | IntArray) -> MarginChange:
        return sum((changes[i] for changes, i in zip(self._changes, chosen, strict=True)), self.predictor.nothing)

    def _loss(self, change: MarginChange) -> float:
        return self.predictor.prediction(change).loss

    def _assignment(self, chosen: IntArray) -> Assignment:
        configs = {
            name: replace(config, multiplier=self.candidates[i], surrogate=None, backend="auto")
            for (name, config), i in zip(self.predictor.configs.items(), chosen, strict=True)
        }
        energy = float(self.energy[np.arange(len(chosen)), chosen].sum())
        return Assignment(configs, energy, self.predictor.prediction(self._total(chosen)).accuracy)


def require_feasible(energies: Mapping[str, float], budget: float) -> None:
    """Raise `AssignmentError` if no assignment of some multipliers meets a budget, whatever the network.

    Parameters
    ----------
    energies : mapping of str to float
        Energy of one product with each multiplier, by name.
    budget : float
        As a share of the energy with the multiplier of the most energy in every layer.

    Examples
    --------
    >>> require_feasible({"exact8s": 0.425, "trunc8s_t2": 0.2}, 0.5)
    """
    if not energies:
        raise AssignmentError("there are no candidates; give multipliers and the energy of one product with each")
    for name, energy in energies.items():
        if not (math.isfinite(energy) and energy > 0):
            raise AssignmentError(f"the energy of {name} must be a positive number, got {energy}")
    most, least = (pick(energies, key=energies.__getitem__) for pick in (max, min))
    share = energies[least] / energies[most]
    if not budget >= share - SLACK:  # NaN is refused, too
        raise AssignmentError(
            f"no assignment of these {len(energies)} multipliers meets a budget of {100 * budget:.6g} % of the energy "
            f"with {most} in every layer: the least is {100 * share:.6g} %, with {least} in every layer; raise the "
            f"budget, or add multipliers of less energy"
        )
