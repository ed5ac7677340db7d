"""Which multiplier for which layer: accuracy predicted from error moments, and assignments within energy budgets."""

from catalog.studies.assignment.candidates import Candidate, catalog_candidates, read_energies, with_energies
from catalog.studies.assignment.correlation import RankCorrelation, rank_correlation
from catalog.studies.assignment.figures import plot_front, plot_ranking
from catalog.studies.assignment.measuring import LayerStudy
from catalog.studies.assignment.ranking import PREDICTORS, correlations

__all__ = [
    "PREDICTORS",
    "Candidate",
    "LayerStudy",
    "RankCorrelation",
    "catalog_candidates",
    "correlations",
    "plot_front",
    "plot_ranking",
    "rank_correlation",
    "read_energies",
    "with_energies",
]
