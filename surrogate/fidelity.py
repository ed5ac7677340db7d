"""Assertions of fidelity for tests, the package's own and yours: where a model fails, the smallest pair is shown.

`surrogate.testing` has them beside strategies of hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat
from surrogate.certify import certify
from surrogate.errors import SurrogateError
from surrogate.model import Surrogate

Model = Surrogate | Callable[[IntArray, IntArray], ArrayLike]
"""What can be tested: a surrogate, or any function of two integer arrays, such as your own kernel."""

SAMPLE = 1 << 22
"""Random pairs that are compared where the operands are too wide for all of them."""

SMALL = 1 << 10
"""Values of each operand, from 0 on, whose pairs are all compared then."""

_BLOCK = 1 << 20


def assert_faithful(
    surrogate: Model,
    multiplier: Multiplier,
    *,
    exact: bool = False,
    max_abs: float | None = None,
    rms: float | None = None,
    bias: float | None = None,
    every_pair: bool = False,
) -> None:
    """Assert that a model gives a multiplier's products, or comes as near to them as you say.

    Every operand pair is compared up to 2**24 of them. Above, unless ``every_pair`` is set, all pairs of small operands
    and 2**22 random ones are; a pair that fails is then made smaller as long as it fails. The report is the same each
    time.

    Parameters
    ----------
    surrogate : Surrogate or callable
        What is tested: a surrogate, or a function of two int64 arrays that broadcast.
    multiplier : Multiplier
        What it should compute.
    exact : bool
        Every product must be the multiplier's.
    max_abs, rms, bias : float, optional
        Largest permitted absolute residual, root mean square of the residuals, magnitude of their mean (LSB; a
        residual that equals the bound passes). Over uniform operands.
    every_pair : bool
        Compare every pair at any width.

    Raises
    ------
    AssertionError
        Naming what is broken, by how much, and the smallest pair that breaks it: that whose larger magnitude is least,
        then whose sum of magnitudes is, then with the smaller ``a``.
    SurrogateError
        If nothing is asked for, or a bound is negative or NaN.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("bam4u_h0v3")
    >>> assert_faithful(surrogate.discover(m), m, exact=True)
    >>> assert_faithful(lambda a, b: a * b, m, max_abs=12)
    Traceback (most recent call last):
        ...
    AssertionError: function as a model of bam4u_h0v3: max_abs is 17, above 12; the smallest at a = 3, b = 7: 21, not 8
    """
    bounds = {name: bound for name, bound in (("max_abs", max_abs), ("rms", rms), ("bias", bias)) if bound is not None}
    if not exact and not bounds:
        raise SurrogateError("nothing is asked for; give exact=True, max_abs, rms or bias")
    for name, bound in bounds.items():
        if not bound >= 0:
            raise SurrogateError(f"{name} must be a number from 0, got {bound!r}")
    name = _name(surrogate, multiplier)
    found = _compare(surrogate, multiplier, 0.0 if exact else bounds.get("max_abs", math.inf), every_pair)
    if exact and found.n_beyond:
        raise AssertionError(
            f"{name}: {found.n_beyond} of {found.n_pairs} products differ from {multiplier.name}; the smallest at "
            f"{found.told(multiplier)}"
        )
    measured = {"max_abs": found.largest, "rms": found.rms, "bias": abs(found.bias)}
    broken = [
        f"{key} is {measured[key]:.6g}, above {bound:.6g}"
        for key, bound in bounds.items()
        if not measured[key] <= bound  # NaN is above every bound
    ]
    if broken:
        where = f"; the smallest at {found.told(multiplier)}" if found.pair is not None else ""
        raise AssertionError(f"{name} as a model of {multiplier.name}: {'; '.join(broken)}{where}")


def assert_exact(surrogate: Model, multiplier: Multiplier) -> None:
    """Assert that both give the same products: ``assert_faithful(surrogate, multiplier, exact=True)``.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("bam4u_h0v3")
    >>> assert_exact(surrogate.discover(m), multipliers.get("exact4u"))
    Traceback (most recent call last):
        ...
    AssertionError: bam4u_h0v3: 176 of 256 products differ from exact4u; the smallest at a = 1, b = 1: 0, not 1
    """
    assert_faithful(surrogate, multiplier, exact=True)


def assert_certificate_holds(surrogate: Surrogate, multiplier: Multiplier) -> None:
    """Assert that a surrogate carries a certificate, and that measuring again gives it.

    Raises
    ------
    AssertionError
        With the certificate and what was measured.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> m = multipliers.get("drum4u_k3")
    >>> assert_certificate_holds(surrogate.discover(m), m)
    """
    claimed = surrogate.certificate
    if claimed is None:
        raise AssertionError(
            f"{surrogate.multiplier.name}: the surrogate carries no certificate; see surrogate.certify"
        )
    measured = certify(surrogate, multiplier, sample=None if claimed.every_pair else claimed.n_pairs).certificate
    if measured is None or not claimed.agrees_with(measured):
        raise AssertionError(
            f"{surrogate.multiplier.name}: the certificate does not hold: it claims {claimed}, measured is {measured}"
        )


def _name(model: Model, multiplier: Multiplier) -> str:
    """Return what messages call a model, whose operand formats must be the multiplier's."""
    if not isinstance(model, Surrogate):
        return "function" if getattr(model, "__name__", "<lambda>") == "<lambda>" else str(model.__name__)
    if (model.a, model.b) != (multiplier.a, multiplier.b):
        raise AssertionError(
            f"{model.multiplier.name} ({model.a} x {model.b}) and {multiplier.name} "
            f"({multiplier.a} x {multiplier.b}) have other operand formats"
        )
    return model.multiplier.name


