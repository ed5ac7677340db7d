"""The table of shipped surrogates, ``docs/reference/surrogates.md``: rank, products, certificate and closed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from catalog.catalog import Entry, families
from catalog.measured import FloatMeasurement, Measured, Measurement
from catalog.shipped import shipped_name
from catalog.shipping import MAX_BITS, MAX_EXACT_PRODUCTS, PRODUCTS, Shipped, shipped_entries
from catalog.text import number, percent
from surrogate import Surrogate, dumps, exact_lengths
from surrogate.basis import Table

_FORMULA = 120
"""Longest formula that is printed whole."""

_HEAD = f"""# Surrogates

Written by `python -m catalog.build`, checked by `python -m catalog.build --check`: change the entries of the catalog,
not this page.

Every design of the catalog of up to {MAX_BITS} bits has a certified surrogate in the package, which
`catalog.surrogate("NAME")` loads with NumPy alone: an exact one up to {MAX_EXACT_PRODUCTS} products, else those of
{" and ".join(map(str, PRODUCTS))} products with int8 factors, beside an additive part that costs nearly nothing; the
mean error of these is the multiplier's own. Beyond {MAX_EXACT_PRODUCTS} products a lookup table may be the faster
engine of an exact simulation; `surrogate.discover` finds exact surrogates of any number of products.

*Ranks* are those of F (products) and E (errors) over the rationals, and *exact* is the number of products that simulate
the design exactly, min(rank F, 1 + rank E); *products* is less where terms have a constant factor. *Wrong* is the
share of products that differ from the multiplier's, *RMS*, *largest* and *bias* are of the residual in LSB, and *left*
is RMS over the RMS of the multiplier's own error. Every certificate is over all operand pairs. *int8* is the longest
dot product of int8 factors that is exact in int32.
"""

_EXACT = ("design", "operands", "rank F", "rank E", "products", "certificate", "pairs", "int8", "bytes", "formula")
_APPROXIMATE = (
    *("design", "operands", "rank F", "rank E", "exact", "products", "wrong", "RMS", "left", "largest", "bias"),
    *("pairs", "bytes"),
)


def surrogates_page(measured: Mapping[str, Measured], shipped: Shipped) -> str:
    """Write the table of shipped surrogates in Markdown.

    Parameters
    ----------
    measured : mapping of str to Measured
        By label, of every entry.
    shipped : mapping of str to Surrogate
        By name, of every entry of up to 8 bits.

    Raises
    ------
    KeyError
        If an entry has no measurement or no surrogate.
    """
    labels = {entry.label for entry in shipped_entries()}
    entries = [entry for family in families() for entry in family.entries if entry.label in labels]
    exact = [entry for entry in entries if shipped_name(entry.label) in shipped]
    others = [entry for entry in entries if shipped_name(entry.label) not in shipped]
    closed = sum(_is_closed(shipped[entry.label]) for entry in exact)
    size = sum(len(dumps(surrogate)) for surrogate in shipped.values())
    return "\n".join(
        [
            _HEAD,
            f"{len(entries)} designs, {len(shipped)} surrogates, {number(round(size / 1024))} KiB.",
            "",
            "## Exact",
            "",
            f"{len(exact)} designs, of which {closed} are wholly in closed form.",
            "",
            _row(_EXACT),
            "|---|---|---:|---:|---:|---|---:|---:|---:|---|",
            *(_exact_row(entry, _measurement(entry, measured), shipped[entry.label]) for entry in exact),
            "",
            "## Approximate",
            "",
            f"{len(others)} designs.",
            "",
            _row(_APPROXIMATE),
            "|---|---|" + "---:|" * (len(_APPROXIMATE) - 2),
            *(
                _approximate_row(entry, _measurement(entry, measured), shipped[shipped_name(entry.label, k)])
                for entry in others
                for k in PRODUCTS
            ),
            "",
        ]
    )


def _measurement(entry: Entry, measured: Mapping[str, Measured]) -> Measurement:
    found = measured[entry.label]
    if isinstance(found, FloatMeasurement):
        raise TypeError(f"{entry.label} is no floating-point multiplier")
    return found


def _exact_row(entry: Entry, m: Measurement, s: Surrogate) -> str:
    certificate = "exact" if s.is_exact else "not exact"
    pairs = number(0 if s.certificate is None else s.certificate.n_pairs)
    length = number(exact_lengths(s.factors())["int8"] or None)
    cells = [f"`{entry.label}`", f"{s.a} x {s.b}", f"{m.product_rank}", f"{m.error_rank}", f"{s.n_products}"]
    return _row([*cells, certificate, pairs, length, number(len(dumps(s))), _formula(s)])


def _approximate_row(entry: Entry, m: Measurement, s: Surrogate) -> str:
    c = s.certificate
    if c is None:
        raise TypeError(f"{entry.label}: a shipped surrogate has a certificate")
    cells = [f"`{entry.label}`", f"{s.a} x {s.b}", f"{m.product_rank}", f"{m.error_rank}", f"{m.n_exact_products}"]
    left = percent(c.rms_residual / m.metrics.rmse)
    cells += [f"{s.n_products}", percent(c.share_different), f"{c.rms_residual:.4g}", left]
    cells += [f"{c.max_abs_residual:.4g}", f"{c.residual_bias:g}", number(c.n_pairs), number(len(dumps(s)))]
    return _row(cells)


def _is_closed(surrogate: Surrogate) -> bool:
    return not any(isinstance(f, Table) for term in surrogate.terms for f in (term.a, term.b))


def _formula(surrogate: Surrogate) -> str:
    """Return the formula of a surrogate in closed form, cut after a term where it is long; else how much is tables."""
    functions = [f for term in surrogate.terms for f in (term.a, term.b)]
    n_tables = sum(isinstance(f, Table) for f in functions)
    if n_tables:
        return f"{n_tables} of {len(functions)} factors are tables"
    text = ""
    for i, term in enumerate(surrogate.terms):
        longer = f"{text} + {term.formula()}".replace("+ -", "- ") if text else term.formula()
        if len(longer) > _FORMULA:
            rest = surrogate.n_terms - i
            return f"`{text}` ... {rest} more terms" if text else f"{rest} terms"
        text = longer
    return f"`{text}`"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
