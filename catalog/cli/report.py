"""What is told of one surrogate, in JSON and in tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from catalog.cli.console import number, percent, plain, print_line
from catalog.cli.grid import Grid

if TYPE_CHECKING:
    from catalog.cli.objective import Choice
    from multipliers.operands import OperandFormat
    from surrogate.arithmetic import FactorReport
    from surrogate.basis import BasisFunction
    from surrogate.certificate import Certificate
    from surrogate.fit.explain import Explanation
    from surrogate.model import Surrogate

MAX_TABULATED = 1 << 18
"""Widest operand (number of values) whose factors are tabulated for a report."""


@dataclass(frozen=True)
class Found:
    """A surrogate that was discovered, and what it took.

    Attributes
    ----------
    surrogate : Surrogate
    seconds : float
        Time to fit and to certify.
    n_bytes : int
        Size of its file.
    choice : Choice or None
        How it was chosen, where an objective was given.
    explanation : Explanation or None
        Its closed form, where that was asked for; ``surrogate`` then is in closed form.
    """

    surrogate: Surrogate
    seconds: float
    n_bytes: int
    choice: Choice | None = None
    explanation: Explanation | None = None

    @property
    def named(self) -> str:
        """How many factors are in closed form."""
        found = self.explanation
        return "-" if found is None else f"{number(found.n_named)} of {number(found.n_factors)}"


def exact_lengths(surrogate: Surrogate) -> dict[str, int] | None:
    """Longest exact dot product per datatype; None where the operands are too wide to tabulate."""
    from surrogate.arithmetic import exact_lengths

    if max(surrogate.a.size, surrogate.b.size) > MAX_TABULATED:
        return None
    return exact_lengths(surrogate.factors())


def _factors(surrogate: Surrogate) -> FactorReport | None:
    """Widths of the factors; None of floats, and where the operands are too wide to tabulate."""
    from surrogate.arithmetic import FactorReport

    if not surrogate.is_integer or max(surrogate.a.size, surrogate.b.size) > MAX_TABULATED:
        return None
    return FactorReport.of(surrogate.factors())


def _widths(surrogate: Surrogate) -> list[tuple[str, str]]:
    """Return the widths of the factors and the narrowest datatype that holds them, as labels and values."""
    report = _factors(surrogate)
    if report is None:
        return []
    rows = [("factors of a", " ".join(map(str, report.a))), ("factors of b", " ".join(map(str, report.b)))]
    rows += [
        (f"sum over {operand} alone", str(width))
        for operand, width in (("a", report.additive_a), ("b", report.additive_b))
        if width is not None
    ]
    return [*rows, ("narrowest datatype", next(iter(report.datatypes), "none"))]


def as_dict(surrogate: Surrogate) -> dict[str, Any]:
    """Return what is told of a surrogate, but for the values of its tables, as plain values."""
    certificate = surrogate.certificate
    return {
        "multiplier": surrogate.multiplier.to_dict(),
        "provenance": surrogate.provenance.to_dict(),
        "formula": surrogate.formula(),
        "n_terms": surrogate.n_terms,
        "n_products": surrogate.n_products,
        "is_integer": surrogate.is_integer,
        "is_exact": surrogate.is_exact,
        "certificate": None if certificate is None else certificate.to_dict(),
        "share_different": None if certificate is None else certificate.share_different,
        "factors": None if (factors := _factors(surrogate)) is None else factors.to_dict(),
        "exact_lengths": exact_lengths(surrogate),
    }


def compared(certificate: Certificate) -> str:
    """Say which operand pairs were compared."""
    pairs = f"{number(certificate.n_pairs)} pairs"
    return f"{'all' if certificate.every_pair else 'random'} {pairs}"


def _exactness(surrogate: Surrogate, certificate: Certificate) -> str:
    if surrogate.is_exact:
        return "yes, proven"
    if certificate.n_different:
        return "no"
    how = "" if surrogate.is_integer else ", once rounded"
    return ("yes" if certificate.every_pair else "not refuted") + how


def residual(value: float) -> str:
    """Write a residual in LSB; what only the rounding of floats leaves is not spelt out.

    Examples
    --------
    >>> residual(0.0), residual(-3.58e-13), residual(-0.15)
    ('0', '< 1e-9', '-0.15')
    """
    return "< 1e-9" if 0 < abs(value) < 1e-9 else number(value)


def measures(surrogate: Surrogate) -> list[tuple[str, str]]:
    """Return the size and the certificate of a surrogate, as labels and values."""
    c = surrogate.certificate
    rows = [("terms", number(surrogate.n_terms)), ("products per layer", number(surrogate.n_products))]
    if c is None:
        return [*rows, ("certificate", "none")]
    return [
        *rows,
        ("exact", _exactness(surrogate, c)),
        ("wrong products", percent(c.share_different)),
        ("largest residual (LSB)", residual(c.max_abs_residual)),
        ("RMS residual (LSB)", residual(c.rms_residual)),
        ("bias (LSB)", residual(c.residual_bias)),
        ("compared", compared(c)),
    ]


def lengths(surrogate: Surrogate) -> list[tuple[str, str]]:
    """Return the longest exact dot product per datatype, as labels and values."""
    from surrogate.arithmetic import ARITHMETICS

    found = exact_lengths(surrogate)
    names = {n: n if n == x.accumulator else f"{n}, {x.accumulator} sum" for n, x in ARITHMETICS.items()}
    if found is None:
        return []
    return [(f"  {names[name]}", number(length) if length else "none") for name, length in found.items()]


NAMED = "factors in closed form"
LENGTHS_HEADING = "longest exact dot product"


def print_comparison(found: Sequence[Found], names: Sequence[str], title: str, markdown: bool = False) -> None:
    """Print one column per surrogate of one multiplier."""
    columns = [measures(f.surrogate) for f in found]
    rows = [(columns[0][i][0], *(c[i][1] for c in columns)) for i in range(len(columns[0]))]
    rows.append(("seconds", *(f"{f.seconds:.2f}" for f in found)))
    rows.append(("file size (bytes)", *(number(f.n_bytes) for f in found)))
    if any(f.explanation is not None for f in found):
        rows.append((NAMED, *(f.named for f in found)))
    by_type = [lengths(f.surrogate) for f in found]
    if all(by_type):
        rows.append((LENGTHS_HEADING, *("" for _ in found)))
        rows += [(by_type[0][i][0], *(c[i][1] for c in by_type)) for i in range(len(by_type[0]))]
    grid = Grid(title, [("", ""), *(("", name) for name in names)], rows=list(rows))
    if markdown:
        typer.echo(grid.markdown(), nl=False)
    else:
        grid.print()


def print_surrogate(surrogate: Surrogate, found: Found | None = None) -> None:
    """Print everything about a surrogate."""
    reference, provenance = surrogate.multiplier, surrogate.provenance
    identity = "fingerprint" if reference.fingerprint_of == "table" else "sample fingerprint"
    options = ", ".join(f"{name} {value}" for name, value in provenance.options)
    rows = [
        ("multiplier", plain(reference.name)),
        ("operands", f"{reference.a} x {reference.b}"),
        (identity, reference.fingerprint),
        ("found by", plain(f"{provenance.method} ({options})" if options else provenance.method)),
        ("version", plain(provenance.version)),
        *measures(surrogate),
    ]
    if found is not None:
        rows += [("seconds", f"{found.seconds:.2f}"), ("file size (bytes)", number(found.n_bytes))]
        if found.explanation is not None:
            rows.append((NAMED, found.named))
    rows += _widths(surrogate)
    by_type = lengths(surrogate)
    if by_type and surrogate.is_integer:
        rows += [(LENGTHS_HEADING, ""), *by_type]
    elif by_type:
        rows.append((LENGTHS_HEADING, "none, its factors are not integers"))
    Grid("Surrogate", [("", ""), ("", "")], frozenset({0, 1}), list(rows)).print()
    print_line("")
    names = [("", n) for n in ("", "coefficient", "g(a)", "values", "h(b)", "values")]
    grid = Grid("Terms: coefficient g(a) h(b)", names, frozenset({2, 3, 4, 5}))
    for i, term in enumerate(surrogate.terms, 1):
        cells = (term.a.formula("a"), _values(term.a, surrogate.a), term.b.formula("b"), _values(term.b, surrogate.b))
        grid.rows.append((number(i), number(term.coefficient), *cells))
    grid.print()
    print_line(f"Formula: {surrogate.formula()}")
    if found is not None and found.explanation is not None:
        print_words(surrogate)
    for line in () if found is None or found.choice is None else found.choice.lines():
        print_line(line)


def print_words(surrogate: Surrogate) -> None:
    """Print a surrogate in plain words."""
    from surrogate.export import to_words

    print_line("")
    for line in to_words(surrogate).splitlines():
        print_line(line)


def _values(function: BasisFunction, operand: OperandFormat) -> str:
    """Say the range of a function on an operand."""
    if operand.size > MAX_TABULATED:
        return ""
    values = function.tabulate(operand)
    low, high = (v.item() for v in (values.min(), values.max()))
    return number(low) if low == high else f"{number(low)} ... {number(high)}"
