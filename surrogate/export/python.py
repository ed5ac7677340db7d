"""Stand-alone NumPy source of a surrogate."""

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

_CHECK = """
def _check(x, operand, low, high):
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"operand {operand} must be integers, got {x.dtype}")
    if x.size and not low <= int(x.min()) <= int(x.max()) <= high:
        raise ValueError(f"operand {operand} is outside [{low}, {high}]")
    return x.astype(np.int64)
"""

_LEADING_ONE = """
def _leading_one_truncate(x, bits, unbiased):
    magnitude = np.abs(x)
    shift = np.maximum(np.frexp(magnitude.astype(np.float64))[1].astype(np.int64) - bits, 0)
    kept = magnitude >> shift
    if unbiased:
        kept = kept | (shift > 0)
    return np.sign(x) * (kept << shift)
"""

_NEAREST_POWER = """
def _nearest_power(x, three_down):
    magnitude = np.abs(x)
    power = np.int64(1) << np.maximum(np.frexp(magnitude.astype(np.float64))[1].astype(np.int64) - 1, 0)
    power = np.where(2 * magnitude >= 3 * power, 2 * power, power)
    if three_down:
        power = np.where(magnitude == 3, 2, power)
    return np.sign(x) * np.where(magnitude == 0, 0, power)
"""

_LEADING_ONE_TABLE = """
def _leading_one_table(x, values, bits, scale):
    magnitude = np.maximum(np.abs(x), 1)
    k = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64) - 1
    rest = magnitude - (np.int64(1) << k)
    index = np.where(k > bits, rest >> np.maximum(k - bits, 0), rest << np.maximum(bits - k, 0))
    if values.dtype == np.float64:
        return np.sign(x) * np.ldexp(values[index], k)
    return np.sign(x) * ((values[index] << k) >> scale)
"""

_HELPERS = {LeadingOneTruncate: _LEADING_ONE, NearestPower: _NEAREST_POWER, LeadingOneTable: _LEADING_ONE_TABLE}
_RESERVED = frozenset({"np", "_check", "_leading_one_truncate", "_nearest_power", "_leading_one_table"})


Names = dict[Table | LeadingOneTable, str]


def to_python(surrogate: Surrogate, function_name: str = "multiply") -> str:
    """Write Python source of a function that needs NumPy only.

    Parameters
    ----------
    surrogate : Surrogate
        What to write.
    function_name : str
        Name of the function: ``function_name(a, b)`` broadcasts integers and returns int64, or float64 where the
        surrogate is not made of integers; the same values as the surrogate, bit for bit.

    Raises
    ------
    SurrogateError
        If the name is not an identifier.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> source = to_python(surrogate.discover(multipliers.get("trunc4u_t2")))
    >>> namespace = {}
    >>> exec(source, namespace)
    >>> int(namespace["multiply"](7, 5)), int(multipliers.get("trunc4u_t2")(7, 5))
    (16, 16)
    """
    names = name_tables(surrogate, "_TABLE_")
    check_identifier(function_name, _RESERVED | set(names.values()))
    lines = [f"# {headline(surrogate)}.", "import numpy as np", ""]
    for table, name in names.items():
        kind = "int64" if table.is_integer else "float64"
        lines.append(f"{name} = np.array({table.values.tolist()!r}, dtype=np.{kind})")
    source = "\n".join(lines) + "\n" + _CHECK
    used = {type(function) for function in components(surrogate)}
    source += "".join("\n" + text for function, text in _HELPERS.items() if function in used)
    kind = "int64" if surrogate.is_integer else "float64"
    a, b = surrogate.a, surrogate.b
    body = [
        f"def {function_name}(a, b):",
        f'    """Multiply integers a in [{a.minimum}, {a.maximum}] and b in [{b.minimum}, {b.maximum}]; {kind}."""',
        f'    a, b = np.broadcast_arrays(_check(a, "a", {a.minimum}, {a.maximum}), '
        f'_check(b, "b", {b.minimum}, {b.maximum}))',
        f"    total = np.zeros(a.shape, dtype=np.{kind})",
    ]
    for term in surrogate.terms:
        left = _expression(term.a, "a", a.minimum, names)
        right = _expression(term.b, "b", b.minimum, names)
        body.append(f"    total = total + {term.coefficient!r} * {left} * {right}")
    body.append("    return total")
    return source + "\n\n" + "\n".join(body) + "\n"


def _expression(function: BasisFunction, variable: str, minimum: int, names: Names) -> str:
    match function:
        case Constant():
            return f"np.ones_like({variable})"
        case Identity():
            return variable
        case Mod(bits=bits):
            return f"({variable} & {(1 << bits) - 1})"
        case Bit(position=position):
            return f"(({variable} >> {position}) & 1)"
        case Truncate(bits=bits):
            return f"(({variable} >> {bits}) << {bits})"
        case LeadingOneTruncate(bits=bits, unbiased=unbiased):
            return f"_leading_one_truncate({variable}, {bits}, {unbiased})"
        case Sign():
            return f"np.sign({variable})"
        case IsZero():
            return f"({variable} == 0).astype(np.int64)"
        case AllBits(mask=mask):
            return f"(({variable} & {mask}) == {mask}).astype(np.int64)"
        case NearestPower(three_down=three_down):
            return f"_nearest_power({variable}, {three_down})"
        case LeadingOneTable(bits=bits, scale=scale):
            return f"_leading_one_table({variable}, {names[function]}, {bits}, {scale})"
        case Odd(function=inner):
            return f"np.where({variable} < 0, -1, 1) * {_expression(inner, f'np.abs({variable})', 0, names)}"
        case Window(function=inner, low=low, high=high):
            above = "True" if low is None else f"(np.abs({variable}) >= {1 << low})"
            below = "True" if high is None else f"(np.abs({variable}) < {1 << high})"
            return f"np.where({above} & {below}, {_expression(inner, variable, minimum, names)}, 0)"
        case Sum(parts=parts):
            return "(" + " + ".join(f"{c} * {_expression(g, variable, minimum, names)}" for c, g in parts) + ")"
        case Table():
            return (
                f"{names[function]}[{variable} - {minimum}]"
                if minimum >= 0
                else (f"{names[function]}[{variable} + {-minimum}]")
            )
    raise SurrogateError(f"the basis function {function.kind!r} has no Python source")
