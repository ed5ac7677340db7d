"""What is wrong, or merely unsaid, in a table of products that comes from elsewhere."""

from multipliers.lint.candidates import Candidate, clearly_best, rank_layouts
from multipliers.lint.findings import Finding, Severity
from multipliers.lint.quadrants import Quadrant
from multipliers.lint.table import Lint, lint_table

__all__ = ["Candidate", "Finding", "Lint", "Quadrant", "Severity", "clearly_best", "lint_table", "rank_layouts"]
