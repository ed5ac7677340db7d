"""Named functions of one operand, and the search for those that lie in a given space of factors.

The space is that of the columns of an integer matrix, a row per operand value. Three searches complement each other:
single functions of a dictionary; combinations of two; and combinations of the operand's bits (and of products of two
bits), of which the echelon form of the intersection gives those with few bits. Whatever floating point suggests is
verified in integers on every operand value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from flint import fmpq_mat, fmpz_mat

from multipliers.distributions import FloatArray
from multipliers.operands import IntArray, OperandFormat
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
    Truncate,
    Window,
)
from surrogate.errors import FitError
from surrogate.fit.single import pieces, polynomials

MAX_PARTS_SHOWN = 8
"""Longest combination that still explains anything."""

_ROWS = 1 << 12  # operand values that a screening in floating point looks at
_PAIRS = 64  # combinations of two functions that are kept, shortest first
_MOST_COLUMNS = 16  # columns that are looked at one by one
_CLOSE = 1e-9
_LARGEST_NUMBER = 1 << 40  # coefficients beyond are no explanation


@dataclass(frozen=True)
class Candidate:
    """A named function that lies in the space.

    Attributes
    ----------
    function : BasisFunction
    coordinates : ndarray of float64
        In the columns of the space's matrix.
    cost : int
        How much there is to read.
    """

    function: BasisFunction
    coordinates: FloatArray
    cost: int


class FactorSpace:
    """The space spanned by the columns of an integer matrix of full column rank, one row per value of an operand."""

    def __init__(self, operand: OperandFormat, matrix: IntArray) -> None:
        self.operand = operand
        self.matrix = matrix
        spread = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), _ROWS)).astype(np.int64))
        powers = np.array([2**k for k in range(operand.bits)])
        near = np.concatenate([powers, powers - 1, -powers, 1 - powers, powers * 3 // 2]) - operand.minimum
        self._rows = np.union1d(spread, near[(near >= 0) & (near < len(matrix))])
        self._values = operand.values()[self._rows]
        sampled = matrix[self._rows].astype(np.float64)
        self._scale = np.maximum(np.abs(sampled).max(axis=0), 1.0)
        self._orthogonal, self._triangle = np.linalg.qr(sampled / self._scale)
        self.pivots = self._pivot_rows()
        self._core = fmpq_mat(fmpz_mat(matrix[self.pivots].tolist()))
        if len(np.unique(self.pivots)) < self.rank or self._core.rank() < self.rank:
            raise FitError("the factors of the surrogate are linearly dependent; discover it anew")

    @property
    def pivot_values(self) -> IntArray:
        """Operand values on which the columns are independent, as many as there are columns."""
        return self.pivots + self.operand.minimum

    @property
    def rank(self) -> int:
        """Dimension of the space."""
        return int(self.matrix.shape[1])

    def _pivot_rows(self) -> IntArray:
        """Rows on which the columns are independent."""
        # Rows are added greedily by the largest part that the ones before do not explain (pivoted Gram-Schmidt).
        rest = self._orthogonal.copy()
        chosen: list[int] = []
        for _ in range(self.rank):
            norms = np.square(rest).sum(axis=1)
            best = int(norms.argmax())
            chosen.append(int(self._rows[best]))
            direction = rest[best] / max(math.sqrt(norms[best]), _CLOSE)
            rest = rest - np.outer(rest @ direction, direction)
        return np.array(sorted(chosen), dtype=np.int64)

    def residuals(self, functions: Sequence[BasisFunction]) -> FloatArray:
        """Return the part outside the space of each function scaled to norm 1, on the rows of the screening."""
        columns = np.column_stack([f(self._values) for f in functions]).astype(np.float64)
        norms = np.linalg.norm(columns, axis=0)
        columns = columns / np.where(norms == 0, 1.0, norms)
        outside: FloatArray = columns - self._orthogonal @ (self._orthogonal.T @ columns)
        outside = outside - self._orthogonal @ (self._orthogonal.T @ outside)  # twice is enough
        outside[:, norms == 0] = np.nan
        return outside

    def coordinates(self, function: BasisFunction) -> FloatArray | None:
        """Coordinates of a function that lies in the space, compared over every operand value, else None."""
        values = function.tabulate(self.operand)
        if not values.any():
            return None
        right = fmpq_mat(fmpz_mat([[int(values[i])] for i in self.pivots]))
        exact = self._core.solve(right)
        numerators, denominator = exact.numer_denom()
        numbers = [int(v) for v in numerators.entries()]
        largest = max(abs(v) for v in numbers) * max(1, int(np.abs(self.matrix).max())) * self.rank
        if int(denominator) * int(np.abs(values).max()) >= 1 << 62 or largest >= 1 << 62:
            return None
        if not np.array_equal(self.matrix @ np.array(numbers, dtype=np.int64), int(denominator) * values):
            return None
        return np.array(numbers, dtype=np.float64) / float(int(denominator))


def plain_functions(operand: OperandFormat) -> list[tuple[BasisFunction, int]]:
    """Return the functions that people name, with what each costs to read."""
    n = operand.bits
    bits: list[tuple[BasisFunction, int]] = [(Constant(), 1), (Identity(), 1)]
    bits += (
        [(Mod(i), 2) for i in range(1, n)] + [(Bit(i), 2) for i in range(n)] + [(Truncate(i), 2) for i in range(1, n)]
    )
    leading = [(LeadingOneTruncate(i, u), 3 + u) for i in range(1, n) for u in (False, True)]
    nearest: list[tuple[BasisFunction, int]] = [(NearestPower(), 3), (NearestPower(True), 4), (IsZero(), 2)]
    found = bits + leading + nearest
    if operand.signed:
        found += [(Sign(), 2), (Odd(Constant()), 3)]
        found += [(Odd(f), cost + 1) for f, cost in bits if not isinstance(f, Constant | Identity)]
    return found


def _windows(operand: OperandFormat) -> list[tuple[BasisFunction, int]]:
    """Plain functions of small or of large operands only, for designs that switch between segments."""
    inner: list[tuple[BasisFunction, int]] = [(Identity(), 1), (Constant(), 1)]
    inner += [(Truncate(i), 2) for i in range(1, operand.bits)]
    if operand.signed:
        inner += [(Odd(Truncate(i)), 3) for i in range(1, operand.bits)]
    limits: list[tuple[int | None, int | None]] = [(None, k) for k in range(1, operand.bits)] + [
        (k, None) for k in range(1, operand.bits)
    ]
    limits += [(low, high) for low in range(1, operand.bits) for high in range(low + 1, operand.bits)]
    return [(Window(f, low, high), cost + 2) for f, cost in inner for low, high in limits]


def candidates(space: FactorSpace) -> list[Candidate]:
    """Find named functions in the space, shortest first; together they may span it or a part of it."""
    plain = plain_functions(space.operand)
    found = _singles(space, plain)
    if _dimension(found) < space.rank:
        found += _bit_combinations(space)
    if _dimension(found) < space.rank:
        found += _pairs(space, plain)
    if _dimension(found) < space.rank and space.rank <= 8:
        found += _pairs(space, plain[:2] + _windows(space.operand))
    if _dimension(found) < space.rank <= _MOST_COLUMNS:
        found += _columns(space, plain)
    unique = {c.function: c for c in sorted(found, key=lambda c: -c.cost)}
    return sorted(unique.values(), key=lambda c: (c.cost, c.function.formula("x")))


def _columns(space: FactorSpace, plain: Sequence[tuple[BasisFunction, int]]) -> list[Candidate]:
    """Return the columns as they are, where these have a closed form by themselves."""
    found = []
    for column in space.matrix.T:
        function = named(space.operand, column, plain)
        if function is not None:
            found.append((function, cost_of(function)))
    return _checked(space, iter(found))


def named(operand: OperandFormat, values: IntArray, plain: Sequence[tuple[BasisFunction, int]]) -> BasisFunction | None:
    """Return a short closed form of a multiple of a function that is given by its values; None if none is found."""
    written = [_simplest(_primitive(parts), operand)[0] for parts in polynomials(operand, values)]
    options = [f for f in written if f is not None]
    ordered = sorted(plain, key=lambda option: (option[0] != Identity(), option[1]))
    found = pieces(operand, values, [f for f, _ in ordered if f != Constant()])
    if found is not None:
        parts = found[0]
        options.append(parts[0][1] if len(parts) == 1 and parts[0][0] == 1 else Sum(parts))
    return min(options, key=cost_of, default=None)


def _primitive(parts: list[tuple[int, BasisFunction]]) -> list[tuple[int, BasisFunction]]:
    """Divide by what all coefficients share, and put products of few bits first, the larger ones before."""
    divisor = math.gcd(*(c for c, _ in parts))

    def order(part: tuple[int, BasisFunction]) -> tuple[int, int]:
        inner = part[1].function if isinstance(part[1], Odd) else part[1]
        return inner.mask.bit_count() if isinstance(inner, AllBits) else 1, -abs(part[0])

    return [(c // divisor, f) for c, f in sorted(parts, key=order)]


def cost_of(function: BasisFunction) -> int:
    """Return about how much there is to read."""
    if isinstance(function, Sum):
        return sum(cost_of(f) + (abs(c) != 1) + 1 for c, f in function.parts) - 1
    if isinstance(function, LeadingOneTable):
        return 4 + function.values.size // 4
    if isinstance(function, AllBits):
        return 1 + function.mask.bit_count()
    return 1 + len(function.components) - isinstance(function, Constant | Identity)


def _dimension(found: Sequence[Candidate]) -> int:
    if not found:
        return 0
    columns = np.column_stack([c.coordinates / np.linalg.norm(c.coordinates) for c in found])
    return int(np.linalg.matrix_rank(columns, tol=1e-7))


def _checked(space: FactorSpace, functions: Iterator[tuple[BasisFunction, int]]) -> list[Candidate]:
    found = []
    for function, cost in functions:
        coordinates = space.coordinates(function)
        if coordinates is not None:
            found.append(Candidate(function, coordinates, cost))
    return found


def _singles(space: FactorSpace, plain: Sequence[tuple[BasisFunction, int]]) -> list[Candidate]:
    outside = np.linalg.norm(space.residuals([f for f, _ in plain]), axis=0)
    return _checked(space, (plain[int(i)] for i in np.flatnonzero(outside < _CLOSE * 1e2)))


def _pairs(space: FactorSpace, functions: Sequence[tuple[BasisFunction, int]]) -> list[Candidate]:
    """Return combinations of two functions whose parts outside the space are parallel."""
    outside = space.residuals([f for f, _ in functions])
    lengths = np.linalg.norm(outside, axis=0)
    kept = np.flatnonzero(lengths > 1e-6)
    directions = outside[:, kept] / lengths[kept]
    cosines = directions.T @ directions
    first, second = np.nonzero(np.triu(np.abs(cosines) > 1 - _CLOSE, 1))
    norms = np.array([np.linalg.norm(f(space._values).astype(np.float64)) for f, _ in functions])
    options = []
    for i, j in zip(first, second, strict=True):
        p, q = int(kept[i]), int(kept[j])
        ratio = -math.copysign(1.0, cosines[i, j]) * (lengths[p] * norms[p]) / (lengths[q] * norms[q])
        fraction = _fraction(ratio)
        if fraction is not None:
            (f, cost_f), (g, cost_g) = functions[p], functions[q]
            weights = sum(abs(v) != 1 for v in fraction)
            options.append((cost_f + cost_g + 1 + weights, p, q, Sum([(fraction[1], f), (fraction[0], g)])))
    options.sort(key=lambda option: option[:3])
    return _checked(space, ((function, cost) for cost, _, _, function in options[:_PAIRS]))


def _fraction(value: float) -> tuple[int, int] | None:
    """Numerator and denominator of a number that is a ratio of small integers."""
    for denominator in (1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 1 << 12, 1 << 16):
        numerator = value * denominator
        if abs(numerator - round(numerator)) < 1e-6 * max(1.0, abs(numerator)) and round(numerator) != 0:
            divisor = math.gcd(round(numerator), denominator)
            return round(numerator) // divisor, denominator // divisor
    return None


def _bit_combinations(space: FactorSpace) -> list[Candidate]:
    """Return combinations of few bits of the operand, of its magnitude with the sign, and of products of two bits."""
    n = space.operand.bits
    single: list[BasisFunction] = [Constant(), *(Bit(i) for i in range(n))]
    double: list[BasisFunction] = [AllBits((1 << i) | (1 << j)) for i in range(n) for j in range(i)]
    libraries = [single]
    if space.operand.signed:
        libraries.append([Odd(f) for f in single])
    if n <= 12:
        libraries += [[*library, *(Odd(f) if library is not single else f for f in double)] for library in libraries]
    found: list[Candidate] = []
    for library in libraries:
        for ordered in (library, library[::-1]):
            written = (_simplest(parts, space.operand) for parts in _intersection(space, ordered))
            found += _checked(space, ((f, cost) for f, cost in written if f is not None))
        if _dimension(found) == space.rank:
            break
    return found


def _intersection(space: FactorSpace, library: Sequence[BasisFunction]) -> Iterator[list[tuple[int, BasisFunction]]]:
    """Yield combinations of a library that lie in the space: the echelon basis of the intersection, as integers."""
    outside = space.residuals(library)
    usable = [f for f, column in zip(library, outside.T, strict=True) if not np.isnan(column).any()]
    if len(usable) < len(library):
        yield from _intersection(space, usable)
        return
    _, singular, _ = np.linalg.svd(outside, full_matrices=False)
    if int((singular < 1e-8).sum()) == 0:
        return
    rows = space._rows[:: max(1, len(space._rows) // (8 * (space.rank + len(library))))]
    rows = np.union1d(rows, space.pivots)
    values = np.column_stack([f(space.operand.values()[rows]) for f in library])
    kernel, dimension = fmpz_mat(np.hstack([values, space.matrix[rows]]).tolist()).nullspace()
    if dimension == 0:
        return
    combined = [[int(kernel[i, j]) for i in range(len(library))] for j in range(int(dimension))]
    reduced, _, rank = fmpz_mat(combined).rref()
    for j in range(int(rank)):
        row = [int(reduced[j, i]) for i in range(len(library))]
        divisor = math.gcd(*row)
        if divisor:
            yield [(v // divisor, f) for v, f in zip(row, library, strict=True) if v]


def _simplest(parts: list[tuple[int, BasisFunction]], operand: OperandFormat) -> tuple[BasisFunction | None, int]:
    """Write a combination of bits by the fewest functions: runs of bits in proportion are moduli."""
    shorter = min((_runs(parts, operand), parts), key=len)
    if len(shorter) > MAX_PARTS_SHOWN or any(abs(c) > _LARGEST_NUMBER for c, _ in shorter):
        return None, 0
    if shorter[0][0] < 0:
        shorter = [(-c, f) for c, f in shorter]
    cost = sum(2 + (abs(c) != 1) + isinstance(f, Odd) for c, f in shorter) + len(shorter) - 1
    if len(shorter) == 1 and shorter[0][0] == 1:
        return shorter[0][1], cost
    return Sum(shorter), cost


def _runs(parts: list[tuple[int, BasisFunction]], operand: OperandFormat) -> list[tuple[int, BasisFunction]]:
    """Replace bits ``c 2**i`` of one ``c`` over a run of positions by moduli, ``x mod 2**l`` being all bits below l.

    All bits of the operand are the operand itself, the sign bit of two's complement counting negatively.
    """
    odd = all(isinstance(f, Odd) for _, f in parts)
    plain = [(c, f.function if isinstance(f, Odd) else f) for c, f in parts]
    top = operand.bits - 1 if operand.signed and not odd else None
    slopes: dict[int, int] = {}
    others: list[tuple[int, BasisFunction]] = []
    for coefficient, function in plain:
        if isinstance(function, Bit) and coefficient % (1 << function.position) == 0:
            slope = coefficient >> function.position
            slopes[function.position] = -slope if function.position == top else slope
        else:
            others.append((coefficient, function))
    steps: dict[int, int] = {}
    for level in range(1, operand.bits + 1):
        change = slopes.get(level - 1, 0) - slopes.get(level, 0)
        if change:
            steps[level] = change
    if set(steps) == {operand.bits, min(steps, default=0)} and sum(steps.values()) == 0:
        written: list[tuple[int, BasisFunction]] = [(steps[operand.bits], Truncate(min(steps)))]
    else:
        written = [(c, _all_below(level, operand)) for level, c in sorted(steps.items(), reverse=True)]
    written += others
    return [(c, f if f == Identity() else Odd(f)) for c, f in written] if odd else written


def _all_below(level: int, operand: OperandFormat) -> BasisFunction:
    """Bits below a level: the operand, its modulus, or its lowest bit."""
    return Identity() if level == operand.bits else Bit(0) if level == 1 else Mod(level)
