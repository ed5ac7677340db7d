"""The catalog: multipliers with their definition, source, published figures and check value, from JSON data.

Each file of ``entries/`` describes one family of `multipliers.designs`; its fields are those of the classes below.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import multipliers
from multipliers.errors import ParameterError, UnknownNameError
from multipliers.floating import FloatMetrics, FloatMultiplier
from multipliers.floating import get as get_floating
from multipliers.metric_values import ErrorMetrics
from multipliers.metrics import normaliser_value
from multipliers.multiplier import MAX_TABLE_ENTRIES, Design
from multipliers.operands import OperandFormat

UNITS = ("LSB", "%", "% of 2^(n+m)", "% of the largest exact product")
"""Units of figures: ``LSB`` as measured, ``%`` of a fraction, or an LSB metric as a percentage of a normaliser."""

STATUSES = {"V": "read in the source", "R": "recalled from the source, not read again", "A": "analytic"}

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Figure:
    """A published figure of one multiplier.

    Attributes
    ----------
    metric : str
        Field of `multipliers.metric_values.ErrorMetrics`.
    value : str
        As printed, so that its precision is known.
    unit : str
        One of `UNITS`.
    source : str
        Where it is printed.
    status : str
        ``"V"`` read in the source, ``"R"`` recalled from it, ``"A"`` analytic.
    measured : str or None
        What this package measures, where that does not round to ``value``; ``note`` says why.
    note : str or None
        A remark on the figure.
    """

    metric: str
    value: str
    unit: str
    source: str
    status: Literal["V", "R", "A"]
    measured: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        if self.metric not in ErrorMetrics.__dataclass_fields__:
            raise UnknownNameError.of("error metric", self.metric, ErrorMetrics.__dataclass_fields__)
        if self.unit not in UNITS:
            raise UnknownNameError.of("unit", self.unit, UNITS)
        if self.status not in STATUSES:
            raise UnknownNameError.of("status", self.status, STATUSES)
        if self.measured is not None and not self.note:
            raise ParameterError(f"{self.metric} = {self.value} {self.unit}: a measurement that differs needs a note")
        for number in (self.value, self.measured or "0"):
            if not _DECIMAL.fullmatch(number):
                raise ParameterError(f"{self.metric}: {number!r} is not a decimal number without exponent")

    def convert(self, metrics: ErrorMetrics, multiplier: multipliers.Multiplier) -> float:
        """Return the figure's metric, as measured, in the figure's unit."""
        return float(getattr(metrics, self.metric)) * self.scale(multiplier.a, multiplier.b)

    def scale(self, a: OperandFormat, b: OperandFormat) -> float:
        """Return by what the metric is multiplied to be in the figure's unit.

        Examples
        --------
        >>> Figure("wce", "0.0076", "% of 2^(n+m)", "paper", "V").scale(OperandFormat(8), OperandFormat(8))
        0.00152587890625
        """
        if self.unit == "LSB":
            return 1.0
        if self.unit == "%":
            return 100.0
        return 100 / normaliser_value(a, b, "2^(n+m)" if "2^" in self.unit else "largest exact product")

    def agrees(self, value: float) -> bool:
        """Whether a measured value rounds to the printed one, within half a unit of its last digit.

        Where ``measured`` is given, it is compared with that instead.
        """
        low, high = self.range
        return low <= value <= high

    @property
    def range(self) -> tuple[float, float]:
        """The numbers that round to ``value``, or to ``measured`` where that is given."""
        printed = self.value if self.measured is None else self.measured
        half = 0.5 * 10.0 ** -len(printed.partition(".")[2]) * (1 + 1e-6)
        return float(printed) - half, float(printed) + half


@dataclass(frozen=True)
class HardwareCosts:
    """Published costs of a circuit with the same products.

    Attributes
    ----------
    power, area, delay : float
        In the units of `catalog.circuit.COSTS`.
    source : str
        Where they are printed, and for which technology.
    """

    power: float
    area: float
    delay: float
    source: str

    def values(self) -> dict[str, float]:
        """Return the costs by name, as `Circuit.costs` has them."""
        return {"power": self.power, "area": self.area, "delay": self.delay}


@dataclass(frozen=True)
class Entry:
    """One multiplier of the catalog.

    Attributes
    ----------
    label : str
        Its name, read by `multipliers.get`.
    check : str
        `Multiplier.fingerprint` up to 2**24 operand pairs, `Multiplier.sample_fingerprint` above.
    figures : tuple of Figure
    same_as : tuple of str
        Published circuits with the same products.
    costs : HardwareCosts or None
        Of one of these circuits; None where none are published.
    """

    label: str
    check: str
    figures: tuple[Figure, ...] = ()
    same_as: tuple[str, ...] = ()
    costs: HardwareCosts | None = None

    def build(self) -> Design:
        """Build the multiplier."""
        return multipliers.get(self.label)

    def measure_check(self) -> str:
        """Compute the check value anew."""
        design = self.build()
        return design.fingerprint() if design.n_pairs <= MAX_TABLE_ENTRIES else design.sample_fingerprint()


@dataclass(frozen=True)
class FloatEntry:
    """A floating-point multiplier of the catalog, whose core is of the family.

    Attributes
    ----------
    label : str
        Its name, read by `multipliers.floating.get`.
    check : str
        `FloatMultiplier.sample_fingerprint`.
    figures : tuple of Figure
        Of the fields of `multipliers.floating.FloatMetrics`, for real operands.
    """

    label: str
    check: str
    figures: tuple[Figure, ...] = ()

    def __post_init__(self) -> None:
        for figure in self.figures:
            if figure.metric not in FloatMetrics.__dataclass_fields__:
                raise UnknownNameError.of("relative error", figure.metric, FloatMetrics.__dataclass_fields__)
            if figure.unit != "%":
                raise ParameterError(f"{self.label}: {figure.metric} is relative, its unit is '%', not {figure.unit!r}")

    def build(self) -> FloatMultiplier:
        """Build the multiplier."""
        return get_floating(self.label)

    def measure_check(self) -> str:
        """Compute the check value anew."""
        return self.build().sample_fingerprint()


@dataclass(frozen=True)
class Family:
    """A family of multipliers: what they compute, where that is published, and the entries of the catalog.

    Attributes
    ----------
    family : str
        First part of the labels.
    title, definition, sign_rule : str
        Plain text.
    source : str
        Citation: authors, title, venue, year.
    entries : tuple of Entry
    floating : tuple of FloatEntry
        Floating-point multipliers around a core of the family.
    """

    family: str
    title: str
    definition: str
    sign_rule: str
    source: str
    entries: tuple[Entry, ...]
    floating: tuple[FloatEntry, ...] = ()

    @property
    def members(self) -> tuple[Entry | FloatEntry, ...]:
        """Every entry, those of floating-point multipliers last."""
        return (*self.entries, *self.floating)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Family:
        """Read what a file of ``entries/`` holds; unknown and missing fields are errors."""
        floating = tuple(FloatEntry(**{**item, "figures": _figures(item)}) for item in data.get("floating", ()))
        return cls(**{**data, "entries": tuple(_entry(item) for item in data["entries"]), "floating": floating})


def _figures(data: dict[str, Any]) -> tuple[Figure, ...]:
    return tuple(Figure(**item) for item in data.get("figures", ()))


def _entry(data: dict[str, Any]) -> Entry:
    costs = HardwareCosts(**data["costs"]) if "costs" in data else None
    return Entry(**{**data, "figures": _figures(data), "same_as": tuple(data.get("same_as", ())), "costs": costs})


@cache
def families() -> tuple[Family, ...]:
    """Return the families of the catalog, by name.

    Examples
    --------
    >>> {"bam", "drum", "mitchell"} <= {f.family for f in families()}
    True
    """
    files = (file for file in resources.files("catalog").joinpath("entries").iterdir() if file.name.endswith(".json"))
    read = (Family.from_dict(json.loads(file.read_text(encoding="utf-8"))) for file in files)
    return tuple(sorted(read, key=lambda family: family.family))


def entries() -> tuple[Entry, ...]:
    """Return every entry, family by family."""
    return tuple(item for family in families() for item in family.entries)


def float_entries() -> tuple[FloatEntry, ...]:
    """Return every floating-point multiplier, family by family.

    Examples
    --------
    >>> [entry.label for entry in float_entries()][:3]
    ['e8m3_afm4u', 'e8m5_afm6u', 'e8m7_afm8u']
    """
    return tuple(item for family in families() for item in family.floating)


def entry(label: str) -> Entry:
    """Return the entry of a label.

    Raises
    ------
    UnknownNameError
        If the catalog has no such entry; the message suggests the nearest. `multipliers.get` builds designs that are
        not in the catalog, too.

    Examples
    --------
    >>> entry("drum16u_k6").figures[0].value
    '1.47'
    """
    known = {item.label: item for item in entries()}
    if label not in known:
        raise UnknownNameError.of("catalog entry", label, known)
    return known[label]
