"""Which layout fits a table, told by its distance to exact products: axes, order of values, coding of results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from multipliers.lint.findings import Finding, Severity
from multipliers.operands import IntArray
from multipliers.readers.layout import Layout, layouts

CLEARLY_BEST = 0.6
"""A guessed layout needs a residual of at most this, and of at most this share of the runner-up's."""


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


def plausible_layouts(stored: IntArray, shape: tuple[int, int], claim: Layout | None) -> list[Layout]:
    """Every layout of the shape whose coding of results differs from plain products, and the claim."""
    low, high = int(stored.min(initial=0)), int(stored.max(initial=0))
    kept = []
    for layout in layouts(shape, results=("plain", "offset", "wrapped")):
        bits = layout.a.bits + layout.b.bits
        half = 1 << (bits - 1)
        if layout.result == "offset" and not (layout.signed and _within(low, high, (0, 2 * half))):
            continue
        own, other = ((-half, half), (0, 2 * half)) if layout.signed else ((0, 2 * half), (-half, half))
        # an overflow leaves values of the other field of the same width; anything else is out of range
        if layout.result == "wrapped" and (bits > 62 or _within(low, high, own) or not _within(low, high, other)):
            continue
        if claim is not None and claim.transposed:
            layout = Layout(layout.b, layout.a, layout.order, layout.result, transposed=True)
        kept.append(layout)
    if claim is not None and not (claim.a.signed or claim.b.signed):
        kept = [claim if k.a == claim.a and k.b == claim.b and k.result == claim.result else k for k in kept]
    if claim is not None and claim not in kept:
        kept.append(claim)
    return kept


def _within(low: int, high: int, field: tuple[int, int]) -> bool:
    return field[0] <= low and high < field[1]


def layout_findings(candidates: tuple[Candidate, ...], claim: Layout | None) -> list[Finding]:
    """Say which layout fits, and whether it is the claimed one."""
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
