"""What was measured of every entry of the catalog, stored beside them, and the entries as circuits.

``measured.json`` is written and verified by ``python -m catalog.build``: one line of canonical JSON for each entry, by
label. Each measurement carries the check value of its entry; where that has changed, the measurement is stale.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from catalog.catalog import Entry, Family, Figure, FloatEntry, families
from catalog.circuit import Circuit
from catalog.quantities import METRICS
from multipliers.floating import FloatMetrics
from multipliers.intervals import Interval
from multipliers.metric_values import ErrorMetrics
from multipliers.multiplier import MAX_TABLE_ENTRIES
from multipliers.naming import parse_label
from multipliers.operands import OperandFormat
from multipliers.structure import Structure

FORMAT = 1
"""Version of ``measured.json``."""

DIGITS = 10
"""Significant digits of stored numbers: sums of relative errors may differ in the 15th between machines."""

CANCELLED_DECIMALS = 12
"""Decimals of a stored relative bias."""


class MeasurementError(LookupError):
    """An entry of the catalog has no stored measurement, or a stale one."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of one entry.

    Attributes
    ----------
    check : str
        `Entry.check` of the entry that was measured.
    metrics : ErrorMetrics
        Over every operand pair up to 2**24, sampled above unless ``comparison`` says otherwise; to `DIGITS` digits.
    structure : Structure
        Of the whole table up to 2**20 operand pairs, of drawn pairs above, as it says.
    product_rank, error_rank : int
        Ranks over the rationals of F and of E.
    ranks_complete : bool
        Whether the ranks are of the whole table; else of a random sub-matrix, and lower bounds.
    """

    check: str
    metrics: ErrorMetrics
    structure: Structure
    product_rank: int
    error_rank: int
    ranks_complete: bool

    @property
    def n_exact_products(self) -> int:
        """Ordinary products that simulate the multiplier exactly: min(rank F, 1 + rank E)."""
        return min(self.product_rank, 1 + self.error_rank)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values, floats to `DIGITS` significant digits."""
        return {
            "check": self.check,
            "metrics": _rounded(_cancelled(self.metrics.to_dict())),
            "structure": self.structure.to_dict(),
            "product_rank": self.product_rank,
            "error_rank": self.error_rank,
            "ranks_complete": self.ranks_complete,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        """Read what `to_dict` wrote."""
        metrics, structure = ErrorMetrics.from_dict(data["metrics"]), Structure(**data["structure"])
        return cls(**{**data, "metrics": metrics, "structure": structure})


@dataclass(frozen=True)
class FloatMeasurement:
    """What was measured of one floating-point entry.

    Attributes
    ----------
    check : str
        `FloatEntry.check` of the entry that was measured.
    metrics : FloatMetrics
        For real operands, to `DIGITS` digits.
    """

    check: str
    metrics: FloatMetrics

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values, floats to `DIGITS` significant digits."""
        return {"check": self.check, "float_metrics": _rounded(self.metrics.to_dict())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FloatMeasurement:
        """Read what `to_dict` wrote."""
        metrics = data["float_metrics"]
        intervals = {name: Interval.from_dict(item) for name, item in metrics["intervals"].items()}
        return cls(data["check"], FloatMetrics(**{**metrics, "intervals": intervals}))


Measured = Measurement | FloatMeasurement
M = TypeVar("M", Measurement, FloatMeasurement)


def dump(found: Mapping[str, Measured]) -> bytes:
    """Write measurements, by label: the same measurements give the same bytes."""
    lines = [
        f"{json.dumps(label)}: {json.dumps(found[label].to_dict(), allow_nan=False, separators=(',', ':'))}"
        for label in sorted(found)
    ]
    body = ",\n".join(lines)
    return f'{{"format": {FORMAT}, "measurements": {{\n{body}\n}}}}\n'.encode()


def parse(data: bytes) -> dict[str, Measured]:
    """Read what `dump` wrote.

    Raises
    ------
    MeasurementError
        If it is of another format or version of the package; the message says how to write it anew.
    """
    try:
        read = json.loads(data)
        if read["format"] != FORMAT:
            raise ValueError(f"its format is {read['format']}, not {FORMAT}")
        return {label: _measured(item) for label, item in read["measurements"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MeasurementError(
            f"the stored measurements cannot be read ({error}); write them anew with python -m catalog.build --all"
        ) from None


def _measured(data: Mapping[str, Any]) -> Measured:
    return FloatMeasurement.from_dict(data) if "float_metrics" in data else Measurement.from_dict(data)


@cache
def measurements() -> Mapping[str, Measured]:
    """Return the stored measurements, by label.

    Raises
    ------
    MeasurementError
        As for `parse`.
    """
    return parse(resources.files("catalog").joinpath("measured.json").read_bytes())


def measurement(entry: Entry) -> Measurement:
    """Return the stored measurement of an entry.

    Raises
    ------
    MeasurementError
        If there is none, or a stale one.

    Examples
    --------
    >>> from catalog import entry
    >>> found = measurement(entry("drum8u_k4"))
    >>> found.metrics.comparison, found.n_exact_products
    ('exhaustive', 1)
    """
    return _valid(measurements().get(entry.label), entry, Measurement)


def float_measurement(entry: FloatEntry) -> FloatMeasurement:
    """Return the stored measurement of a floating-point entry; see `measurement`."""
    return _valid(measurements().get(entry.label), entry, FloatMeasurement)


def _valid(found: Measured | None, entry: Entry | FloatEntry, kind: type[M]) -> M:
    if not isinstance(found, kind) or found.check != entry.check:
        what = "there is no stored measurement" if found is None else "the stored measurement is that of other products"
        raise MeasurementError(f"{entry.label}: {what}; measure what has changed with python -m catalog.build")
    return found


def circuits() -> list[Circuit]:
    """Return every entry of the catalog as a circuit, family by family.

    Their costs are ``terms``, the exact products that simulate them, and power, area and delay of those that equal a
    circuit of EvoApproxLib (`Entry.costs`). Where several figures of one metric are published, ``published`` has the
    one with the most digits.

    Raises
    ------
    MeasurementError
        If an entry has no valid measurement.

    Examples
    --------
    >>> drum = next(c for c in circuits() if c.name == "drum16u_k6")
    >>> drum.published["mre"], round(drum.metrics["mre"], 4), drum.comparison
    (0.0147, 0.0147, 'sampled')
    """
    return [circuit_of(family, entry, measurement(entry)) for family in families() for entry in family.entries]


def circuit_of(family: Family, entry: Entry, measured: Measurement) -> Circuit:
    """Return an entry and its measurement as a row of the catalog."""
    label, metrics = parse_label(entry.label), measured.metrics
    return Circuit(
        name=entry.label,
        origin="catalog",
        family=family.family,
        a=label.a,
        b=label.b,
        fingerprint=entry.check,
        complete=label.a.size * label.b.size <= MAX_TABLE_ENTRIES,
        comparison=metrics.comparison,  # type: ignore[arg-type]  # ErrorMetrics admits no other
        metrics={"n_pairs": metrics.n_pairs, **{name: getattr(metrics, name) for name in METRICS}},
        costs={**({} if entry.costs is None else entry.costs.values()), "terms": measured.n_exact_products},
        published=_published(entry.figures, label.a, label.b),
    )


def _published(figures: Iterable[Figure], a: OperandFormat, b: OperandFormat) -> dict[str, float]:
    """Return the published metrics in the units of measured ones, of each the one with the most digits."""
    best: dict[str, Figure] = {}
    for figure in sorted(figures, key=_n_digits):
        best[figure.metric] = figure
    return {name: _rounded(float(figure.value) / figure.scale(a, b)) for name, figure in best.items()}


def _n_digits(figure: Figure) -> int:
    return len(figure.value.lstrip("-0.").replace(".", ""))


def _cancelled(metrics: dict[str, Any]) -> dict[str, Any]:
    """Cut the relative bias, a sum in which positive and negative errors cancel, where rounding differs by machine."""
    return metrics | {"relative_bias": round(metrics["relative_bias"], CANCELLED_DECIMALS) + 0.0}  # no -0.0


def _rounded(value: Any) -> Any:
    """Return a JSON-safe value with its floats to `DIGITS` significant digits."""
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
