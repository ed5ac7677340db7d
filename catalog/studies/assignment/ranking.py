"""What ranks multipliers, compared: the prediction, and the error metrics that are used in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from catalog.studies.assignment.correlation import rank_correlation
from multipliers.metrics import error_metrics

if TYPE_CHECKING:
    from multipliers.distributions import OperandDistributions
    from multipliers.multiplier import Multiplier

PREDICTORS = {
    "predicted": "predicted accuracy",
    "mre": "MRE",
    "mae": "MAE",
    "mse": "MSE",
    "mean_error": "magnitude of the mean error",
    "weighted_mre": "MRE, weighted by the network's operands",
    "weighted_mse": "MSE, weighted by the network's operands",
    "weighted_mean_error": "magnitude of the mean error, weighted by the network's operands",
}
"""Columns of the ranking that rank multipliers, and what they are; all but the first the less the better."""


def naive_predictors(multiplier: Multiplier, weights: OperandDistributions) -> dict[str, float]:
    """Measure the error metrics that rank multipliers without a network, or with nothing of it but its operands."""
    plain = error_metrics(multiplier)
    weighted = error_metrics(multiplier, weights.weights_a, weights.weights_b)
    return {
        "mre": plain.mre,
        "mae": plain.mae,
        "mse": plain.mse,
        "mean_error": plain.mean_error,
        "weighted_mre": weighted.mre,
        "weighted_mse": weighted.mse,
        "weighted_mean_error": weighted.mean_error,
    }


def correlations(rows: Iterable[Mapping[str, Any]], against: str = "measured") -> list[dict[str, Any]]:
    """Correlate the ranks by each of `PREDICTORS` with those by measured accuracy.

    Parameters
    ----------
    rows : iterable of dict
        Of multipliers, as `LayerStudy.rank` returns them.
    against : str
        Column of the accuracy to correlate with; rows in which it is None are left out, and at least 3 must remain.

    Returns
    -------
    list of dict
        A row for each predictor: ``against``, ``predictor``, ``rho``, ``low``, ``high``, ``n``; positive where it
        ranks rightly.
    """
    rows = [row for row in rows if row[against] is not None]
    accuracies = [row[against] for row in rows]
    found = []
    for column in PREDICTORS:
        values = [row[column] if column == "predicted" else -abs(row[column]) for row in rows]
        correlation = rank_correlation(values, accuracies).to_dict()
        found.append({"against": against, "predictor": column, **correlation})
    return found
