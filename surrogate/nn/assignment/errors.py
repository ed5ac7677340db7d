"""Errors of assignments."""


class AssignmentError(ValueError):
    """A budget that no assignment meets, or a file that holds none; the message says what to do."""
