"""Whether products have the width of the result, or were clipped."""

from __future__ import annotations

import numpy as np

from multipliers.lint.findings import Finding
from multipliers.operands import IntArray
from multipliers.table import TableMultiplier


def range_findings(multiplier: TableMultiplier, stored: IntArray) -> list[Finding]:
    """Look for products outside of the result's width, and for unsigned ones clipped to a signed field."""
    bits = multiplier.a.bits + multiplier.b.bits
    signed = multiplier.a.signed or multiplier.b.signed
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    F = multiplier.products
    findings = []
    outside = (low > F) | (high < F)
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        text = (
            f"{int(outside.sum())} of {F.size} products are outside [{low}, {high}] of a {bits}-bit result, the first "
            f"f({row + multiplier.a.minimum}, {column + multiplier.b.minimum}) = {F[row, column]}"
        )
        # approximate products may overshoot their field, but not by a bit
        absurd = int(F.min()) < 2 * low - 1 or int(F.max()) > 2 * high + 1
        findings.append(Finding("error" if absurd else "warning", "range", text))
    top = (1 << (bits - 1)) - 1
    if not signed and int(stored.max()) == top:
        P = np.multiply.outer(multiplier.a.values(), multiplier.b.values())
        clipped = int(((top == F) & (top < P)).sum())
        if clipped > 1 and clipped >= 0.5 * int((top < P).sum()):
            text = f"{clipped} products above {top} are stored as {top}: they were clipped to a signed {bits}-bit field"
            findings.append(Finding("error", "saturation", text))
    return findings
