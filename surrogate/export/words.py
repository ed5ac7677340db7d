"""A surrogate in plain words: what a multiplier does, for people who do not read formulas."""

from __future__ import annotations

from surrogate.basis import (
    AllBits,
    BasisFunction,
    Bit,
    Constant,
    Identity,
    IsZero,
    LeadingOneTable,
    LeadingOneTruncate,
    Mod,
    NearestPower,
    Odd,
    Sign,
    Sum,
    Table,
    Truncate,
    Window,
)
from surrogate.export.naming import headline
from surrogate.model import Surrogate, Term


def to_words(surrogate: Surrogate) -> str:
    """Describe a surrogate, a line for each term.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> print(to_words(surrogate.explain(surrogate.discover(multipliers.get("bam8s_h0v2"))).surrogate))
    Multiplier bam8s_h0v2 (8s x 8s), separable model: equal on all 65536 operand pairs.
    It is the sum of
      + the accurate product a b
      - (the lowest bit of a) times (the lowest 2 bits of b as a number)
      - 2 times (bit 1 of a) times (the lowest bit of b)
    """
    lines = [f"{headline(surrogate)}."]
    if not surrogate.terms:
        return lines[0] + "\nIt is 0 for all operands.\n"
    lines.append("It is the sum of" if len(surrogate.terms) > 1 else "It is")
    lines += [f"  {_term(term)}" for term in surrogate.terms]
    ignored = [_ignored(term, variable) for term in surrogate.terms[:1] for variable in "ab"]
    if len(surrogate.terms) == 1:
        lines += [f"so {text}." for text in ignored if text]
    return "\n".join(lines) + "\n"


def _term(term: Term) -> str:
    sign, size = ("-" if term.coefficient < 0 else "+"), abs(term.coefficient)
    if term.a == term.b == Identity():
        words = "the accurate product a b"
    else:
        factors = [(f, v) for f, v in ((term.a, "a"), (term.b, "b")) if f != Constant()]
        words = " times ".join(v if f == Identity() else f"({_function(f, v)})" for f, v in factors)
    number = f"{size}" if isinstance(size, int) else f"{size:.6g}"
    if not words:
        return f"{sign} {number}"
    return f"{sign} {words}" if size == 1 else f"{sign} {number} times {words}"


def _function(function: BasisFunction, x: str) -> str:
    match function:
        case Constant():
            return "1"
        case Identity():
            return x
        case Mod(bits=1) | Bit(position=0):
            return f"the lowest bit of {x}"
        case Mod(bits=bits):
            return f"the lowest {bits} bits of {x} as a number"
        case Bit(position=position):
            return f"bit {position} of {x}"
        case AllBits(mask=mask):
            positions = [str(i) for i in range(mask.bit_length()) if mask >> i & 1]
            noun, are = ("bits", "are") if len(positions) > 1 else ("bit", "is")
            return f"1 if {noun} {' and '.join(positions)} of {x} {are} set"
        case Truncate(bits=bits):
            return f"{x} with its lowest {_bits(bits)} cleared"
        case LeadingOneTruncate(bits=1):
            return f"the leading one of {x}"
        case LeadingOneTruncate(bits=bits, unbiased=unbiased):
            rule = ", the last of them set" if unbiased else ""
            return f"{x} cut to the {bits} bits from its leading one on{rule}"
        case NearestPower(three_down=three_down):
            return f"the power of two nearest to {x}" + (", 3 rounding down" if three_down else "")
        case LeadingOneTable(bits=bits):
            return f"the leading one of {x} times a table over {bits} bits of its mantissa"
        case Sign():
            return f"the sign of {x}"
        case IsZero():
            return f"1 if {x} is 0"
        case Odd(function=Constant()):
            return f"the sign of {x}, that of 0 being +1"
        case Odd(function=inner):
            return f"{_function(inner, f'|{x}|')}, with the sign of {x}"
        case Window(function=inner, low=low, high=high):
            above = "" if low is None else f"at least {1 << low}"
            below = "" if high is None else f"below {1 << high}"
            return f"{_function(inner, x)} where |{x}| is {' and '.join(t for t in (above, below) if t)}"
        case Sum(parts=parts):
            words = [(c, _function(f, x)) for c, f in parts]
            return "; ".join(
                f"{'minus' if c < 0 else 'plus'} {'' if abs(c) == 1 else f'{abs(c)} times '}{text}" for c, text in words
            ).removeprefix("plus ")
        case Table():
            return f"a table of {x}"
    return function.formula(x)


def _bits(n: int) -> str:
    return "bit" if n == 1 else f"{n} bits"


def _ignored(term: Term, variable: str) -> str:
    """Say which bits of an operand a single product does not see."""
    function = term.a if variable == "a" else term.b
    if not isinstance(function, Truncate) or function.bits == 0:
        return ""
    return f"the lowest {_bits(function.bits)} of {variable} {'is' if function.bits == 1 else 'are'} ignored"
