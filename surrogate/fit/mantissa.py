"""Models of logarithmic designs at wide operands, as short tables of the mantissa.

A logarithmic or floating-point multiplier is ``2**(k_a + k_b) M(x_a, x_b)``: its factors are functions of the mantissa
scaled by the leading one. A table of all 65,536 operands then says the same thing sixteen times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multipliers.bits import fraction_bits, leading_one
from multipliers.distributions import FloatArray
from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import LeadingOneTable
from surrogate.fit.centred import Separated


def homogeneous(
    operand: OperandFormat, values: FloatArray, weights: FloatArray, bits: int
) -> tuple[LeadingOneTable, float]:
    """Fit a function of an operand by a constant and a table over the first ``bits`` bits of the mantissa.

    Minimises ``sum_x w(x) (g(x) - c - sign(x) 2**k(x) t[i(x)])**2`` over the table ``t`` and the constant ``c``.

    Returns
    -------
    table : LeadingOneTable
    constant : float
    """
    x = operand.values()
    kept = x != 0
    magnitude = np.abs(x[kept])
    octave = np.ldexp(np.sign(x[kept]).astype(np.float64), leading_one(magnitude))
    index: IntArray = fraction_bits(magnitude, bits)
    w = weights[kept] + 1e-300  # entries that no value of weight falls into take those that do fall
    below = np.bincount(index, w * octave * octave, minlength=1 << bits)

    def table(g: FloatArray) -> FloatArray:
        fitted: FloatArray = np.bincount(index, w * octave * g, minlength=1 << bits) / below
        return fitted

    ones = np.ones(len(octave))
    rest = values[kept] - octave * table(values[kept])[index]
    rest_of_one = ones - octave * table(ones)[index]
    across = float((w * rest_of_one * rest_of_one).sum())
    constant = float((w * rest * rest_of_one).sum()) / across if across > 0 else 0.0
    return LeadingOneTable(table(values[kept] - constant)), constant


def as_mantissa_tables(
    found: Separated, a: OperandFormat, b: OperandFormat, p: FloatArray, q: FloatArray, bits: int
) -> tuple[Separated, list[tuple[LeadingOneTable, LeadingOneTable]], tuple[LeadingOneTable, LeadingOneTable]]:
    """Write every function of a model as a constant and a table of the mantissa; the constants go to the additive part.

    Returns
    -------
    model : Separated
        Evaluated on every value.
    products : list of (LeadingOneTable, LeadingOneTable)
        Of the operands ``a`` and ``b``.
    additive : (LeadingOneTable, LeadingOneTable)
        The additive parts, without the constant of the model.
    """
    left = [homogeneous(a, column, p, bits) for column in found.left.T]
    right = [homogeneous(b, column, q, bits) for column in found.right.T]
    tables_a, tables_b = ([t.tabulate(x) for t, _ in side] for side, x in ((left, a), (right, b)))
    additive_a = found.additive_a + sum(c * t for (_, c), t in zip(right, tables_a, strict=True))
    additive_b = found.additive_b + sum(c * t for (_, c), t in zip(left, tables_b, strict=True))
    of_a, constant_a = homogeneous(a, additive_a, p, bits)
    of_b, constant_b = homogeneous(b, additive_b, q, bits)
    constant = found.constant + constant_a + constant_b
    constant += sum(c * d for (_, c), (_, d) in zip(left, right, strict=True))
    model = replace(
        found,
        left=np.column_stack([*tables_a, np.zeros((a.size, 0))]),
        right=np.column_stack([*tables_b, np.zeros((b.size, 0))]),
        additive_a=of_a.tabulate(a),
        additive_b=of_b.tabulate(b),
        constant=constant,
    )
    return model, [(g, h) for (g, _), (h, _) in zip(left, right, strict=True)], (of_a, of_b)
