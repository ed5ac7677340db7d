"""Making the surrogates that the catalog carries: exact where few products suffice, else approximate ones.

An exact surrogate is written in closed form where all of its factors have one, or where that is the shorter file. It is
found in integers, so it is the same bytes on every machine.

An approximate one rests on singular vectors in floating point, whose last bits differ between machines. Its factors are
int8, its coefficients multiples of `COEFFICIENT_STEP` and its additive part integers, so those bits hardly ever tell;
and what is certified is what is stored. Where an ill-conditioned rounding does come out otherwise, a stored file
still passes if its certificate holds when it is measured anew, and if it leaves no more than `SLACK` times the residual
of the one that was found (`agree`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.catalog import Entry, entries
from catalog.shipped import SUFFIX, label_of, shipped_name
from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.naming import parse_label
from multipliers.table import TableMultiplier
from surrogate import Surrogate, Term, certify, discover, dumps, explain, loads
from surrogate.basis import BasisFunction, Constant, Table
from surrogate.errors import FitError, SurrogateFileError
from surrogate.model import Provenance

MAX_BITS = 8
"""Widest operand of designs whose surrogates are shipped."""

MAX_EXACT_PRODUCTS = 16
"""Up to so many products the exact surrogate is shipped: beyond, files are large and a table is the faster engine."""

PRODUCTS = (4, 8)
"""Products of the approximate surrogates of all other designs."""

COEFFICIENT_STEP = 2.0**-18
"""Coefficients of approximate surrogates are multiples of it: rounding moves no int8 product by more than 0.03 LSB."""

SLACK = 1.01
"""How much more residual a stored approximate surrogate may leave than the one that is found on another machine."""

Shipped = Mapping[str, Surrogate]
"""Surrogates by name (`catalog.shipped.surrogates`)."""


def shipped_entries() -> list[Entry]:
    """Return the entries of the catalog that have shipped surrogates."""
    return [e for e in entries() if max(x.bits for x in (parse_label(e.label).a, parse_label(e.label).b)) <= MAX_BITS]


def make(entry: Entry) -> dict[str, Surrogate]:
    """Find the surrogates that are shipped of an entry, by name.

    Examples
    --------
    >>> from catalog import entry
    >>> make(entry("trunc8u_t2"))["trunc8u_t2"].formula()
    'trunc_2(a) trunc_2(b)'
    """
    built = entry.build()
    multiplier = TableMultiplier(built.table(), built.a, built.b, built.name)
    try:
        exact = discover(multiplier, "exact", terms=MAX_EXACT_PRODUCTS)
    except FitError:  # more products
        return {shipped_name(entry.label, k): _approximate(multiplier, k) for k in PRODUCTS}
    explanation = explain(exact)
    written = explanation.surrogate
    shorter = explanation.complete or len(dumps(written)) <= len(dumps(exact))
    return {shipped_name(entry.label): written if shorter else exact}


def _approximate(multiplier: Multiplier, products: int) -> Surrogate:
    """Find the best ``products`` int8 products, rounded so that little depends on the last bits of floats.

    The residual has mean 0, exactly: all values are multiples of a power of two, and so is their mean.
    """
    found = discover(multiplier, "lowrank", products=products, factors="int8")
    terms = [_canonical(t) for t in found.terms if Constant() not in (t.a, t.b)]
    rest = multiplier.table().astype(np.float64)
    for term in terms:
        rest -= term.coefficient * np.multiply.outer(term.a.tabulate(multiplier.a), term.b.tabulate(multiplier.b))
    of_a = np.round(rest.mean(axis=1))
    rest -= of_a[:, None]
    of_b = np.round(rest.mean(axis=0))
    rest -= of_b
    constant = Constant()
    terms += [
        Term(1, Table(multiplier.a, _integers(of_a)), constant),
        Term(1, constant, Table(multiplier.b, _integers(of_b))),
        Term(float(rest.mean()), constant, constant),
    ]
    options = (*found.provenance.options, ("rounded", True))
    provenance = Provenance(found.provenance.method, options, found.provenance.version)
    kept = [t for t in terms if t.coefficient != 0 and not any(_vanishes(f) for f in (t.a, t.b))]
    return certify(Surrogate(kept, found.multiplier, provenance), multiplier)


def _canonical(term: Term) -> Term:
    """Round the coefficient, and choose the signs of both factors: those of singular vectors are arbitrary."""
    coefficient = round(term.coefficient / COEFFICIENT_STEP) * COEFFICIENT_STEP
    assert isinstance(term.a, Table)  # the factors of int8 products are
    assert isinstance(term.b, Table)
    values = term.a.values[np.flatnonzero(term.a.values)]
    if values.size == 0 or values[0] > 0:
        return replace(term, coefficient=coefficient)
    return Term(coefficient, Table(term.a.operand, -term.a.values), Table(term.b.operand, -term.b.values))


def _integers(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return values.astype(np.int64)


def _vanishes(function: BasisFunction) -> bool:
    return isinstance(function, Table) and not function.values.any()


def agree(found: Surrogate, stored: Surrogate) -> bool:
    """Whether a stored surrogate is as good as the one that was found: an approximate one within `SLACK`.

    An exact one must have the same bytes, but for the release that found it.

    Examples
    --------
    >>> from catalog import entry, surrogate
    >>> agree(make(entry("exact8u"))["exact8u"], surrogate("exact8u"))
    True
    """
    if dumps(_of_release(found, stored.provenance.version)) == dumps(stored):
        return True
    if found.is_exact or found.multiplier != stored.multiplier or found.certificate is None:
        return False
    if stored.certificate is None or stored.n_products > found.n_products:
        return False
    return stored.certificate.rms_residual <= SLACK * found.certificate.rms_residual


def settled(found: Shipped, stored: Shipped) -> dict[str, Surrogate]:
    """Return what is to be stored: what is stored where it is as good as what was found, else the latter."""
    return {name: s if differences({name: s}, stored) else stored[name] for name, s in found.items()}


def differences(found: Shipped, stored: Shipped) -> list[str]:
    """Say where surrogates are not those stored, a line for each that differs."""
    lines = []
    known = {entry.label: entry for entry in shipped_entries()}
    for name, surrogate in found.items():
        if name not in stored:
            lines.append(f"surrogate {name}: none is stored; run python -m catalog.build")
            continue
        kept = stored[name]
        if not agree(surrogate, kept):
            lines.append(f"surrogate {name}: found anew as {_about(surrogate)}, stored is {_about(kept)}")
        elif dumps(kept) != dumps(_of_release(surrogate, kept.provenance.version)):
            lines += _refuted(name, kept, known[label_of(name)].build())
    return lines


def _refuted(name: str, stored: Surrogate, multiplier: Multiplier) -> list[str]:
    """Measure the certificate of a stored surrogate anew."""
    try:
        loads(dumps(stored), multiplier, verify=True, source=f"surrogate {name}")
    except SurrogateFileError as error:
        return [str(error)]
    return []


def _about(surrogate: Surrogate) -> str:
    certificate = surrogate.certificate
    left = "without certificate" if certificate is None else f"RMS residual {certificate.rms_residual:.6g}"
    return f"{surrogate.n_products} products, {left}, {len(dumps(surrogate))} bytes"


def _of_release(surrogate: Surrogate, release: str) -> Surrogate:
    return Surrogate(
        surrogate.terms,
        surrogate.multiplier,
        replace(surrogate.provenance, version=release),
        surrogate.certificate,
    )


def missing(shipped: Shipped) -> list[str]:
    """Return the labels of entries that have neither an exact surrogate nor every approximate one."""
    labels = [entry.label for entry in shipped_entries()]
    return [x for x in labels if x not in shipped and any(shipped_name(x, k) not in shipped for k in PRODUCTS)]


def read(folder: Path) -> tuple[dict[str, Surrogate], list[str]]:
    """Read the surrogates of a folder, by name, and say which files are none, or have bytes that are not canonical."""
    found: dict[str, Surrogate] = {}
    wrong = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        data = path.read_bytes()
        try:
            surrogate = loads(data, source=path.name)
        except SurrogateFileError as error:
            wrong.append(str(error))
            continue
        if dumps(surrogate) != data:
            wrong.append(f"{path.name} is not what this version writes; run python -m catalog.build")
        found[path.name.removesuffix(SUFFIX)] = surrogate
    return found, wrong


def write(shipped: Shipped, folder: Path) -> None:
    """Make a folder hold exactly these surrogates."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name.removesuffix(SUFFIX) not in shipped:
            path.unlink()
    for name, surrogate in shipped.items():
        path, data = folder / f"{name}{SUFFIX}", dumps(surrogate)
        if not path.is_file() or path.read_bytes() != data:
            write_atomically(path, data)
