"""The coefficient file of TorchApprox: polynomials of the operands and of their residues modulo one power of two.

Its ``fast_model_params.json`` (github.com/etrommer/torch-approx, 2022) has an object per multiplier,

    {"coefficients": [c, ...], "powers": [[i, j, k, l], ...], "expansion": M}

that stands for ``a b + sum c * a**i * b**j * (a mod M)**k * (b mod M)**l``: the accurate product is understood, both
operands have one modulus, and ``a`` is the layer's input.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from multipliers.operands import IntArray
from surrogate.basis import AllBits, BasisFunction, Bit, Constant, FactorArray, Identity, Mod, Sum, Truncate
from surrogate.errors import SurrogateError
from surrogate.model import Surrogate

Powers = tuple[int, int, int, int]
"""Of a, b, a mod M, b mod M."""

_ACCURATE: Powers = (1, 1, 0, 0)


def to_torchapprox(surrogate: Surrogate) -> str:
    """Write the coefficient file of one multiplier, under its name.

    Besides ``1``, ``x`` and ``x mod M``, functions made of them fit: the lowest bit, truncation, and sums.

    Raises
    ------
    SurrogateError
        If a term is made of another function, or two moduli occur.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> print(to_torchapprox(surrogate.discover(multipliers.get("bam8u_h0v1"), method="htp")), end="")
    {
        "bam8u_h0v1": {
            "coefficients": [
                -1.0
            ],
            "powers": [
                [
                    0,
                    0,
                    1,
                    1
                ]
            ],
            "expansion": 2.0
        }
    }
    """
    modulus: int | None = None
    sums: dict[Powers, Fraction] = defaultdict(Fraction)
    sums[_ACCURATE] -= 1
    for term in surrogate.terms:
        left, right = _polynomial(term.a), _polynomial(term.b)
        if left is None or right is None:
            raise SurrogateError(
                f"the term {term.formula()} does not fit TorchApprox's coefficients, which are of 1, x and x mod 2**l; "
                f"take discover(..., method='htp', basis='mod'), or another target"
            )
        for bits in [b for _, b in (*left, *right) if b]:
            if modulus not in (None, bits):
                raise SurrogateError(
                    f"the term {term.formula()} is modulo {1 << bits}, an earlier one modulo {1 << (modulus or 0)}; "
                    f"TorchApprox's coefficients have one modulus for both operands"
                )
            modulus = bits
        for (i, mod_a), c in left.items():
            for (j, mod_b), d in right.items():
                sums[i, j, int(mod_a > 0), int(mod_b > 0)] += _decimal(term.coefficient) * c * d
    powers = sorted((p for p, c in sums.items() if c), key=lambda p: (sum(p), [-n for n in p]))
    content = {
        "coefficients": [float(sums[p]) for p in powers],
        "powers": [list(p) for p in powers],
        "expansion": float(1 << (modulus or 0)),
    }
    return json.dumps({surrogate.multiplier.name: content}, indent=4) + "\n"


def read_torchapprox(data: bytes | str) -> Callable[[IntArray, IntArray], FactorArray]:
    """Return the function that a coefficient file of one multiplier stands for.

    Raises
    ------
    SurrogateError
        If the data is no such file.
    """
    try:
        (content,) = json.loads(data).values()
        coefficients, powers, modulus = content["coefficients"], content["powers"], int(content["expansion"])
        terms = [(float(c), *(int(n) for n in p)) for c, p in zip(coefficients, powers, strict=True)]
        if modulus < 1 or any(len(term) != 5 for term in terms):
            raise ValueError("four powers per coefficient, and a positive expansion")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SurrogateError(
            f"not TorchApprox coefficients of one multiplier ({error}); they are "
            f'{{"NAME": {{"coefficients": [c], "powers": [[i, j, k, l]], "expansion": M}}}}'
        ) from None

    def evaluate(a: IntArray, b: IntArray) -> FactorArray:
        variables: list[Any] = [np.asarray(a, np.float64), np.asarray(b, np.float64), a % modulus, b % modulus]
        total: FactorArray = variables[0] * variables[1]
        for c, *exponents in terms:
            total = total + math.prod((x**n for x, n in zip(variables, exponents, strict=True)), start=c)
        return total

    return evaluate


def _polynomial(function: BasisFunction) -> dict[tuple[int, int], Fraction] | None:
    """Coefficients of ``x**i * (x mod 2**l)**(l > 0)`` by ``(i, l)``; None if it is no such polynomial."""
    one, x = (0, 0), (1, 0)
    match function:
        case Constant():
            return {one: Fraction(1)}
        case Identity():
            return {x: Fraction(1)}
        case Mod(bits=0):
            return {}
        case Mod(bits=bits):
            return {(0, bits): Fraction(1)}
        case Bit(position=0) | AllBits(mask=1):
            return {(0, 1): Fraction(1)}
        case Truncate(bits=0):
            return {x: Fraction(1)}
        case Truncate(bits=bits):
            return {x: Fraction(1), (0, bits): Fraction(-1)}
        case Sum(parts=parts):
            total: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
            for coefficient, part in parts:
                polynomial = _polynomial(part)
                if polynomial is None:
                    return None
                for monomial, c in polynomial.items():
                    total[monomial] += coefficient * c
            return {monomial: c for monomial, c in total.items() if c}
    return None


def _decimal(coefficient: int | float) -> Fraction:
    """Read a coefficient as the decimal that it prints as, so that 0.9 - 1 is -0.1."""
    return Fraction(repr(coefficient))
