"""The families of designs, and multipliers by label."""

from __future__ import annotations

from typing import TypeVar

from multipliers.errors import ParameterError, UnknownNameError
from multipliers.multiplier import Design
from multipliers.naming import parse_label
from multipliers.operands import OperandFormat

_FAMILIES: dict[str, type[Design]] = {}
_ALIASES: dict[str, tuple[str, dict[str, int]]] = {}

D = TypeVar("D", bound=type[Design])


def register(design: D) -> D:
    """Class decorator: make a `Design` known under its ``family``.

    A class that is defined again, as when a notebook's cell runs twice, takes the place of its former self.

    Raises
    ------
    ParameterError
        If another class has that family.
    """
    known = _FAMILIES.get(design.family, design)
    if (known.__module__, known.__qualname__) != (design.__module__, design.__qualname__):
        raise ParameterError(f"the family {design.family!r} is taken by {known.__qualname__}; choose another name")
    _FAMILIES[design.family] = design
    _ALIASES.update({alias: (design.family, fixed) for alias, fixed in design.aliases.items()})
    return design


def families() -> dict[str, type[Design]]:
    """Return the registered families, by name."""
    return dict(sorted(_FAMILIES.items()))


def create(family: str, a: OperandFormat, b: OperandFormat, **fields: int) -> Design:
    """Build a design from its family, operand formats and the fields of its class."""
    try:
        design = _FAMILIES[family]
    except KeyError:
        raise UnknownNameError.of("multiplier family", family, _FAMILIES) from None
    try:
        return design(a=a, b=b, **fields)  # type: ignore[call-arg]  # every Design is a dataclass with these fields
    except TypeError:
        raise ParameterError(
            f"{design.__name__} takes the parameters {sorted(design.letters.values())}, got {sorted(fields)}"
        ) from None


def get(label: str) -> Design:
    """Build the multiplier that a label names.

    Parameters
    ----------
    label : str
        Such as ``"drum8u_k4"``, ``"bam8s_h0v3"`` or ``"exact8x4u"``; see `multipliers.naming`. A family may go by
        another name, too: ``"dsm8u_k4"`` is ``"loba8u_v0k4"``.

    Raises
    ------
    UnknownNameError
        If no such family is registered; the message suggests the nearest.
    ParameterError
        If the label does not parse, or its parameters are not those of the family or are out of range.

    Examples
    --------
    >>> int(get("drum8u_k4")(200, 100))
    21632
    """
    parsed = parse_label(label)
    family, fixed = _ALIASES.get(parsed.family, (parsed.family, {}))
    if family not in _FAMILIES:
        raise UnknownNameError.of("multiplier family", family, [*_FAMILIES, *_ALIASES])
    letters = {letter: field for letter, field in _FAMILIES[family].letters.items() if field not in fixed}
    unknown = sorted(set(parsed.parameters) - set(letters))
    if unknown:
        takes = ", ".join(f"{letter} ({field})" for letter, field in letters.items()) or "none"
        raise ParameterError(f"{label!r}: {parsed.family} has no parameter {unknown[0]!r}; it takes {takes}")
    fields = {letters[letter]: value for letter, value in parsed.parameters.items()}
    return create(family, parsed.a, parsed.b, **fixed, **fields)
