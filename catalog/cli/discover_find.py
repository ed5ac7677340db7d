"""How ``axsurrogate discover`` finds a surrogate of one multiplier by one method."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from catalog.cli.console import plain, progress
from catalog.cli.errors import users_code
from catalog.cli.front import front_report
from catalog.cli.objective import choose as choose_by

if TYPE_CHECKING:
    from catalog.cli.front import FrontReport
    from catalog.cli.report import Found
    from multipliers.multiplier import Multiplier
    from surrogate.cost import CostModel
    from surrogate.fit.select import Objective

OBJECTIVE = "objective"
"""Stands for a method where an objective chooses it."""

TITLES = {"exact": "exact", "htp": "HTP", "lowrank": "low rank", OBJECTIVE: "objective"}

_LABELS = {"exact": "exact surrogate", "lowrank": "surrogate of low rank", OBJECTIVE: "chosen surrogate"}


@dataclass
class Row:
    """What was found for one SPEC: a surrogate or None per method."""

    spec: str
    name: str
    found: dict[str, Found | None]


def resolve_spec(spec: str, a: str | None, b: str | None) -> Multiplier:
    """Build the multiplier that SPEC names."""
    with users_code(spec):
        from catalog import resolve

        return resolve(spec, a, b)


def find(spec: str, multiplier: Multiplier, method: str, options: dict[str, Any], certifying: dict[str, Any]) -> Found:
    """Discover a surrogate by a method, with a bar while it is certified."""
    from catalog.cli.report import Found
    from surrogate import discover, dumps

    with users_code(spec), progress(f"{multiplier.name}: {TITLES[method]}") as advance:
        start = time.perf_counter()
        surrogate = discover(multiplier, method, **options, **certifying, progress=advance)
        seconds = time.perf_counter() - start
    return Found(surrogate, seconds, len(dumps(surrogate)))


def choose(spec: str, multiplier: Multiplier, objective: Objective, costs: CostModel, options: dict[str, Any]) -> Found:
    """Choose the cheapest surrogate that meets an objective."""
    from catalog.cli.report import Found
    from surrogate import dumps

    with users_code(spec), progress(f"{multiplier.name}: choosing"):
        start = time.perf_counter()
        choice = choose_by(multiplier, objective, costs, options)
        surrogate = choice.selection.surrogate
        seconds = time.perf_counter() - start
    return Found(surrogate, seconds, len(dumps(surrogate)), choice)


def explained(found: Found, spec: str, method: str) -> Found:
    """Write it in closed form where it is made of integers; say so where not."""
    from surrogate import dumps
    from surrogate import explain as write

    if not found.surrogate.is_integer:
        typer.echo(f"note: {plain(spec)}, {TITLES[method]}: factors of floats have no closed form", err=True)
        return found
    start = time.perf_counter()
    explanation = write(found.surrogate)
    seconds = found.seconds + time.perf_counter() - start
    n_bytes = len(dumps(explanation.surrogate))
    return replace(found, surrogate=explanation.surrogate, seconds=seconds, n_bytes=n_bytes, explanation=explanation)


def find_front(row: Row, multiplier: Multiplier, weights_a: Any, weights_b: Any) -> FrontReport:
    """Compute the front of one SPEC; the first surrogate that is not the recipe's is marked as the chosen one."""
    marked = next(((m, f.surrogate) for m, f in row.found.items() if f is not None and m != "htp"), None)
    label, chosen = ("", None) if marked is None else (_LABELS[marked[0]], marked[1])
    with users_code(row.spec), progress(f"{multiplier.name}: front"):
        return front_report(row.spec, multiplier, weights_a, weights_b, chosen, label)
