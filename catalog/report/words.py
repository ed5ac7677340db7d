"""What a multiplier does, in plain sentences."""

from __future__ import annotations

from catalog.report.typeset import number, percent
from multipliers.characterise import Characterisation


def sentences(c: Characterisation) -> tuple[str, ...]:
    """Say what matters most of a multiplier: exactness, bias, extremes, zeros, signs, and what simulates it.

    Examples
    --------
    >>> from multipliers import get
    >>> from multipliers.characterise import characterise
    >>> sentences(characterise(get("exact4u")))[0]
    'It is exact: all 256 products equal a × b.'
    """
    return (_exactness(c), *_bias(c), *_extremes(c), _zeros(c), *_symmetry(c), _rank(c))


def _pairs(c: Characterisation) -> str:
    m = c.metrics
    if m.comparison == "sampled":
        return f"the {number(m.n_pairs)} sampled operand pairs"
    possible = "operand pairs that occur" if m.weighted else "operand pairs"
    return f"all {number(m.n_pairs)} {possible}"


def _exactness(c: Characterisation) -> str:
    m = c.metrics
    if m.wce:
        weighted = " under the given operand distributions" if m.weighted else ""
        return f"{percent(m.error_probability)} of the products are wrong{weighted} (over {_pairs(c)})."
    if m.comparison == "sampled":
        return f"No error was seen in {number(m.n_pairs)} sampled products; that does not prove it exact."
    return f"It is exact: all {number(m.n_pairs)} products{' that occur' if m.weighted else ''} equal a × b."


def _bias(c: Characterisation) -> list[str]:
    m = c.metrics
    if not m.wce:
        return []
    if m.mean_error == 0:
        return ["It is unbiased: errors cancel on average, so they do not pile up in long sums."]
    side = "too small" if m.mean_error < 0 else "too large"
    only = ""
    if not m.positive_error_probability or not m.negative_error_probability:
        only = f"; it {'never overestimates' if m.mean_error < 0 else 'never underestimates'}"
        only += " in the sample" if m.comparison == "sampled" else ""
    said = [f"On average a product is {number(abs(m.mean_error))} LSB {side}{only}."]
    if m.sd == 0:
        return [*said, "Every product is off by the same amount, which one constant corrects."]
    length = (m.sd / m.mean_error) ** 2
    if length < 1e6:
        these = f"longer than {number(int(length))}" if length >= 1 else "of any length"
        said.append(f"The bias outweighs the random error (SD {number(m.sd)} LSB) in dot products {these}.")
    else:
        said.append(f"Against the random error (SD {number(m.sd)} LSB) the bias is negligible.")
    return said


def _extremes(c: Characterisation) -> list[str]:
    m = c.metrics
    if not m.wce:
        return []
    seen = " seen" if m.comparison == "sampled" else ""
    return [f"The largest error{seen} is {number(m.wce)} LSB; relative to the product it reaches {percent(m.wcre)}."]


def _zeros(c: Characterisation) -> str:
    s = c.structure
    if s.zero_preserving_a and s.zero_preserving_b:
        sampled = " at every sampled value" if s.comparison == "sampled" else ""
        return f"A zero operand gives zero{sampled}, so padding and skipped zeros are harmless."
    broken = [law for law, kept in (("f(0, b)", s.zero_preserving_a), ("f(a, 0)", s.zero_preserving_b)) if not kept]
    return f"Zero is not preserved: {' and '.join(broken)} can differ from 0, so padded zeros add errors to a sum."


def _symmetry(c: Characterisation) -> list[str]:
    s = c.structure
    said = []
    if s.commutative is False:
        said.append("The order of the operands matters: f(a, b) and f(b, a) can differ.")
    if s.sign_symmetric_a is False or s.sign_symmetric_b is False:
        said.append("Negating an operand does not always negate the product.")
    return said


def _rank(c: Characterisation) -> str:
    n = c.n_exact_products
    if not c.complete:
        return (
            f"Exact simulation takes {number(n)} ordinary product{'s' if n > 1 else ''} at least "
            f"(rank of a random {c.error_spectrum.n_rows} × {c.error_spectrum.n_columns} part of its table)."
        )
    if n == 1:
        return "One ordinary product of transformed operands simulates it exactly."
    return f"{number(n)} ordinary products simulate it exactly, in place of a table of {number(c.a.size * c.b.size)}."
