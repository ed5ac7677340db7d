"""Retraining with an approximate multiplier: how faithful, and how fast, the ways of simulating it are.

A network is trained in float, then quantised, then retrained with the multiplier, simulated in several ways from the
same start with the same batches; what comes out is tested on the circuit itself, bit for bit. After Trommer, Waschneck,
Kumar, "Fast Retraining of Approximate CNNs for High Accuracy".
"""

from catalog.studies.retraining.comparison import Row, compare_retraining
from catalog.studies.retraining.fidelity import DEFAULT_METHODS, DEFAULT_MULTIPLIERS, Fidelity, retraining_fidelity
from catalog.studies.retraining.figures import plot_comparison, plot_fidelity
from catalog.studies.retraining.simulations import Simulation, Simulations
from catalog.studies.retraining.stages import Retrained, Stages, quantise, retrain

__all__ = [
    "DEFAULT_METHODS",
    "DEFAULT_MULTIPLIERS",
    "Fidelity",
    "Retrained",
    "Row",
    "Simulation",
    "Simulations",
    "Stages",
    "compare_retraining",
    "plot_comparison",
    "plot_fidelity",
    "quantise",
    "retrain",
    "retraining_fidelity",
]
