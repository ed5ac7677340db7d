"""A surrogate as a C99 header with static tables."""

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
from surrogate.errors import SurrogateError
from surrogate.export.naming import check_identifier, components, headline, name_tables
from surrogate.model import Surrogate

_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
"""
_RESERVED = frozenset(_KEYWORDS.split()) | {"main", "assert", "a", "b", "total", "int64_t", "uint64_t"}

_LEADING_ONE = """
static inline int64_t {name}_leading_one_truncate(int64_t x, int bits, int unbiased)
{{
    int64_t magnitude = x < 0 ? -x : x;
    int shift = 0;
    while ((magnitude >> shift) >> bits != 0)
        shift++;
    int64_t kept = magnitude >> shift;
    if (unbiased && shift > 0)
        kept |= 1;
    kept *= INT64_C(1) << shift;
    return x < 0 ? -kept : kept;
}}
"""

_NEAREST_POWER = """
static inline int64_t {name}_nearest_power(int64_t x, int three_down)
{{
    int64_t magnitude = x < 0 ? -x : x, power = 1;
    if (magnitude == 0)
        return 0;
    while (magnitude >> 1 >= power)
        power *= 2;
    if (2 * magnitude >= 3 * power && !(three_down && magnitude == 3))
        power *= 2;
    return x < 0 ? -power : power;
}}
"""

_LEADING_ONE_INDEX = """
static inline int {name}_leading_one(int64_t magnitude)
{{
    int k = 0;
    while (magnitude >> k > 1)
        k++;
    return k;
}}

static inline int64_t {name}_scaled(int64_t x, int64_t value, int scale)
{{
    int64_t product = value * (INT64_C(1) << {name}_leading_one(x < 0 ? -x : x)), unit = INT64_C(1) << scale;
    int64_t quotient = product / unit - (product % unit < 0);
    return x < 0 ? -quotient : x == 0 ? 0 : quotient;
}}

static inline int64_t {name}_octave(int64_t x)
{{
    int64_t power = x == 0 ? 0 : INT64_C(1) << {name}_leading_one(x < 0 ? -x : x);
    return x < 0 ? -power : power;
}}

