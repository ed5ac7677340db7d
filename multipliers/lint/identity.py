"""Whether a table is what its name, its axes and a reference say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multipliers.errors import ParameterError
from multipliers.lint.findings import Finding
from multipliers.multiplier import Multiplier
from multipliers.table import TableMultiplier


def axis_findings(multiplier: TableMultiplier) -> list[Finding]:
    """Say whether exchanging the operands would matter."""
    if multiplier.a != multiplier.b:
        return []
    differing = int((multiplier.products != multiplier.products.T).sum())
    if not differing:
        return [Finding("info", "axes", "the table is symmetric: which axis is which operand does not matter")]
    text = f"{differing} products change if the operands are exchanged, and the table cannot say which axis is a"
    return [Finding("info", "axes", text)]


def reference_findings(multiplier: TableMultiplier, reference: Multiplier) -> list[Finding]:
    """Count the differences from a multiplier that the table should be."""
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


def known_findings(multiplier: TableMultiplier, known: Mapping[str, str], name: str | None) -> list[Finding]:
    """Look the table up by its fingerprint: under its own name, another, or with operands exchanged."""
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
