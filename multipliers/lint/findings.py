"""What a lint says, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that `lint_table` has to say.

    Attributes
    ----------
    severity : {"info", "warning", "error"}
        ``"info"``: good to know. ``"warning"``: look at it before you trust the table. ``"error"``: read as it claims
        to be, the table is wrong.
    code : str
        ``"range"``, ``"layout"``, ``"overflow"``, ``"saturation"``, ``"quadrant"``, ``"axes"``, ``"reference"`` or
        ``"known"``.
    message : str
        A plain sentence with the numbers.
    """

    severity: Severity
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity} ({self.code}): {self.message}"
