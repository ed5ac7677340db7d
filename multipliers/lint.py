"""What is wrong, or merely unsaid, in a table of products that comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from multipliers.errors import ParameterError, TableError
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from multipliers.readers.layout import Layout, layouts
from multipliers.table import TableMultiplier, integer_table

CLEARLY_BEST = 0.6
"""A guessed layout needs a residual of at most this, and of at most this share of the runner-up's."""

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


@dataclass(frozen=True)
class Candidate:
    """A layout, and how far the table, read by it, is from exact products.

    Attributes
    ----------
    layout : Layout
    error_norm, exact_norm : float
        ``sqrt(sum (F - a b)**2)`` and ``sqrt(sum (a b)**2)`` over all entries.
    """

    layout: Layout
    error_norm: float
    exact_norm: float

    @property
    def residual(self) -> float:
        """Error norm relative to the norm of the exact products; 0 for an accurate multiplier."""
        return self.error_norm / self.exact_norm

    def __str__(self) -> str:
        return f"{self.layout}: residual {self.residual:.1%}"


@dataclass(frozen=True)
class Quadrant:
    """One quadrant of a table of two signed operands, zeros left out.

    Attributes
    ----------
    name : str
        Signs of ``a`` and ``b``, such as ``"negative x positive"``.
    n_entries : int
        Entries of the quadrant.
    wrong_sign : int
        Entries whose sign is opposite to that of the exact product.
    mirrored : int
        Entries that repeat the positive x positive quadrant up to the sign, ``|f(a, b)| = |f(|a|, |b|)|``, and repeat
        an error with it (``f(a, b) != a b``); 0 for positive x positive itself.
    residual : float
        Error norm relative to the norm of the exact products.
    """

    name: str
    n_entries: int
    wrong_sign: int
    mirrored: int
    residual: float


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


def rank_layouts(table: IntArray, candidates: Iterable[Layout]) -> tuple[Candidate, ...]:
    """Compare a table, read by each layout, with exact products; nearest first.

    Notes
    -----
    With ``x`` and ``y`` the operand values of rows and columns,
    ``||F - x y'||^2 = ||F||^2 - 2 x'F y + ||x||^2 ||y||^2``, so a layout costs one matrix-vector product. Residuals are
    therefore good to about 1e-8.
    """
    decoded: dict[tuple[object, ...], tuple[np.ndarray, float]] = {}
    scored = []
    for layout in candidates:
        key = (layout.result, layout.signed) if layout.result == "wrapped" else (layout.result,)
        if key not in decoded:
            F = layout.decode_results(table).astype(np.float64)
            decoded[key] = F, float(np.vdot(F, F))
        F, squares = decoded[key]
        x, y = layout.row_values().astype(np.float64), layout.column_values().astype(np.float64)
        exact = float(x @ x) * float(y @ y)
        error = max(0.0, squares - 2 * float(x @ (F @ y)) + exact)
        scored.append(Candidate(layout, float(np.sqrt(error)), float(np.sqrt(exact))))
    return tuple(sorted(scored, key=lambda c: c.residual))


def clearly_best(candidates: tuple[Candidate, ...]) -> Candidate | None:
    """Return the first candidate if it is clearly nearest to exact products, else None.

    Its residual must be at most 0.6, and at most 0.6 of every other's. The lossiest circuits of EvoApproxLib reach 0.52
    and 0.49; a table read in another order of its operands' values lies above 0.85.
    """
    if not candidates:
        return None
    best, *others = candidates
    bar = min([1.0, *(c.residual for c in others)])
    return best if best.residual <= CLEARLY_BEST * bar else None


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
    candidates = rank_layouts(stored, _plausible(stored, shape, claim))
    candidates = tuple(
        c for c in candidates if c.layout.result == "plain" or c.layout == claim or c.residual <= CLEARLY_BEST
    )
    low, high = int(stored.min()), int(stored.max())
    clear = clearly_best(candidates)
    chosen = claim or (clear.layout if clear else None)
    findings = [Finding("info", "range", f"values run from {low} to {high}")]
    findings += _layout_findings(candidates, claim)
    quadrants: tuple[Quadrant, ...] = ()
    if chosen is not None:
        multiplier = TableMultiplier(chosen.decode(stored), chosen.a, chosen.b, name=name or "table")
        findings += _range_findings(multiplier, stored)
        if chosen.a.signed and chosen.b.signed:
            quadrants = _quadrants(multiplier)
            findings += _quadrant_findings(multiplier, quadrants)
        findings += _axis_findings(multiplier)
        if reference is not None:
            findings += _reference_findings(multiplier, reference)
        if known is not None:
            findings += _known_findings(multiplier, known, name)
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


