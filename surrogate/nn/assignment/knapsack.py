"""The multiple-choice knapsack: one choice of each group, of least loss, within a budget."""

from __future__ import annotations

import numpy as np

from multipliers.distributions import FloatArray
from multipliers.operands import IntArray
from surrogate.nn.assignment.errors import AssignmentError

SLACK = 1e-9
"""By which a sum of weights may exceed the budget: it is rounded."""

_TIE = 1e-5
"""Weight of the weights beside the losses: of equal losses the lighter choice is taken."""


def choose(losses: FloatArray, weights: FloatArray, budget: float) -> IntArray:
    """Choose one item of each group so that the sum of losses is least and that of weights within the budget.

    Solved to the optimum as an integer program (HiGHS, by `scipy.optimize.milp`).

    Parameters
    ----------
    losses, weights : ndarray of float64, shape (groups, items)
        Of the order of 1; losses may be negative.
    budget : float

    Returns
    -------
    ndarray of int64, shape (groups,)
        The item of each group.

    Raises
    ------
    AssignmentError
        If no choice is within the budget.

    Examples
    --------
    >>> losses = np.array([[0.0, 0.3, 0.5], [0.0, 0.1, 0.2]])
    >>> weights = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    >>> choose(losses, weights, 0.8)
    array([0, 1])
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    least = float(weights.min(axis=1).sum())
    if not budget >= least - SLACK:  # NaN is refused, too
        raise AssignmentError(f"no choice has weights within {budget}: the least is {least}")
    n_groups, n_items = losses.shape
    found = milp(
        (losses + _TIE * weights).ravel(),
        integrality=np.ones(losses.size),
        bounds=Bounds(0, 1),
        constraints=(
            LinearConstraint(np.kron(np.eye(n_groups), np.ones(n_items)), 1, 1),
            LinearConstraint(weights.reshape(1, -1), -np.inf, budget + SLACK),
        ),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        raise AssignmentError(f"the integer program was not solved: {found.message}")
    return np.asarray(found.x.reshape(losses.shape).argmax(axis=1))
