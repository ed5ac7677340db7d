"""Closed forms: the same surrogate, its factors written by named functions where such are found."""

from __future__ import annotations

from dataclasses import dataclass

from multipliers.release import release
from surrogate.basis import Constant, Identity, Table
from surrogate.errors import FitError
from surrogate.model import Provenance, Surrogate


@dataclass(frozen=True)
class Explanation:
    """A surrogate in closed form.

    Attributes
    ----------
    surrogate : Surrogate
        Equal to the one that was explained, on every operand pair; it carries that one's certificate.
    n_factors : int
        Factors of its terms, two each; constants are not counted.
    n_named : int
        How many of them are no table.
    """

    surrogate: Surrogate
    n_factors: int
    n_named: int

    @property
    def complete(self) -> bool:
        """Whether every factor is in closed form."""
        return self.n_named == self.n_factors


def explain(surrogate: Surrogate) -> Explanation:
    """Write a surrogate by named functions, without changing a product.

    Parameters
    ----------
    surrogate : Surrogate
        Made of integers, such as `surrogate.discover` finds with ``method="exact"``.

    Returns
    -------
    Explanation
        Factors that no short combination of named functions gives stay tables.

    Raises
    ------
    FitError
        If the surrogate is not made of integers.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> explain(surrogate.discover(multipliers.get("bam8s_h0v2"))).surrogate.formula()
    'a b - (a mod 2) (b mod 4) - 2 bit_1(a) (b mod 2)'
    """
    if not surrogate.is_integer:
        raise FitError(
            f"the surrogate of {surrogate.multiplier.name} has factors or coefficients that are no integers; a closed "
            f"form is sought for models of integers: take method='exact'"
        )
    from surrogate.fit.closed_form import closed_form, same_function

    accurate = [t for t in surrogate.terms if t.a == t.b == Identity()]
    rest = [t for t in surrogate.terms if t not in accurate]
    written = surrogate
    if any(isinstance(f, Table) for t in rest for f in (t.a, t.b)):
        options = (*surrogate.provenance.options, ("explained", True))
        provenance = Provenance(surrogate.provenance.method, options, release())
        terms = [*accurate, *closed_form(surrogate, rest)]
        written = Surrogate(terms, surrogate.multiplier, provenance, surrogate.certificate)
        if written.n_products > surrogate.n_products:  # a basis without the constant 1: write additive terms one by one
            additive = [t for t in rest if Constant() in (t.a, t.b)]
            parts = [[t for t in rest if t not in additive], *([t] for t in additive)]
            terms = [*accurate, *(t for part in parts for t in closed_form(surrogate, part))]
            written = Surrogate(terms, surrogate.multiplier, provenance, surrogate.certificate)
        if not same_function(written, surrogate):
            raise FitError(f"{surrogate.multiplier.name}: the closed form differs from the surrogate; report this")
    factors = [f for term in written.terms for f in (term.a, term.b) if not isinstance(f, Constant)]
    return Explanation(written, len(factors), sum(not isinstance(f, Table) for f in factors))
