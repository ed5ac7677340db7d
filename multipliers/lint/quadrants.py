"""Whether the four sign quadrants of a signed table are parts of one multiplier.

A table that is computed from magnitudes is right where the circuit works on magnitudes, and wrong in silence where it
does not: a published table of a two's-complement circuit had each negative x negative product replaced by that of the
absolute values, taken in 8 bits, where that of -128 is -128 again (12,414 of 65,536 entries wrong).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multipliers.lint.findings import Finding
from multipliers.operands import IntArray
from multipliers.table import TableMultiplier

MOST = 0.9
"""Share of wrong signs above which a quadrant is taken to have the wrong sign as a whole."""


@dataclass(frozen=True)
class Quadrant:
    """One quadrant of a table of two signed operands; zeros and the smallest value, without counterpart, left out.

    Attributes
    ----------
    name : str
        Signs of ``a`` and ``b``, such as ``"negative x positive"``.
    n_entries : int
        Entries of the quadrant.
    n_errors : int
        Entries that differ from the exact product.
    wrong_sign : int
        Entries whose sign is opposite to that of the exact product.
    mirrored : int
        Entries that repeat the positive x positive quadrant up to the sign, ``|f(a, b)| = |f(|a|, |b|)|``, and repeat
        an error with it (``f(a, b) != a b``); 0 for positive x positive itself.
    negated : bool
        Whether every entry is that of the positive x positive quadrant with the sign of the exact product, by two's
        complement throughout (``x`` or ``-x``) or by one's complement throughout (``x`` or ``-x - 1``).
    residual : float
        Error norm relative to the norm of the exact products.
    """

    name: str
    n_entries: int
    n_errors: int
    wrong_sign: int
    mirrored: int
    negated: bool
    residual: float


def find_quadrants(multiplier: TableMultiplier) -> tuple[Quadrant, ...]:
    """Compare the quadrants with exact products and with positive x positive; both operands are signed."""
    F, a, b = multiplier.products, multiplier.a, multiplier.b
    zero_a, zero_b = -a.minimum, -b.minimum
    parts_a = {1: slice(zero_a + 1, None), -1: slice(zero_a - 1, 0, -1)}
    parts_b = {1: slice(zero_b + 1, None), -1: slice(zero_b - 1, 0, -1)}
    magnitude = np.multiply.outer(np.arange(1, a.maximum + 1), np.arange(1, b.maximum + 1))
    positive = F[parts_a[1], parts_b[1]]
    words = {1: "positive", -1: "negative"}
    found = []
    for sign_a in (1, -1):
        for sign_b in (1, -1):
            block, sign = F[parts_a[sign_a], parts_b[sign_b]], sign_a * sign_b
            exact = sign * magnitude
            wrong = block != exact
            same = np.abs(block) == np.abs(positive)
            offset = block - sign * positive
            found.append(
                Quadrant(
                    name=f"{words[sign_a]} x {words[sign_b]}",
                    n_entries=block.size,
                    n_errors=int(wrong.sum()),
                    wrong_sign=int((block * np.sign(exact) < 0).sum()),
                    mirrored=0 if sign_a == sign_b == 1 else int((same & wrong).sum()),
                    negated=any((offset == complement).all() for complement in ((0, -1) if sign < 0 else (0,))),
                    residual=_norm(block - exact) / _norm(exact) if exact.size else 0.0,
                )
            )
    return tuple(found)


def quadrant_findings(multiplier: TableMultiplier, quadrants: tuple[Quadrant, ...]) -> list[Finding]:
    """Look for quadrants with wrong signs, far less accurate than the others, or computed from magnitudes."""
    findings = []
    for quadrant in quadrants:
        others = [q.residual for q in quadrants if q is not quadrant]
        if quadrant.wrong_sign > MOST * quadrant.n_entries:
            text = f"{quadrant.wrong_sign} of the {quadrant.n_entries} {quadrant.name} products have the wrong sign"
            findings.append(Finding("error", "quadrant", text))
        elif quadrant.residual > 0.05 and quadrant.residual > 4 * max(others):
            text = (
                f"the {quadrant.name} quadrant is at {quadrant.residual:.1%} of its products' norm, "
                f"the other quadrants at most at {max(others):.1%}"
            )
            findings.append(Finding("warning", "quadrant", text))
    return findings + _magnitude_findings(multiplier, quadrants) + _smallest_value_findings(multiplier)


def _magnitude_findings(multiplier: TableMultiplier, quadrants: tuple[Quadrant, ...]) -> list[Finding]:
    """Tell a quadrant that was computed from magnitudes by errors that it shares with positive x positive alone."""
    positive, *mixed, negative = quadrants
    repeats = 0 < negative.n_errors == negative.mirrored == positive.n_errors
    # a circuit that works on magnitudes repeats them in every quadrant; one that truncates the product itself has
    # equal errors wherever the product is equal
    if not repeats or all(q.negated for q in mixed) or _is_function_of_product(multiplier):
        return []
    text = (
        f"every negative x negative product repeats the error of the positive x positive one ({negative.mirrored} "
        f"entries with an error), while the mixed quadrants do not both mirror it: it was probably computed "
        f"from magnitudes; compare it with the circuit (reference=)"
    )
    return [Finding("warning", "quadrant", text)]


def _smallest_value_findings(multiplier: TableMultiplier) -> list[Finding]:
    """Tell a smallest value that was negated within its own width, and so stayed negative."""
    findings = []
    for operand, form, other, F in (
        ("a", multiplier.a, multiplier.b, multiplier.products),
        ("b", multiplier.b, multiplier.a, multiplier.products.T),
    ):
        line = F[0, : -other.minimum]  # times the negative values
        wrong = int((line < 0).sum())
        if line.size > 1 and wrong > MOST * line.size:
            text = (
                f"{wrong} of the {line.size} products of {operand} = {form.minimum} with negative values are negative: "
                f"its absolute value was probably taken in {form.bits} bits, where it is {form.minimum} again"
            )
            findings.append(Finding("error", "quadrant", text))
    return findings


def _norm(x: IntArray) -> float:
    return float(np.linalg.norm(x.astype(np.float64)))


def _is_function_of_product(multiplier: TableMultiplier) -> bool:
    """Whether equal exact products always have equal approximate ones (as when the product itself is truncated)."""
    P = np.multiply.outer(multiplier.a.values(), multiplier.b.values()).ravel()
    order = np.argsort(P, kind="stable")
    P, F = P[order], multiplier.products.ravel()[order]
    return not bool(((P[1:] == P[:-1]) & (F[1:] != F[:-1])).any())
