"""The multiple-choice knapsack: one choice of each group, of least loss, within a budget."""

from __future__ import annotations

import numpy as np

from multipliers.distributions import FloatArray
from multipliers.operands import IntArray
from surrogate.nn.assignment.errors import AssignmentError

SLACK = 1e-9
"""By which a sum of weights may exceed the budget: it is rounded."""

MAX_FRONT = 1 << 14
"""Most partial choices that are kept after a group."""


def choose(losses: FloatArray, weights: FloatArray, budget: float) -> IntArray:
    """Choose one item of each group so that the sum of losses is least and that of weights within the budget.

    Of equal losses the lightest choice is taken.

    Parameters
    ----------
    losses, weights : ndarray of float64, shape (groups, items)
        Losses may be negative, weights not.
    budget : float

    Returns
    -------
    ndarray of int64, shape (groups,)
        The item of each group.

    Raises
    ------
    AssignmentError
        If no choice is within the budget.

    Notes
    -----
    Dynamic programming, group by group, over the partial choices that no other one beats in both sums, as of Nemhauser
    and Ullmann, "Discrete Dynamic Programming and Capital Allocation", Management Science 15(9), 1969. The optimum is
    exact up to `MAX_FRONT` of them; beyond, evenly spaced ones are kept, and the choice is approximate.

    Examples
    --------
    >>> losses = np.array([[0.0, 0.3, 0.5], [0.0, 0.1, 0.2]])
    >>> weights = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    >>> choose(losses, weights, 0.8)
    array([0, 1])
    """
    least = weights.min(axis=1)
    if not budget >= least.sum() - SLACK:  # NaN is refused, too
        raise AssignmentError(f"no choice has weights within {budget}: the least is {least.sum()}")
    n_items = losses.shape[1]
    weight, loss = np.zeros(1), np.zeros(1)
    steps: list[IntArray] = []  # of each partial choice: its predecessor, times n_items, plus its item
    for group in range(len(losses)):
        heavier, later = (np.add.outer(total, new[group]).ravel() for total, new in ((weight, weights), (loss, losses)))
        room = budget + SLACK - least[group + 1 :].sum()
        order = np.lexsort((later, heavier))
        order = order[heavier[order] <= room]
        best_lighter = np.minimum.accumulate(np.r_[np.inf, later[order][:-1]])
        front = order[later[order] < best_lighter]
        if len(front) > MAX_FRONT:
            front = front[np.linspace(0, len(front) - 1, MAX_FRONT).astype(np.int64)]
        weight, loss = heavier[front], later[front]
        steps.append(front)
    chosen = np.zeros(len(losses), np.int64)
    place = int(loss.argmin())
    for group in reversed(range(len(losses))):
        place, chosen[group] = divmod(int(steps[group][place]), n_items)
    return chosen