def _plausible(stored: IntArray, shape: tuple[int, int], claim: Layout | None) -> list[Layout]:
    """Every layout of the shape whose coding of results differs from plain products, and the claim."""
    low, high = int(stored.min(initial=0)), int(stored.max(initial=0))
    kept = []
    for layout in layouts(shape, results=("plain", "offset", "wrapped")):
        bits = layout.a.bits + layout.b.bits
        if layout.result == "offset" and not (layout.signed and low >= 0 and high < 1 << bits):
            continue
        field = (1 << (bits - 1)) if layout.signed else 1 << bits
        if layout.result == "wrapped" and (bits > 62 or (low >= (-field if layout.signed else 0) and high < field)):
            continue
        if claim is not None and claim.transposed:
            layout = Layout(layout.b, layout.a, layout.order, layout.result, transposed=True)
        kept.append(layout)
    if claim is not None and not (claim.a.signed or claim.b.signed):
        kept = [claim if k.a == claim.a and k.b == claim.b and k.result == claim.result else k for k in kept]
    if claim is not None and claim not in kept:
        kept.append(claim)
    return kept


def _layout_findings(candidates: tuple[Candidate, ...], claim: Layout | None) -> list[Finding]:
    clear, best = clearly_best(candidates), candidates[0]
    claimed = next((c for c in candidates if c.layout == claim), None)
    if clear is not None and clear.layout.result == "wrapped" and clear.layout != claim:
        layout = clear.layout
        stored = f"a signed field of {layout.a.bits + layout.b.bits} bits" if not layout.signed else "an unsigned field"
        return [
            Finding(
                "error",
                "overflow",
                f"the table holds {layout.a} x {layout.b} products that overflowed {stored}: taken "
                f"modulo 2**{layout.a.bits + layout.b.bits} they are at {clear.residual:.1%} of the exact products' "
                f"norm; read it with result='wrapped'",
            )
        ]
    if claimed is None:
        if clear is not None:
            return [Finding("info", "layout", f"the table is {clear.layout}, at {clear.residual:.1%} of the norm")]
        near = "; ".join(map(str, candidates[:3]))
        return [Finding("warning", "layout", f"signs and order of the operands cannot be told; nearest are {near}")]
    if claimed == best:
        second = f"; next is {candidates[1]}" if len(candidates) > 1 else ""
        sure: Severity = "info" if claimed.residual <= CLEARLY_BEST else "warning"
        words = "fits best" if claimed.residual <= CLEARLY_BEST else "fits best, but badly"
        return [Finding(sure, "layout", f"{claim} {words}, at {claimed.residual:.1%} of the norm{second}")]
    off = f"at {claimed.residual:.1%} of the products' norm"
    if clear is not None:
        return [
            Finding("error", "layout", f"the table is not {claim}, {off}, but {clear.layout}, at {clear.residual:.1%}")
        ]
    return [Finding("warning", "layout", f"{claim} fits, {off}, no better than {best}")]


