"""A surrogate as a SymPy expression, and through it as LaTeX; the only module of exports that loads SymPy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from multipliers.operands import OperandFormat
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
from surrogate.export.naming import headline, name_tables
from surrogate.model import Surrogate

_FUNCTION = """
class {name}(Function):
    values = {values}

    @classmethod
    def eval(cls, x):
        return sympify(cls.values[int(x) - ({minimum})]) if x.is_Integer else None

    @staticmethod
    def _imp_(x):
        return np.array({name}.values)[x - ({minimum})]

"""


_MANTISSA_FUNCTION = """
class {name}(Function):
    values = {values}

    @classmethod
    def eval(cls, x):
        return sympify(cls._value(int(x))) if x.is_Integer else None

    @classmethod
    def _value(cls, x):
        k = max(abs(x).bit_length() - 1, 0)
        value = cls.values[((abs(x) << {bits}) >> k) - {size}] if x else 0
        product = (value << k) >> {scale} if isinstance(value, int) else value * 2.0**k
        return -product if x < 0 else product

    @staticmethod
    def _imp_(x):
        return np.vectorize({name}._value, otypes=[np.array({values}).dtype])(x)

"""


def to_sympy(surrogate: Surrogate) -> sympy.Expr:
    """Write a surrogate as an expression of the integer symbols ``a`` and ``b``.

    Tables are functions ``g0``, ``g1``, ... with values at integers, which `sympy.lambdify` evaluates, too; everything
    else is elementary. Float coefficients are 53-bit floats.

    Examples
    --------
    >>> from multipliers import OperandFormat
    >>> from surrogate import MultiplierReference, Provenance, Surrogate, Term
    >>> reference = MultiplierReference("example", OperandFormat(8), OperandFormat(8), 64 * "0")
    >>> to_sympy(Surrogate([Term(1, Identity(), Identity()), Term(-1, Mod(2), Bit(0))], reference, Provenance("hand")))
    a*b - Mod(a, 4)*Mod(b, 2)
    """
    names = name_tables(surrogate, "g")
    functions = {table: _function(name, table) for table, name in names.items()}
    a, b = sympy.symbols("a b", integer=True)
    return sympy.Add(
        *(
            sympy.Mul(
                sympy.sympify(term.coefficient),
                _expression(term.a, a, surrogate.a, functions),
                _expression(term.b, b, surrogate.b, functions),
            )
            for term in surrogate.terms
        )
    )


def to_latex(surrogate: Surrogate) -> str:
    """Write a surrogate as a LaTeX formula; tables are ``g_0``, ``g_1``, ..."""
    text: str = sympy.latex(to_sympy(surrogate))
    return text


def to_sympy_source(surrogate: Surrogate) -> str:
    """Write Python source that defines the symbols ``a`` and ``b``, the tables and ``expression`` with SymPy."""
    lines = [
        f"# {headline(surrogate)}.",
        "import numpy as np",
        "from sympy import *",
        "",
        'a, b = symbols("a b", integer=True)',
    ]
    for table, name in name_tables(surrogate, "g").items():
        if isinstance(table, Table):
            lines.append(_FUNCTION.format(name=name, values=table.values.tolist(), minimum=table.operand.minimum))
        else:
            size, values = table.values.size, table.values.tolist()
            lines.append(
                _MANTISSA_FUNCTION.format(name=name, values=values, bits=table.bits, size=size, scale=table.scale)
            )
    lines.append(f"expression = {sympy.sstr(to_sympy(surrogate), full_prec=True)}")
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=1024)  # equal tables of one name are one function, so equal surrogates are equal expressions
def _function(name: str, table: Table | LeadingOneTable) -> Any:
    """Make a class of its own: SymPy takes undefined functions of one name for equal, whatever they compute."""

    def evaluate(cls: Any, x: Any) -> Any:
        return sympy.sympify(table(np.array(int(x))).item()) if x.is_Integer else None

    return type(name, (sympy.Function,), {"eval": classmethod(evaluate), "_imp_": staticmethod(table)})


def _expression(
    function: BasisFunction, x: Any, operand: OperandFormat, functions: dict[Table | LeadingOneTable, Any]
) -> Any:
    match function:
        case Constant():
            return sympy.Integer(1)
        case Identity():
            return x
        case Mod(bits=bits):
            return sympy.Mod(x, 1 << bits)
        case Bit(position=position):
            return sympy.Mod(sympy.floor(x / sympy.Integer(1 << position)), 2)
        case Truncate(bits=bits):
            return x - sympy.Mod(x, 1 << bits)
        case LeadingOneTruncate():
            return _leading_one_truncate(function, x, operand)
        case Sign():
            return sympy.sign(x)
        case IsZero():
            return sympy.Piecewise((1, sympy.Eq(x, 0)), (0, True))
        case AllBits(mask=mask):
            positions = [i for i in range(mask.bit_length()) if mask >> i & 1]
            return sympy.Mul(*(sympy.Mod(sympy.floor(x / sympy.Integer(1 << i)), 2) for i in positions))
        case NearestPower():
            return _nearest_power(function, x, operand)
        case Odd(function=inner):
            unsigned = OperandFormat(operand.bits)
            return sympy.Piecewise((-1, x < 0), (1, True)) * _expression(inner, sympy.Abs(x), unsigned, functions)
        case Window(function=inner, low=low, high=high):
            inside = sympy.And(
                sympy.Abs(x) >= (0 if low is None else 1 << low),
                sympy.true if high is None else sympy.Abs(x) < (1 << high),
            )
            return sympy.Piecewise((_expression(inner, x, operand, functions), inside), (0, True))
        case Sum(parts=parts):
            return sympy.Add(*(c * _expression(g, x, operand, functions) for c, g in parts))
        case Table() | LeadingOneTable():
            return functions[function](x)
    raise SurrogateError(f"the basis function {function.kind!r} has no SymPy expression")


def _nearest_power(function: NearestPower, x: Any, operand: OperandFormat) -> Any:
    """One piece per power of two; halfway goes up."""
    magnitude = sympy.Abs(x)
    pieces: list[tuple[Any, Any]] = [(0, sympy.Eq(x, 0))]
    if function.three_down:
        pieces.append((2, sympy.Eq(magnitude, 3)))
    largest = max(-operand.minimum, operand.maximum).bit_length()
    pieces += [(1 << k, 2 * magnitude < 3 * (1 << k)) for k in range(largest)]
    return sympy.sign(x) * sympy.Piecewise(*pieces, (1 << largest, True))


def _leading_one_truncate(function: LeadingOneTruncate, x: Any, operand: OperandFormat) -> Any:
    """One piece per number of bits cut off; ``q | 1 = 2 floor(q / 2) + 1``."""
    magnitude = sympy.Abs(x)
    largest = max(-operand.minimum, operand.maximum)
    pieces: list[tuple[Any, Any]] = []
    for shift in range(max(0, largest.bit_length() - function.bits) + 1):
        if shift == 0:
            kept = magnitude
        elif function.unbiased:
            kept = (1 << shift) * (2 * sympy.floor(magnitude / sympy.Integer(2 << shift)) + 1)
        else:
            kept = (1 << shift) * sympy.floor(magnitude / sympy.Integer(1 << shift))
        pieces.append((kept, magnitude < (1 << (function.bits + shift))))
    pieces[-1] = (pieces[-1][0], True)
    return sympy.sign(x) * sympy.Piecewise(*pieces)