@dataclass
class _Comparison:
    """Residuals, and the smallest pair whose residual is beyond the limit."""

    n_pairs: int = 0
    n_beyond: int = 0
    largest: float = 0.0
    rms: float = 0.0
    bias: float = 0.0
    pair: tuple[int, int] | None = None
    products: tuple[float, int] = (0.0, 0)

    def told(self, multiplier: Multiplier) -> str:
        """Say the smallest pair, the model's product and the multiplier's."""
        assert self.pair is not None  # asked for only where one is beyond
        got, expected = self.products
        product = int(got) if float(got).is_integer() else got
        return f"a = {self.pair[0]}, b = {self.pair[1]}: {product}, not {expected}"


def _compare(model: Model, multiplier: Multiplier, limit: float, every_pair: bool) -> _Comparison:
    found, totals, squares = _Comparison(), [], []
    whole = every_pair or multiplier.n_pairs <= MAX_TABLE_ENTRIES
    for a, b, counts in _pairs(multiplier, whole):
        products = multiplier(a, b)
        values = _values(model, a, b, products.shape)
        residual = np.asarray(values - products, dtype=np.float64)
        size = np.abs(residual)
        found.largest = float(np.maximum(found.largest, size.max()))  # which keeps NaN
        beyond = ~(size <= limit)  # NaN is beyond every limit
        if beyond.any():
            places = np.nonzero(beyond)
            pairs = [np.broadcast_to(x, products.shape)[places] for x in (a, b)]
            pair = _smallest(*pairs)
            if found.pair is None or _order(*pair) < _order(*found.pair):
                found.pair = pair
        if counts:
            found.n_pairs += products.size
            found.n_beyond += int(beyond.sum())
            totals.append(float(residual.sum()))
            squares.append(float(np.square(residual).sum()))
    found.bias, found.rms = math.fsum(totals) / found.n_pairs, math.sqrt(math.fsum(squares) / found.n_pairs)
    if found.pair is not None:
        if not whole:
            found.n_beyond = max(found.n_beyond, 1)  # where only pairs of small operands fail
            found.pair = _shrunk(model, multiplier, limit, found.pair)
        a, b = (np.array([x], dtype=np.int64) for x in found.pair)
        found.products = float(_values(model, a, b, (1,))[0]), int(multiplier(a, b)[0])
    return found


def _values(model: Model, a: IntArray, b: IntArray, shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.asarray(model(a, b))
    if values.shape != shape:
        raise AssertionError(f"the model gives an array of shape {values.shape} for operands of shape {shape}")
    return values


def _pairs(multiplier: Multiplier, whole: bool) -> Iterator[tuple[IntArray, IntArray, bool]]:
    """Yield pairs to compare, and whether they count in the means."""
    if whole:
        for a in multiplier.row_blocks(_BLOCK):
            yield a[:, None], multiplier.b.values()[None, :], True
        return
    small = [_small(operand) for operand in (multiplier.a, multiplier.b)]
    yield small[0][:, None], small[1][None, :], False
    for start in range(0, SAMPLE, _BLOCK):
        yield *sample_pairs(multiplier.a, multiplier.b, _BLOCK, start), True


def _small(operand: OperandFormat) -> IntArray:
    low = max(operand.minimum, -SMALL // 2) if operand.signed else 0
    values: IntArray = np.arange(low, min(operand.maximum + 1, low + SMALL), dtype=np.int64)
    return values


def _order(a: int, b: int) -> tuple[int, int, int, bool, bool]:
    return max(abs(a), abs(b)), abs(a) + abs(b), abs(a), a < 0, b < 0


def _smallest(a: IntArray, b: IntArray) -> tuple[int, int]:
    """Return the first pair in `_order`."""
    sizes = np.abs(a), np.abs(b)
    first = np.lexsort((b < 0, a < 0, sizes[0], sizes[0] + sizes[1], np.maximum(*sizes)))[0]
    return int(a[first]), int(b[first])


def _shrunk(model: Model, multiplier: Multiplier, limit: float, pair: tuple[int, int]) -> tuple[int, int]:
    """Replace a failing pair by smaller ones that fail, until none of its neighbours does."""
    while True:
        a, b = (_neighbours(x, f) for x, f in zip(pair, (multiplier.a, multiplier.b), strict=True))
        products = multiplier(a[:, None], b[None, :])
        residual = np.asarray(_values(model, a[:, None], b[None, :], products.shape) - products, dtype=np.float64)
        rows, columns = np.nonzero(~(np.abs(residual) <= limit))
        smaller = _smallest(a[rows], b[columns])
        if _order(*smaller) >= _order(*pair):
            return pair
        pair = smaller


def _neighbours(x: int, operand: OperandFormat) -> IntArray:
    """Values like ``x`` and no larger: without one of its bits, shifted down, one less, of the other sign."""
    size = abs(x)
    sizes = {size, max(size - 1, 0), 0, 1, *(size >> i for i in range(1, operand.bits))}
    sizes |= {size & ~(1 << i) for i in range(operand.bits)} | {size & ((1 << i) - 1) for i in range(operand.bits)}
    values = {s * sign for s in sizes for sign in ((1, -1) if operand.signed else (1,))}
    inside = sorted(v for v in values if operand.minimum <= v <= operand.maximum)
    return np.array([*inside, x] if x not in inside else inside, dtype=np.int64)
