"""Separable models of multipliers: found, certified, serialised, and brought into training.

Loading and evaluating a surrogate needs NumPy only; `discover` loads scikit-learn and python-flint when called, and
`surrogate.nn` is the only home of torch.
"""

from surrogate.arithmetic import ARITHMETICS, FactorReport, exact_lengths, longest_exact_dot_product
from surrogate.certificate import Certificate
from surrogate.certify import certify
from surrogate.cost import CostModel
from surrogate.errors import (
    CheckpointError,
    ExactnessError,
    FitError,
    OracleError,
    SurrogateError,
    SurrogateFileError,
)
from surrogate.factors import Factors
from surrogate.fit import (
    METHODS,
    Candidate,
    Explanation,
    Front,
    Objective,
    Selection,
    discover,
    explain,
    front,
    select,
)
from surrogate.io import dumps, load, loads, save
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term

__all__ = [
    "ARITHMETICS",
    "METHODS",
    "Candidate",
    "Certificate",
    "CheckpointError",
    "CostModel",
    "ExactnessError",
    "Explanation",
    "FactorReport",
    "Factors",
    "FitError",
    "Front",
    "MultiplierReference",
    "Objective",
    "OracleError",
    "Provenance",
    "Selection",
    "Surrogate",
    "SurrogateError",
    "SurrogateFileError",
    "Term",
    "certify",
    "discover",
    "dumps",
    "exact_lengths",
    "explain",
    "front",
    "load",
    "loads",
    "longest_exact_dot_product",
    "save",
    "select",
]
