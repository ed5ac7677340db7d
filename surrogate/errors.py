"""Errors of surrogates; each names the value, what was expected, and what to do."""

from __future__ import annotations


class SurrogateError(ValueError):
    """A surrogate, term or basis function is malformed."""


class SurrogateFileError(ValueError):
    """A file is not a surrogate that this version can read."""


class FitError(ValueError):
    """A surrogate of the requested kind cannot be found."""


class ExactnessError(ArithmeticError):
    """A sum could be rounded or overflow in every available arithmetic."""
