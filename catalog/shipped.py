"""The surrogates that the catalog carries: files in ``surrogates/``, loaded by name with NumPy alone.

`catalog.shipping` makes them, ``python -m catalog.build`` writes and verifies them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from catalog.catalog import entry
from multipliers.errors import UnknownNameError

if TYPE_CHECKING:
    from surrogate.model import Surrogate

SUFFIX = ".json"


def shipped_name(label: str, products: int | None = None) -> str:
    """Return the name of a shipped surrogate: the label if it is exact, else the label and the products.

    Examples
    --------
    >>> shipped_name("drum8u_k4"), shipped_name("mitchell8u", 4)
    ('drum8u_k4', 'mitchell8u.p4')
    """
    return label if products is None else f"{label}.p{products}"


@cache
def surrogates(label: str | None = None) -> tuple[str, ...]:
    """Return the names of the shipped surrogates, of one design of the catalog or of all.

    Every entry of up to 8 bits has either one that is exact, whose name is the label, or approximate ones, whose names
    end in the number of products.

    Parameters
    ----------
    label : str, optional
        Label of the design.

    Returns
    -------
    tuple of str
        Sorted by label, then by products.

    Examples
    --------
    >>> surrogates("drum8u_k4"), surrogates("mitchell8u")
    (('drum8u_k4',), ('mitchell8u.p4', 'mitchell8u.p8'))
    """
    folder = resources.files("catalog").joinpath("surrogates")
    found = [file.name.removesuffix(SUFFIX) for file in folder.iterdir() if file.name.endswith(SUFFIX)]
    return tuple(sorted((name for name in found if label in (None, label_of(name))), key=_order))


def surrogate(name: str) -> Surrogate:
    """Load a surrogate that the package carries.

    Parameters
    ----------
    name : str
        One of `surrogates`, or the label of a design: then its exact surrogate, or the one of the most products.

    Returns
    -------
    Surrogate
        Certified on every operand pair.

    Raises
    ------
    UnknownNameError
        If there is none of this name; the message suggests the nearest.
    SurrogateFileError
        If the file is damaged, or stands for other products than the entry of the catalog.

    Examples
    --------
    >>> found = surrogate("drum8u_k4")
    >>> found.formula(), found.is_exact
    ('drum_4(a) drum_4(b)', True)
    >>> surrogate("mitchell8u").n_products
    8
    """
    from surrogate.errors import SurrogateFileError
    from surrogate.io import loads

    known = surrogates()
    chosen = name if name in known else next(iter(reversed(surrogates(name))), None)
    if chosen is None:
        remedy = "The catalog has surrogates of its designs of up to 8 bits; surrogate.discover finds others."
        raise UnknownNameError.of("shipped surrogate", name, known, remedy)
    file = resources.files("catalog").joinpath("surrogates", chosen + SUFFIX)
    found = loads(file.read_bytes(), source=f"shipped surrogate {chosen}")
    if found.multiplier.fingerprint != entry(label_of(chosen)).check:
        raise SurrogateFileError(
            f"shipped surrogate {chosen}: stands for other products than the entry of the catalog; make it anew with "
            f"python -m catalog.build"
        )
    return found


def label_of(name: str) -> str:
    """Return the label of the design that a shipped surrogate stands for."""
    return name.partition(".")[0]


def _order(name: str) -> tuple[str, int]:
    label, _, products = name.partition(".p")
    return label, int(products or 0)
