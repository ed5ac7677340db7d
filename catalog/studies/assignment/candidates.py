"""The multipliers of the study, and the energy of a product with each.

Energies are those of one source, so that they are comparable: a file of the user's, else the circuits of the user's
library, else the catalog, whose costs are those that EvoApproxLib publishes for 45 nm. All multipliers of an
accelerator run at one clock rate, so energy is in proportion to power.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.circuit import Circuit
from catalog.quantities import quantity, value_of
from multipliers.errors import ParameterError
from multipliers.multiplier import Multiplier
from multipliers.operands import OperandFormat
from multipliers.registry import get


@dataclass(frozen=True)
class Candidate:
    """A multiplier, and what a product costs.

    Attributes
    ----------
    multiplier : Multiplier
    energy : float or None
        In any unit, the same for all; None where it is not known: the multiplier is ranked, and not assigned.
    """

    multiplier: Multiplier
    energy: float | None = None

    @property
    def name(self) -> str:
        """Name of the multiplier."""
        return self.multiplier.name


def catalog_candidates(a: OperandFormat, b: OperandFormat, cost: str = "power") -> list[Candidate]:
    """Return the catalog's multipliers of some operand formats; of several with the same products one.

    Parameters
    ----------
    a, b : OperandFormat
    cost : str
        Which cost the energy is (`catalog.circuit.COSTS`).

    Examples
    --------
    >>> eight = OperandFormat(8, signed=True)
    >>> found = catalog_candidates(eight, eight)
    >>> sum(candidate.energy is not None for candidate in found)
    13
    """
    from catalog.measured import circuits

    chosen: dict[str, Circuit] = {}
    for circuit in sorted(circuits(), key=lambda c: math.isnan(value_of(c, cost))):  # those of a known cost first
        if (circuit.a, circuit.b) == (a, b):
            chosen.setdefault(circuit.fingerprint, circuit)
    return [Candidate(get(circuit.name), _cost(circuit, cost)) for circuit in chosen.values()]


def with_energies(
    multipliers: Iterable[Multiplier], circuits: Iterable[Circuit], cost: str = "power"
) -> list[Candidate]:
    """Give multipliers the costs of circuits with the same products."""
    known = {(c.a, c.b, c.fingerprint): energy for c in circuits if (energy := _cost(c, cost)) is not None}
    return [Candidate(m, known.get((m.a, m.b, _fingerprint(m)))) for m in multipliers]


def read_energies(path: Path, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Give candidates the energies of a file, by name: JSON ``{"name": 0.3}``, or CSV of columns name and energy.

    Raises
    ------
    ParameterError
        If the file is neither, a value is no positive number, or it names no candidate.
    FileNotFoundError
        If there is no such file.
    """
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix.lower() == ".json":
            read: Mapping[str, object] = dict(json.loads(text))
        else:
            read = {row["name"]: row["energy"] for row in csv.DictReader(text.splitlines())}
        energies = {name: float(value) for name, value in read.items()}  # type: ignore[arg-type]  # errors are told
    except (ValueError, TypeError, KeyError) as error:
        raise ParameterError(
            f"{path}: holds no energies ({error}); write JSON {{name: number}}, or CSV of the columns name and energy"
        ) from None
    for name, energy in energies.items():
        if not (math.isfinite(energy) and energy > 0):
            raise ParameterError(f"{path}: the energy of {name!r} must be a positive number, got {energy}")
    found = [replace(candidate, energy=energies.get(candidate.name)) for candidate in candidates]
    if all(candidate.energy is None for candidate in found):
        raise ParameterError(f"{path}: names none of the multipliers, {', '.join(c.name for c in found[:8])}, ...")
    return found


def _cost(circuit: Circuit, cost: str) -> float | None:
    value = value_of(circuit, quantity(cost).name)
    return None if math.isnan(value) else value


def _fingerprint(multiplier: Multiplier) -> str:
    from surrogate.model import MultiplierReference

    return MultiplierReference.of(multiplier).fingerprint
