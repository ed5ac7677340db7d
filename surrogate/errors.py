"""Errors of surrogates; each names the value, what was expected, and what to do."""

from __future__ import annotations


class SurrogateError(ValueError):
    """A surrogate, term or basis function is malformed."""


class SurrogateFileError(ValueError):
    """A file is not a surrogate that this version can read."""


class FitError(ValueError):
    """A surrogate of the requested kind cannot be found."""


class OracleError(SurrogateError, FitError):
    """A multiplier raises, or gives other products when it is asked again: no surrogate can stand for it."""


class CheckpointError(SurrogateError):
    """A checkpoint is damaged, or belongs to another certification."""


class ExactnessError(ArithmeticError):
    """A sum could be rounded or overflow in every available arithmetic."""