def _range_findings(multiplier: TableMultiplier, stored: IntArray) -> list[Finding]:
    bits = multiplier.a.bits + multiplier.b.bits
    signed = multiplier.a.signed or multiplier.b.signed
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    F = multiplier.products
    findings = []
    outside = int(((low > F) | (high < F)).sum())
    if outside:
        text = f"{outside} products are outside [{low}, {high}] of a {bits}-bit result"
        findings.append(Finding("warning", "range", text))
    top = (1 << (bits - 1)) - 1
    if not signed and int(stored.max()) == top:
        P = np.multiply.outer(multiplier.a.values(), multiplier.b.values())
        clipped = int(((top == F) & (top < P)).sum())
        if clipped > 1 and clipped >= 0.5 * int((top < P).sum()):
            text = f"{clipped} products above {top} are stored as {top}: they were clipped to a signed {bits}-bit field"
            findings.append(Finding("error", "saturation", text))
    return findings


def _quadrants(multiplier: TableMultiplier) -> tuple[Quadrant, ...]:
    F, a, b = multiplier.products, multiplier.a, multiplier.b
    zero_a, zero_b = -a.minimum, -b.minimum
    # magnitudes 1 .. maximum: the smallest value has no counterpart
    parts = (
        {sign: (slice(zero_a + 1, None), slice(zero_a - 1, 0, -1))[sign < 0] for sign in (1, -1)},
        {sign: (slice(zero_b + 1, None), slice(zero_b - 1, 0, -1))[sign < 0] for sign in (1, -1)},
    )
    magnitude = np.multiply.outer(np.arange(1, a.maximum + 1), np.arange(1, b.maximum + 1))
    positive = F[parts[0][1], parts[1][1]]
    words = {1: "positive", -1: "negative"}
    found = []
    for sign_a in (1, -1):
        for sign_b in (1, -1):
            block = F[parts[0][sign_a], parts[1][sign_b]]
            exact = sign_a * sign_b * magnitude
            same = np.abs(block) == np.abs(positive)
            found.append(
                Quadrant(
                    f"{words[sign_a]} x {words[sign_b]}",
                    block.size,
                    int((block * np.sign(exact) < 0).sum()),
                    0 if sign_a == sign_b == 1 else int((same & (block != exact)).sum()),
                    _norm(block - exact) / _norm(exact) if exact.size else 0.0,
                )
            )
    return tuple(found)


def _norm(x: IntArray) -> float:
    return float(np.linalg.norm(x.astype(np.float64)))


def _quadrant_findings(multiplier: TableMultiplier, quadrants: tuple[Quadrant, ...]) -> list[Finding]:
    findings = []
    for quadrant in quadrants:
        others = [q.residual for q in quadrants if q is not quadrant]
        if quadrant.wrong_sign > 0.9 * quadrant.n_entries:
            text = f"{quadrant.wrong_sign} of the {quadrant.n_entries} {quadrant.name} products have the wrong sign"
            findings.append(Finding("error", "quadrant", text))
        elif quadrant.residual > 0.05 and quadrant.residual > 4 * max(others):
            text = (
                f"the {quadrant.name} quadrant is at {quadrant.residual:.1%} of its products' norm, "
                f"the other quadrants at most at {max(others):.1%}"
            )
            findings.append(Finding("warning", "quadrant", text))
    wrong = {
        q.name: (multiplier_errors, q) for q, multiplier_errors in zip(quadrants, _errors(multiplier), strict=True)
    }
    n_wrong, both = wrong["negative x negative"]
    mixed = [wrong[k] for k in ("positive x negative", "negative x positive")]
    copied = n_wrong > 0 and both.mirrored == n_wrong == _errors(multiplier)[0]
    if copied and not all(q.mirrored == n for n, q in mixed) and not _is_function_of_product(multiplier):
        text = (
            f"every negative x negative product repeats the error of the positive x positive one ({both.mirrored} "
            f"entries with an error), while the mixed quadrants do not both mirror it: it was probably computed "
            f"from magnitudes; compare it with the circuit (reference=)"
        )
        findings.append(Finding("warning", "quadrant", text))
    return findings


