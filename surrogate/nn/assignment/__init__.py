"""A multiplier for each layer: the best that an energy budget allows, and configurations in files."""

from surrogate.nn.assignment.assignment import Assignment
from surrogate.nn.assignment.errors import AssignmentError
from surrogate.nn.assignment.search import AssignmentSearch, require_feasible

__all__ = ["Assignment", "AssignmentError", "AssignmentSearch", "require_feasible"]
