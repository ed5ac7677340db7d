"""Which circuits: filters by formats, names, metrics and costs; and sorting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from catalog.circuit import Circuit
from catalog.measured import circuits as catalog_circuits
from catalog.quantities import Quantity, parse_value, quantity, size_of, value_of
from catalog.text import number
from multipliers.errors import ParameterError, UnknownNameError
from multipliers.operands import OperandFormat

Value = str | float


class Selection(NamedTuple):
    """What a `Query` found, and where nothing is left, which filter removed the last circuits."""

    circuits: list[Circuit]
    emptied_by: str


class _Filter(NamedTuple):
    """One filter: what it asks for, what it keeps, and if it is a range, of what."""

    text: str
    keeps: Callable[[Circuit], bool]
    of: Quantity | None = None


@dataclass(frozen=True)
class Query:
    """What circuits are sought; what is None is not asked for.

    Attributes
    ----------
    bits : int or None
        Width of both operands.
    a, b : str or None
        Format of an operand, such as ``"8u"``.
    signed : bool or None
        Whether both operands are signed, or both unsigned.
    family : str or None
        Family of the design, see `Circuit.family`.
    origin : str or None
        Where it is from, see `Circuit.origin`; a part or a pattern, as for ``name``.
    name : str or None
        Part of the name; with ``*`` or ``?`` a pattern of the whole name. Capitals count as small letters.
    minimum, maximum : mapping of str to str or float
        Least and largest value of metrics and costs, both included, in the units of `catalog.quantities`, or as text
        with a unit (``"2%"``, ``"300uW"``). A circuit whose value is not known does not pass.

    Raises
    ------
    ParameterError
        For a format or a value that cannot be read.
    UnknownNameError
        For an unknown metric or cost.
    """

    bits: int | None = None
    a: str | None = None
    b: str | None = None
    signed: bool | None = None
    family: str | None = None
    origin: str | None = None
    name: str | None = None
    minimum: Mapping[str, Value] = field(default_factory=dict, hash=False)
    maximum: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        self._filters()

    def select(self, circuits: Iterable[Circuit]) -> Selection:
        """Apply the filters one after the other.

        Raises
        ------
        UnknownNameError
            If none of the circuits is of the family; the message suggests the nearest.
        """
        left = list(circuits)
        if self.family is not None:
            known = {circuit.family for circuit in left}
            if known and self.family not in known:
                raise UnknownNameError.of("family", self.family, known)
        if not left:
            return Selection([], "there are no circuits to choose from")
        for condition in self._filters():
            kept = [circuit for circuit in left if condition.keeps(circuit)]
            if not kept:
                return Selection([], _emptied(condition, left))
            left = kept
        return Selection(left, "")

    def _filters(self) -> list[_Filter]:
        found = []
        if self.bits is not None:
            OperandFormat(self.bits)
            found.append(_Filter(f"{self.bits} bits", lambda c: c.a.bits == c.b.bits == self.bits))
        if self.a is not None:
            a = OperandFormat.parse(self.a)
            found.append(_Filter(f"operand a {a}", lambda c: c.a == a))
        if self.b is not None:
            b = OperandFormat.parse(self.b)
            found.append(_Filter(f"operand b {b}", lambda c: c.b == b))
        if self.signed is not None:
            text = "signed operands" if self.signed else "unsigned operands"
            found.append(_Filter(text, lambda c: c.a.signed == c.b.signed == self.signed))
        if self.family is not None:
            found.append(_Filter(f"family {self.family}", lambda c: c.family == self.family))
        if self.origin is not None:
            origin = _pattern(self.origin)
            found.append(_Filter(f"origin {self.origin}", lambda c: fnmatchcase(c.origin.lower(), origin)))
        if self.name is not None:
            name = _pattern(self.name)
            found.append(_Filter(f"name {self.name}", lambda c: fnmatchcase(c.name.lower(), name)))
        return [
            *found,
            *(_range(name, value, "at least") for name, value in self.minimum.items()),
            *(_range(name, value, "at most") for name, value in self.maximum.items()),
        ]


def _pattern(text: str) -> str:
    lower = text.lower()
    return lower if any(letter in lower for letter in "*?[") else f"*{lower}*"


def _range(name: str, value: Value, side: str) -> _Filter:
    of = quantity(name)
    limit = parse_value(value, of)

    def keeps(circuit: Circuit) -> bool:
        found = value_of(circuit, of.name)
        return found <= limit if side == "at most" else found >= limit  # not if it is NaN, which is not known

    unit = f" {of.unit}" if of.unit else ""
    return _Filter(f"{of.name} {side} {number(limit)}{unit}", keeps, of)


def _emptied(condition: _Filter, left: Sequence[Circuit]) -> str:
    """Say that a filter removed what was left, and what it would have had to allow."""
    last = f"the last {len(left)} circuits" if len(left) > 1 else "the last circuit"
    text = f"{condition.text!r} removed {last}"
    if condition.of is None:
        return text
    values = [value for c in left if not math.isnan(value := value_of(c, condition.of.name))]
    if not values:
        return f"{text}: none has a known {condition.of.name}"
    low, high = number(min(values)), number(max(values))
    return f"{text}: {condition.of.name} is {low}" + (f" to {high}" if high != low else "")


def search(
    circuits: Iterable[Circuit] | None = None,
    *,
    sort: str | None = None,
    descending: bool = False,
    limit: int | None = None,
    **filters: Any,
) -> list[Circuit]:
    """Return the circuits that pass all filters.

    Parameters
    ----------
    circuits : iterable of Circuit, optional
        Where to search: by default the package's own catalog, `catalog.circuits`.
    sort : str, optional
        Metric or cost by which to sort, or ``"name"``; without it they keep their order. Circuits of which it is not
        known come last, whichever way; signed metrics are sorted by magnitude.
    descending : bool
        Whether the largest come first.
    limit : int, optional
        Most circuits to return.
    **filters
        Fields of `Query`: ``bits``, ``a``, ``b``, ``signed``, ``family``, ``origin``, ``name``, ``minimum`` and
        ``maximum``.

    Raises
    ------
    ParameterError, UnknownNameError
        As for `Query`; for an unknown filter, or a limit below 1.

    Examples
    --------
    >>> found = search(bits=8, signed=False, family="drum", maximum={"mre": "6%", "terms": 2}, sort="mre")
    >>> [c.name for c in found]
    ['drum8u_k4']
    """
    unknown = sorted(set(filters) - set(Query.__dataclass_fields__))
    if unknown:
        raise UnknownNameError.of("filter", unknown[0], Query.__dataclass_fields__)
    chosen = Query(**filters).select(catalog_circuits() if circuits is None else circuits).circuits
    return ordered(chosen, sort, descending, limit)


def ordered(
    circuits: Iterable[Circuit], sort: str | None = None, descending: bool = False, limit: int | None = None
) -> list[Circuit]:
    """Sort circuits and keep the first; see `search`."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ParameterError(f"limit must be a number of circuits from 1, got {limit!r}")
    found = list(circuits)
    if sort == "name":
        found.sort(key=lambda circuit: (circuit.name, circuit.origin), reverse=descending)
    elif sort is not None:
        name = quantity(sort).name
        sign = -1.0 if descending else 1.0
        sizes = {id(circuit): size_of(circuit, name) for circuit in found}
        # what is not known comes last, whichever way
        found.sort(key=lambda c: (math.isnan(sizes[id(c)]), 0.0 if math.isnan(sizes[id(c)]) else sign * sizes[id(c)]))
    return found[:limit]