def _errors(multiplier: TableMultiplier) -> list[int]:
    """Entries with an error in each quadrant, in the order of `_quadrants`."""
    a, b = multiplier.a.values(), multiplier.b.values()
    wrong = multiplier.products != np.multiply.outer(a, b)
    signs = [(a > 0, b > 0), (a > 0, (b < 0) & (b > b[0])), ((a < 0) & (a > a[0]), b > 0)]
    signs.append((signs[2][0], signs[1][1]))
    return [int(wrong[np.ix_(rows, columns)].sum()) for rows, columns in signs]


def _is_function_of_product(multiplier: TableMultiplier) -> bool:
    """Whether equal exact products always have equal approximate ones (as when the product itself is truncated)."""
    P = np.multiply.outer(multiplier.a.values(), multiplier.b.values()).ravel()
    order = np.argsort(P, kind="stable")
    P, F = P[order], multiplier.products.ravel()[order]
    return not bool(((P[1:] == P[:-1]) & (F[1:] != F[:-1])).any())


def _axis_findings(multiplier: TableMultiplier) -> list[Finding]:
    if multiplier.a != multiplier.b:
        return []
    differing = int((multiplier.products != multiplier.products.T).sum())
    if not differing:
        return [Finding("info", "axes", "the table is symmetric: which axis is which operand does not matter")]
    text = f"{differing} products change if the operands are exchanged, and the table cannot say which axis is a"
    return [Finding("info", "axes", text)]


def _reference_findings(multiplier: TableMultiplier, reference: Multiplier) -> list[Finding]:
    if (reference.a, reference.b) != (multiplier.a, multiplier.b):
        raise ParameterError(
            f"the reference {reference.name} has operands {reference.a} x {reference.b}, "
            f"the table {multiplier.a} x {multiplier.b}"
        )
    truth = reference.table()
    differs = multiplier.products != truth
    total = int(differs.sum())
    if not total:
        return [Finding("info", "reference", f"the table equals {reference.name}")]
    if multiplier.a == multiplier.b and np.array_equal(multiplier.products.T, truth):
        return [Finding("error", "axes", f"the table is {reference.name} with its operands exchanged")]
    where = ""
    if multiplier.a.signed and multiplier.b.signed:
        a, b = (x.values() < 0 for x in (multiplier.a, multiplier.b))
        parts = {"+ x +": (~a, ~b), "+ x -": (~a, b), "- x +": (a, ~b), "- x -": (a, b)}
        counts = {k: int(differs[np.ix_(*rows)].sum()) for k, rows in parts.items()}
        where = " (by signs of a x b: " + ", ".join(f"{k} {n}" for k, n in counts.items()) + ")"
    text = f"{total} of {differs.size} products differ from {reference.name}{where}"
    return [Finding("error", "reference", text)]


def _known_findings(multiplier: TableMultiplier, known: Mapping[str, str], name: str | None) -> list[Finding]:
    called = known.get(multiplier.fingerprint())
    if called is not None:
        if name is None or name == called:
            return [Finding("info", "known", f"the table is that of {called}")]
        return [Finding("warning", "known", f"the table is called {name!r}, but is that of {called}")]
    findings = []
    if multiplier.a.bits == multiplier.b.bits:
        swapped = TableMultiplier(multiplier.products.T, multiplier.b, multiplier.a)
        called = known.get(swapped.fingerprint())
        if called is not None:
            text = f"the table is that of {called} with its operands exchanged"
            findings.append(Finding("warning", "axes", text))
    if name is not None and called != name and name in known.values():
        text = (
            f"a circuit named {name!r} is known, but it has another table: same name, different circuit; "
            f"identify circuits by fingerprint"
        )
        findings.append(Finding("warning", "known", text))
    return findings