static inline int64_t {name}_mantissa(int64_t x, int bits)
{{
    int64_t magnitude = x < 0 ? -x : x == 0 ? 1 : x;
    int k = {name}_leading_one(magnitude);
    int64_t rest = magnitude - (INT64_C(1) << k);
    return k > bits ? rest >> (k - bits) : rest << (bits - k);
}}
"""

_HELPERS = {LeadingOneTruncate: _LEADING_ONE, NearestPower: _NEAREST_POWER, LeadingOneTable: _LEADING_ONE_INDEX}


def to_c(surrogate: Surrogate, function_name: str = "multiply") -> str:
    """Write a C99 header that defines ``static inline int64_t function_name(int64_t a, int64_t b)``.

    The function returns ``double`` where the surrogate is not made of integers; then the last bit is the surrogate's
    only if the compiler does not contract ``x * y + z`` (``-ffp-contract=off``). Operands out of range fail an
    ``assert``.

    Parameters
    ----------
    surrogate : Surrogate
        What to write.
    function_name : str
        Name of the function, and prefix of everything else that the header defines.

    Raises
    ------
    SurrogateError
        If the name is not an identifier of C.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> print(to_c(surrogate.discover(multipliers.get("exact4u"))))
    // Multiplier exact4u (4u x 4u), separable model: equal on all 256 operand pairs.
    #ifndef MULTIPLY_H
    #define MULTIPLY_H
    <BLANKLINE>
    #include <assert.h>
    #include <stdint.h>
    <BLANKLINE>
    static inline int64_t multiply(int64_t a, int64_t b)
    {
        assert(a >= 0 && a <= 15 && b >= 0 && b <= 15);
        int64_t total = 0;
        total += a * b;
        return total;
    }
    <BLANKLINE>
    #endif
    <BLANKLINE>
    """
    check_identifier(function_name, _RESERVED)
    names = name_tables(surrogate, f"{function_name}_table_")
    guard = f"{function_name.upper()}_H"
    lines = [f"// {headline(surrogate)}.", f"#ifndef {guard}", f"#define {guard}", ""]
    lines += ["#include <assert.h>", "#include <stdint.h>", ""]
    lines += [_table(table, name) for table, name in names.items()]
    source = "\n".join(lines)
    used = {type(function) for function in components(surrogate)}
    source += "".join(text.format(name=function_name) + "\n" for function, text in _HELPERS.items() if function in used)
    a, b = surrogate.a, surrogate.b
    kind = "int64_t" if surrogate.is_integer else "double"
    body = [
        f"static inline {kind} {function_name}(int64_t a, int64_t b)",
        "{",
        f"    assert(a >= {a.minimum} && a <= {a.maximum} && b >= {b.minimum} && b <= {b.maximum});",
        f"    {kind} total = 0;",
    ]
    for term in surrogate.terms:
        factors = [
            _literal(term.coefficient),
            _expression(term.a, "a", a.minimum, names, function_name),
            _expression(term.b, "b", b.minimum, names, function_name),
        ]
        if not surrogate.is_integer:
            factors = [f if i == 0 else f"(double){f}" for i, f in enumerate(factors)]
        factors = [f for f in factors if f not in ("1", "(double)1")] or ["1"]
        body.append(f"    total += {' * '.join(factors)};")
    body += ["    return total;", "}", "", "#endif", ""]
    return source + "\n" * (source[-1] != "\n") + "\n".join(body)


def _literal(value: int | float) -> str:
    if not isinstance(value, int):
        return value.hex()
    if -(1 << 31) < value < 1 << 31:
        return str(value)
    return f"INT64_C({value})" if value > -(1 << 63) else "INT64_MIN"


def _table(table: Table | LeadingOneTable, name: str) -> str:
    values = table.values.tolist()
    if table.is_integer:
        widths = [n for n in (8, 16, 32, 64) if -(1 << (n - 1)) <= min(values) and max(values) < 1 << (n - 1)]
        kind = f"int{widths[0]}_t"
    else:
        kind = "double"
    rows = [", ".join(_literal(v) for v in values[i : i + 16]) for i in range(0, len(values), 16)]
    return f"static const {kind} {name}[{len(values)}] = {{\n    " + ",\n    ".join(rows) + "\n};\n"


def _expression(
    function: BasisFunction, variable: str, minimum: int, names: dict[Table | LeadingOneTable, str], prefix: str
) -> str:
    match function:
        case Constant():
            return "1"
        case Identity():
            return variable
        case Mod(bits=bits):
            return f"({variable} & INT64_C({(1 << bits) - 1}))"
        case Bit(position=position):
            return f"(int64_t)(((uint64_t){variable} >> {position}) & 1)"
        case Truncate(bits=bits):
            return f"({variable} - ({variable} & INT64_C({(1 << bits) - 1})))"
        case LeadingOneTruncate(bits=bits, unbiased=unbiased):
            return f"{prefix}_leading_one_truncate({variable}, {bits}, {int(unbiased)})"
        case Sign():
            return f"(({variable} > 0) - ({variable} < 0))"
        case IsZero():
            return f"(int64_t)({variable} == 0)"
        case AllBits(mask=mask):
            return f"(int64_t)(((uint64_t){variable} & UINT64_C({mask})) == UINT64_C({mask}))"
        case NearestPower(three_down=three_down):
            return f"{prefix}_nearest_power({variable}, {int(three_down)})"
        case LeadingOneTable(bits=bits, is_integer=False):
            return f"{prefix}_octave({variable}) * {names[function]}[{prefix}_mantissa({variable}, {bits})]"
        case LeadingOneTable(bits=bits, scale=scale):
            return f"{prefix}_scaled({variable}, {names[function]}[{prefix}_mantissa({variable}, {bits})], {scale})"
        case Odd(function=inner):
            value = _expression(inner, f"({variable} < 0 ? -{variable} : {variable})", 0, names, prefix)
            return f"(({variable} < 0 ? -1 : 1) * {value})"
        case Window(function=inner, low=low, high=high):
            size = f"({variable} < 0 ? -{variable} : {variable})"
            limits = [] if low is None else [f"{size} >= INT64_C({1 << low})"]
            limits += [] if high is None else [f"{size} < INT64_C({1 << high})"]
            return f"({' && '.join(limits)} ? {_expression(inner, variable, minimum, names, prefix)} : 0)"
        case Sum(parts=parts):
            added = [f"{_literal(c)} * {_expression(g, variable, minimum, names, prefix)}" for c, g in parts]
            return "(" + " + ".join(added) + ")"
        case Table():
            offset = f" - {minimum}" if minimum >= 0 else f" + {-minimum}"
            index = f"{variable}{offset}" if minimum else variable
            return f"{names[function]}[{index}]" if not function.is_integer else f"(int64_t){names[function]}[{index}]"
    raise SurrogateError(f"the basis function {function.kind!r} has no C source")
