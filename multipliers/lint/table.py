"""The whole examination of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from multipliers.errors import ParameterError, TableError
from multipliers.lint.candidates import (
    CLEARLY_BEST,
    Candidate,
    clearly_best,
    layout_findings,
    plausible_layouts,
    rank_layouts,
)
from multipliers.lint.findings import Finding
from multipliers.lint.identity import axis_findings, known_findings, reference_findings
from multipliers.lint.quadrants import Quadrant, find_quadrants, quadrant_findings
from multipliers.lint.results import range_findings
from multipliers.multiplier import Multiplier
from multipliers.operands import OperandFormat
from multipliers.readers.layout import Layout
from multipliers.table import TableMultiplier, integer_table


@dataclass(frozen=True)
class Lint:
    """What `lint_table` found.

    Attributes
    ----------
    shape : tuple of int
    minimum, maximum : int
        Smallest and largest stored value.
    candidates : tuple of Candidate
        Every layout that was tried, best first.
    layout : Layout or None
        The layout that was claimed, else the clearly best one, else None.
    quadrants : tuple of Quadrant
        The four, for two signed operands; else empty.
    findings : tuple of Finding
    """

    shape: tuple[int, int]
    minimum: int
    maximum: int
    candidates: tuple[Candidate, ...]
    layout: Layout | None
    quadrants: tuple[Quadrant, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return all(f.severity == "info" for f in self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings of severity ``"error"``."""
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings of severity ``"warning"``."""
        return tuple(f for f in self.findings if f.severity == "warning")

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def lint_table(
    table: ArrayLike,
    a: OperandFormat | str | None = None,
    b: OperandFormat | str | None = None,
    *,
    layout: Layout | None = None,
    reference: Multiplier | None = None,
    known: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Lint:
    """Examine a table of products from elsewhere.

    Parameters
    ----------
    table : array_like of int, shape (2**n, 2**m)
        The table as it was found.
    a, b : OperandFormat or str, optional
        What the table claims to be: row = ``a``, column = ``b``, natural order. ``b`` defaults to ``a``.
    layout : Layout, optional
        What it claims to be, in full; instead of ``a`` and ``b``.
    reference : Multiplier, optional
        The circuit that the table should be; differing entries are counted, by quadrant for signed operands.
    known : mapping of str to str, optional
        Fingerprint (`Multiplier.fingerprint`) to name, of circuits that are known.
    name : str, optional
        Name under which the table came. A different circuit of the same name in ``known`` is reported: names are not
        identities (EvoApproxLib has used one name for two circuits in two releases).

    Returns
    -------
    Lint
        Findings on: the range of values; the layout that fits (signs, order of values, coding of results), and how
        clearly; unsigned products that overflowed a signed field, or were clipped to it; quadrants with wrong signs,
        copied from another quadrant or far less accurate than the others; whether exchanging the axes would matter;
        differences from the reference; known fingerprints.

    Raises
    ------
    TableError
        If the array is not a two-dimensional table of integers with powers of two as its shape, or not of the claimed
        shape in either orientation.
    ParameterError
        If ``layout`` is given together with ``a`` or ``b``, or ``b`` without ``a``.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.r_[0:128, -128:0]
    >>> lint = lint_table(np.outer(codes, codes))
    >>> print(lint.candidates[0])
    8s x 8s in codes order (0 .. 127, -128 .. -1): residual 0.0%
    >>> print(lint_table(np.outer(codes, codes), "8s").errors[0])
    error (layout): the table is not 8s x 8s in natural order (-128 .. 127), at ... of the products' norm, but
    8s x 8s in codes order (0 .. 127, -128 .. -1), at 0.0%
    """
    stored = integer_table(table)
    shape = (stored.shape[0], stored.shape[1])
    claim = _claim(shape, a, b, layout)
    candidates = rank_layouts(stored, plausible_layouts(stored, shape, claim))
    candidates = tuple(
        c for c in candidates if c.layout.result == "plain" or c.layout == claim or c.residual <= CLEARLY_BEST
    )
    low, high = int(stored.min()), int(stored.max())
    clear = clearly_best(candidates)
    chosen = claim or (clear.layout if clear else None)
    findings = [Finding("info", "range", f"values run from {low} to {high}")]
    findings += layout_findings(candidates, claim)
    quadrants: tuple[Quadrant, ...] = ()
    if chosen is not None:
        multiplier = TableMultiplier(chosen.decode(stored), chosen.a, chosen.b, name=name or "table")
        findings += range_findings(multiplier, stored)
        if chosen.a.signed and chosen.b.signed:
            quadrants = find_quadrants(multiplier)
            findings += quadrant_findings(multiplier, quadrants)
        findings += axis_findings(multiplier)
        if reference is not None:
            findings += reference_findings(multiplier, reference)
        if known is not None:
            findings += known_findings(multiplier, known, name)
    return Lint(shape, low, high, candidates, chosen, quadrants, tuple(findings))


def _claim(
    shape: tuple[int, int], a: OperandFormat | str | None, b: OperandFormat | str | None, layout: Layout | None
) -> Layout | None:
    if layout is not None and (a is not None or b is not None):
        raise ParameterError("pass either layout= or the formats a= and b=, not both")
    if a is None and b is not None:
        raise ParameterError(f"operand format b={b!s} is given without a; give both, or neither")
    if a is not None:
        first = OperandFormat.parse(a) if isinstance(a, str) else a
        second = first if b is None else OperandFormat.parse(b) if isinstance(b, str) else b
        layout = Layout(first, second)
        if layout.shape != shape == layout.shape[::-1]:
            layout = Layout(first, second, transposed=True)
    if layout is not None and layout.shape != shape:
        raise TableError(f"the table has shape {shape}, but {layout} needs {layout.shape}")
    return layout
