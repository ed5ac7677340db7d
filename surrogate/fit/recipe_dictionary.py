"""Which basis functions the regression recipe may use: families of them, and their levels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import BasisFunction, Bit, Constant, Identity, LeadingOneTruncate, Mod
from surrogate.errors import FitError

BASES: dict[str, tuple[str, ...]] = {
    "auto": ("mod", "leading_one"),
    "mod": ("mod",),
    "leading_one": ("leading_one",),
    "bits": ("bits",),
    "all": ("mod", "bits", "leading_one"),
}
"""Families of functions by the name of a basis."""

Levels = int | tuple[Sequence[int], Sequence[int]] | None
"""How many levels at once, or exactly which ones of each operand; None leaves it to the solver."""


def dictionary(
    basis: str, operand: OperandFormat, levels: Iterable[int] | None, values: IntArray
) -> list[BasisFunction]:
    """Return ``1``, ``x`` and the functions of a basis, without those that repeat an earlier one on ``values``.

    Level ``l`` is ``x mod 2**l`` of the family ``"mod"`` (1 to n - 1 for n-bit operands), bit ``l`` of ``"bits"``
    (0 to n - 1), and ``l`` leading bits, truncated and unbiased, of ``"leading_one"`` (1 to n - 1).

    Parameters
    ----------
    basis : str
        A key of `BASES`.
    operand : OperandFormat
        What the functions are of.
    levels : iterable of int, optional
        Only these; each must exist in a family. By default all.
    values : ndarray of int64
        Operand values that tell functions apart.

    Raises
    ------
    FitError
        If a level exists in no family of the basis.

    Examples
    --------
    >>> operand = OperandFormat(3)
    >>> [f.formula("x") for f in dictionary("bits", operand, None, operand.values())]
    ['1', 'x', 'bit_0(x)', 'bit_1(x)', 'bit_2(x)']
    >>> [f.formula("x") for f in dictionary("mod", operand, [2], operand.values())]
    ['1', 'x', '(x mod 4)']
    """
    families = BASES[basis]
    chosen = None if levels is None else sorted(set(levels))
    for level in chosen or ():
        if not any(level in _range(family, operand) for family in families):
            ranges = ", ".join(f"{r[0]} to {r[-1]} for {f}" for f in families if (r := _range(f, operand)))
            raise FitError(
                f"{operand} operands have no level {level!r} of basis {basis!r}; there are {ranges or 'none at all'}"
            )
    functions: list[BasisFunction] = [Constant(), Identity()]
    for family in families:
        for level in _range(family, operand):
            if chosen is None or level in chosen:
                functions += _functions(family, level)
    seen: dict[bytes, BasisFunction] = {}
    for function in functions:
        seen.setdefault(function(values).tobytes(), function)
    return list(seen.values())


def split_levels(levels: Levels) -> tuple[Sequence[int] | None, Sequence[int] | None]:
    """Return the levels of each operand, where they are given.

    Raises
    ------
    FitError
        If they are neither a positive number nor two sequences of integers.
    """
    if levels is None:
        return None, None
    if isinstance(levels, int) and not isinstance(levels, bool) and levels > 0:
        return None, None
    if isinstance(levels, tuple) and len(levels) == 2:
        a, b = levels
        if all(isinstance(x, Sequence) and all(isinstance(n, int | np.integer) for n in x) for x in levels):
            return a, b
    raise FitError(
        f"levels must be how many at once (a positive integer) or the levels of a and of b, such as ((2, 4), (3,)), "
        f"got {levels!r:.80}"
    )


def _range(family: str, operand: OperandFormat) -> range:
    return range(operand.bits) if family == "bits" else range(1, operand.bits)


def _functions(family: str, level: int) -> list[BasisFunction]:
    if family == "mod":
        return [Mod(level)]
    if family == "bits":
        return [Bit(level)]
    return [LeadingOneTruncate(level, unbiased) for unbiased in (False, True)]
