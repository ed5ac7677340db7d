"""What circuits are compared by: error metrics and costs, their units, and values as people write them."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from catalog.circuit import COSTS, Circuit
from catalog.text import number
from multipliers.errors import ParameterError, UnknownNameError
from multipliers.metrics import MAX_EXHAUSTIVE_PAIRS

METRICS = {
    **dict.fromkeys(("mre", "nmed", "error_probability", "wcre", "relative_bias", "relative_sd"), ""),
    **dict.fromkeys(("mae", "wce", "mean_error", "rmse", "sd", "min_error", "max_error"), "LSB"),
    **dict.fromkeys(("mse", "variance"), "LSB^2"),
    **dict.fromkeys(("min_relative_error", "max_relative_error"), ""),
    **dict.fromkeys(("positive_error_probability", "negative_error_probability"), ""),
    "mean_hamming_distance": "bit",
}
"""Error metrics (`multipliers.metric_values.ErrorMetrics`) and their units; ``""`` is a fraction."""

ALIASES = {
    "med": "mae",
    "mred": "mre",
    "are": "mre",
    "bias": "mean_error",
    "me": "mean_error",
    "maxed": "wce",
    "ep": "error_probability",
    "er": "error_probability",
    "var": "variance",
    "mhd": "mean_hamming_distance",
    "products": "terms",
}
"""Other names of the same metrics and costs in the literature."""

_SCALES = {
    "": {"%": 1e-2},
    "LSB": {"LSB": 1.0},
    "LSB^2": {"LSB^2": 1.0},
    "bit": {"bit": 1.0, "bits": 1.0},
    "mW": {"nW": 1e-6, "uW": 1e-3, "mW": 1.0, "W": 1e3},
    "um^2": {"um^2": 1.0, "um2": 1.0, "mm^2": 1e6, "mm2": 1e6},
    "ns": {"ps": 1e-3, "ns": 1.0, "us": 1e3},
}
"""By the unit of a quantity, the units that its values may be written in, and by what they are multiplied."""

_VALUE = re.compile(r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(\S*)")


class Quantity(NamedTuple):
    """A metric or a cost: its name, and its unit (``""`` for a fraction of a metric, and for a count)."""

    name: str
    unit: str

    @property
    def is_cost(self) -> bool:
        """Whether it is a cost rather than an error metric."""
        return self.name in COSTS

    @property
    def title(self) -> str:
        """The name with its unit, for the head of a column.

        Examples
        --------
        >>> Quantity("mae", "LSB").title, Quantity("nmed", "").title
        ('mae (LSB)', 'nmed')
        """
        return f"{self.name} ({self.unit})" if self.unit else self.name


def quantity(name: str) -> Quantity:
    """Return the metric or cost of a name, in either case, or of one of its `ALIASES`.

    Raises
    ------
    UnknownNameError
        If there is none; the message suggests the nearest.

    Examples
    --------
    >>> quantity("MRED"), quantity("power")
    (Quantity(name='mre', unit=''), Quantity(name='power', unit='mW'))
    """
    known = {**METRICS, **COSTS}
    lower = name.strip().lower()
    lower = ALIASES.get(lower, lower)
    if lower not in known:
        raise UnknownNameError.of("metric or cost", lower, (*known, *ALIASES))
    return Quantity(lower, known[lower])


def value_of(circuit: Circuit, name: str) -> float:
    """Return a metric or cost of a circuit in the unit of `quantity`; NaN where it is not known.

    Examples
    --------
    >>> from multipliers import OperandFormat
    >>> eight = OperandFormat(8)
    >>> value_of(Circuit("x", "catalog", "drum", eight, eight, "", True, "exhaustive", {}, {"power": 0.3}), "power")
    0.3
    """
    found = quantity(name)
    value = (circuit.costs if found.is_cost else circuit.metrics).get(found.name)
    return math.nan if value is None else float(value)


def size_of(circuit: Circuit, name: str) -> float:
    """Return by what circuits are ranked, the less the better: the magnitude of `value_of`, NaN where not known.

    A mean error of -3 LSB is as bad as one of 3.
    """
    return abs(value_of(circuit, name))


def is_lower_bound(circuit: Circuit, name: str) -> bool:
    """Whether the value is known to be no more than a bound: ``terms`` above 2**20 operand pairs."""
    return name == "terms" and circuit.a.size * circuit.b.size > MAX_EXHAUSTIVE_PAIRS


def text_of(circuit: Circuit, name: str) -> str:
    """Write a metric or cost of a circuit for people, ``-`` where it is not known, ``>=`` before a lower bound."""
    value = value_of(circuit, name)
    if math.isnan(value):
        return "-"
    return (">= " if is_lower_bound(circuit, quantity(name).name) else "") + number(value)


def parse_value(text: str | float, of: Quantity) -> float:
    """Read a value, as ``0.02``, ``"2%"`` or ``"300uW"``, in the unit of a quantity.

    Raises
    ------
    ParameterError
        If it is no number, or its unit is none of the quantity's.

    Examples
    --------
    >>> parse_value("2%", quantity("mre")), parse_value("300 uW", quantity("power"))
    (0.02, 0.3)
    """
    if isinstance(text, int | float) and not isinstance(text, bool) and not math.isnan(text):
        return float(text)
    match = _VALUE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ParameterError(f"{of.name}: {text!r} is no number; write one such as 0.02{_units(of, ' or with a unit')}")
    if not match[2]:
        return float(match[1])
    units = {} if of.is_cost and not of.unit else _SCALES[of.unit]
    if match[2] not in units:
        remedy = "; nmed is the mean absolute error as a fraction of the range" if of.unit == "LSB" else ""
        raise ParameterError(
            f"{of.name} = {text}: {match[2]!r} is no unit of it; write a plain number"
            f"{_units(of, ' or one with')}{remedy}"
        )
    return float(match[1]) * units[match[2]]


def _units(of: Quantity, before: str) -> str:
    units = () if of.is_cost and not of.unit else tuple(_SCALES[of.unit])
    return f"{before} {', '.join(units)}" if units else ""
