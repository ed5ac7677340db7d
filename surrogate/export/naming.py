"""Text from a surrogate made safe for source code, and its tables under names."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from surrogate.basis import BasisFunction, LeadingOneTable, Table
from surrogate.errors import SurrogateError
from surrogate.model import Surrogate

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_identifier(name: str, reserved: frozenset[str] = frozenset()) -> str:
    """Return ``name`` if it can name a function.

    Raises
    ------
    SurrogateError
        If it is not an ASCII identifier, or is reserved in the language.
    """
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) or keyword.iskeyword(name) or name in reserved:
        raise SurrogateError(f"the function name must be an identifier such as 'multiply', got {name!r:.80}")
    return name


def headline(surrogate: Surrogate) -> str:
    """Say in one line of harmless characters what the source computes."""
    certificate = surrogate.certificate
    if certificate is None:
        state = "not compared with it"
    elif surrogate.is_exact:
        state = f"equal on all {certificate.n_pairs} operand pairs"
    else:
        which = "all" if certificate.every_pair else "sampled"
        state = (
            f"{certificate.n_different} of {certificate.n_pairs} {which} products differ, "
            f"by at most {certificate.max_abs_residual:.6g}"
        )
    name = re.sub(r"[^A-Za-z0-9_. +-]", "_", surrogate.multiplier.name)[:100]
    return f"Multiplier {name} ({surrogate.a} x {surrogate.b}), separable model: {state}"


def components(surrogate: Surrogate) -> Iterator[BasisFunction]:
    """Yield the basis functions of a surrogate and what these are made of."""
    for term in surrogate.terms:
        for function in (term.a, term.b):
            yield from function.components


def name_tables(surrogate: Surrogate, prefix: str) -> dict[Table | LeadingOneTable, str]:
    """Name the distinct tables of a surrogate, ``<prefix>0``, ``<prefix>1``, ..."""
    names: dict[Table | LeadingOneTable, str] = {}
    for function in components(surrogate):
        if isinstance(function, Table | LeadingOneTable) and function not in names:
            names[function] = f"{prefix}{len(names)}"
    return names
