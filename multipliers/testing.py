"""The contract of a multiplier as a battery of checks, for the package's own designs and for yours.

from multipliers.testing import check_multiplier, check_products

def test_my_multiplier():
    check_multiplier(MyMultiplier(...))
    check_products(MyMultiplier(...), my_slow_and_obvious_model)
"""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable, Iterator
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

import multipliers
from multipliers.errors import OperandRangeError, OperandTypeError, TableTooLargeError
from multipliers.multiplier import MAX_TABLE_ENTRIES, Design, Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat

N_PAIRS = 512
"""Random operand pairs behind the checks that need no table."""

MAX_CHECKED_ENTRIES = 1 << 20
"""Tables up to here are checked entry by entry."""


def check_multiplier(multiplier: Multiplier, *, picklable: bool = True) -> None:
    """Check that an object keeps the contract of `Multiplier`.

    Parameters
    ----------
    multiplier : Multiplier
        Any multiplier. Up to 2**20 operand pairs its whole table is checked, above that a sample.
    picklable : bool
        Whether it must survive pickling; False for a multiplier that holds a local function or a lambda.

    Raises
    ------
    AssertionError
        Naming the first clause of the contract that does not hold, with the values that show it.

    Notes
    -----
    The clauses: formats and name; broadcasting, scalar, empty and multi-dimensional operands; every integer dtype;
    int64 results; errors on operands out of range or not integers, naming operand, value and interval; operands never
    written to, equal results on a second call; ``exact``, ``error``, ``table``, ``blocks``, ``fingerprint`` and
    ``sample_fingerprint`` consistent with calls, or refused above 2**24 pairs; immutability; equality, hash, deep copy
    and pickle; a readable ``repr``. For a `Design`, ``name`` is read back by `multipliers.get`, and ``repr`` by Python.

    Examples
    --------
    >>> check_multiplier(multipliers.get("drum8u_k4"))
    """
    if not isinstance(multiplier, Multiplier):
        _fail(multiplier, f"is not a Multiplier but a {type(multiplier).__name__}")
    _check_identity(multiplier)
    _check_calls(multiplier)
    _check_refusals(multiplier)
    _check_tables(multiplier)
    _check_immutable(multiplier)
    _check_copies(multiplier, picklable)
    if isinstance(multiplier, Design):
        _check_design(multiplier)


def check_products(multiplier: Multiplier, oracle: Callable[[int, int], int], *, max_pairs: int = 1 << 16) -> None:
    """Check that a multiplier equals a model of two Python integers, product by product.

    Parameters
    ----------
    multiplier : Multiplier
        Any multiplier.
    oracle : callable
        From a value of ``a`` and a value of ``b``, Python integers, to the product.
    max_pairs : int
        Up to here all operand pairs are compared. Above, every pair of values at the ends of the formats and around 0,
        and ``max_pairs`` random pairs, half of them uniform, half of operands of every size.

    Raises
    ------
    AssertionError
        With the first pair at which they differ, and both products.

    Examples
    --------
    >>> check_products(multipliers.get("trunc8u_t3"), lambda a, b: (a - a % 8) * (b - b % 8))
    """
    if multiplier.n_pairs <= max_pairs:
        a, b = (x.ravel() for x in np.meshgrid(multiplier.a.values(), multiplier.b.values(), indexing="ij"))
    else:
        a, b = _operands(multiplier, max_pairs)
        order = np.arange(max_pairs)
        a[:max_pairs:2] >>= (order % multiplier.a.bits)[::2]
        b[:max_pairs:2] >>= (order // multiplier.a.bits % multiplier.b.bits)[::2]
    for x, y, product in zip(a.tolist(), b.tolist(), multiplier(a, b).tolist(), strict=True):
        expected = int(oracle(x, y))
        if product != expected:
            _fail(multiplier, f"the product of {x} and {y} is {product}, and {expected} by the oracle")


def _fail(multiplier: object, clause: str) -> NoReturn:
    raise AssertionError(f"{getattr(multiplier, 'name', multiplier)!s}: {clause}")


def _equal(multiplier: Multiplier, clause: str, got: ArrayLike, expected: ArrayLike) -> None:
    """Fail unless two integer arrays have the same shape and values."""
    left, right = np.asarray(got), np.asarray(expected)
    if left.shape != right.shape:
        _fail(multiplier, f"{clause}: shape {left.shape} where {right.shape} is expected")
    if not np.array_equal(left, right):
        at = tuple(int(i) for i in np.argwhere(left != right)[0])
        _fail(multiplier, f"{clause}: {left[at]} where {right[at]} is expected, at index {at}")


def _operands(m: Multiplier, n_pairs: int = N_PAIRS) -> tuple[IntArray, IntArray]:
    """Random pairs, and all pairs of the values at the ends of the formats and around 0."""
    a, b = sample_pairs(m.a, m.b, n_pairs)
    corners = [
        np.array(sorted({v for v in (x.minimum, x.minimum + 1, -1, 0, 1, x.maximum) if x.minimum <= v <= x.maximum}))
        for x in (m.a, m.b)
    ]
    ca, cb = (c.ravel().astype(np.int64) for c in np.meshgrid(*corners, indexing="ij"))
    return np.concatenate([a, ca]), np.concatenate([b, cb])


def _check_identity(m: Multiplier) -> None:
    for operand in ("a", "b"):
        if not isinstance(getattr(m, operand, None), OperandFormat):
            _fail(m, f"attribute {operand} must be an OperandFormat, got {getattr(m, operand, None)!r}")
    if not isinstance(m.name, str) or not m.name:
        _fail(m, f"name must be a non-empty string, got {m.name!r}")
    if not repr(m) or repr(m).startswith("<") or "\n" in repr(m) or len(repr(m)) > 1000:
        _fail(m, f"repr must be one readable line, got {repr(m)[:200]!r}")
    if m.n_pairs != m.a.size * m.b.size:
        _fail(m, f"n_pairs is {m.n_pairs}, not {m.a.size * m.b.size}")


def _check_calls(m: Multiplier) -> None:
    a, b = _operands(m)
    keep_a, keep_b = a.copy(), b.copy()
    products = m(a, b)
    if not isinstance(products, np.ndarray) or products.dtype != np.int64:
        _fail(m, f"a call must return an int64 array, got {type(products).__name__} of {np.asarray(products).dtype}")
    _equal(m, "a call wrote to operand a", a, keep_a)
    _equal(m, "a call wrote to operand b", b, keep_b)
    expected = products.copy()
    for operand in (a, b):
        operand.setflags(write=False)
    _equal(m, "a second call, with read-only operands, differs", m(a, b), expected)
    if products.flags.writeable:
        products[...] = ~products
        _equal(m, "writing to the result of a call changes later calls", m(a, b), expected)

    _equal(m, "exact(a, b) is not a * b", m.exact(a, b), a * b)
    _equal(m, "error(a, b) is not self(a, b) - a * b", m.error(a, b), expected - a * b)

    x, y, scalar = int(a[0]), int(b[0]), m(int(a[0]), int(b[0]))
    _equal(m, "Python integers do not multiply as arrays do", scalar, expected[0])
    if np.asarray(scalar).dtype != np.int64:
        _fail(m, f"the product of two Python integers must be int64, got {np.asarray(scalar).dtype}")
    _equal(m, "NumPy scalars do not multiply as arrays do", m(np.int64(x), np.int64(y)), expected[0])
    _equal(m, "lists do not multiply as arrays do", m(a[:3].tolist(), b[:3].tolist()), expected[:3])
    rows, columns = a[:7], b[:5]
    grid = np.array([[int(m(int(i), int(j))) for j in columns] for i in rows])
    _equal(m, "operands (7, 1) and (1, 5) do not broadcast", m(rows[:, None], columns[None, :]), grid)
    _equal(m, "an array and a scalar do not broadcast", m(rows, int(columns[0])), grid[:, 0])
    _equal(m, "a scalar and an array do not broadcast", m(int(rows[0]), columns), grid[0])
    cube = m(a[:24].reshape(2, 3, 4), b[:24].reshape(2, 3, 4))
    _equal(m, "three-dimensional operands differ", cube, expected[:24].reshape(2, 3, 4))
    _equal(m, "strided operands differ", m(a[::-2], b[::-2]), expected[::-2])
    empty = m(np.zeros((0, 3), np.int64), np.zeros(3, np.int64))
    _equal(m, "empty operands", empty, np.zeros((0, 3), np.int64))
    for dtype in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.object_):
        fits = _representable(a, dtype) & _representable(b, dtype)
        result = m(a[fits].astype(dtype), b[fits].astype(dtype))
        _equal(m, f"operands of {np.dtype(dtype)} do not multiply as int64 do", result, expected[fits])
        if result.dtype != np.int64:
            _fail(m, f"operands of {np.dtype(dtype)} must give int64, got {result.dtype}")


def _representable(x: IntArray, dtype: type[np.generic]) -> NDArray[np.bool_]:
    if not issubclass(dtype, np.integer):
        return np.ones(x.shape, dtype=np.bool_)
    limits = np.iinfo(dtype)
    return (x >= max(int(limits.min), -(1 << 63))) & (x <= min(int(limits.max), (1 << 63) - 1))


def _check_refusals(m: Multiplier) -> None:
    for operand, form in (("a", m.a), ("b", m.b)):
        for value in (form.minimum - 1, form.maximum + 1, 1 << 70):
            for bad in (value, [form.maximum, value]):
                _refused(m, operand, bad, OperandRangeError, (f"operand {operand}", str(value), str(form.maximum)))
        for wrong in (1.0, np.array([0.5]), True, np.array([True]), "1", None, 1j):
            _refused(m, operand, wrong, OperandTypeError, (f"operand {operand}",))


def _refused(m: Multiplier, operand: str, bad: object, error: type[Exception], said: tuple[str, ...]) -> None:
    x, y = (bad, m.b.minimum) if operand == "a" else (m.a.minimum, bad)
    for method in (m, m.exact, m.error):
        try:
            method(x, y)  # type: ignore[arg-type]  # the wrong type is the point
        except error as caught:
            missing = [words for words in said if words not in str(caught)]
            if missing:
                _fail(m, f"the error for {operand} = {bad!r} does not say {missing[0]!r}: {caught}")
        else:
            _fail(m, f"{operand} = {bad!r} must raise {error.__name__}")


def _check_tables(m: Multiplier) -> None:
    if m.n_pairs > MAX_TABLE_ENTRIES:
        for method in (m.table, m.fingerprint):
            try:
                method()
            except TableTooLargeError:
                continue
            _fail(m, f"{method.__name__}() must raise TableTooLargeError for {m.n_pairs} pairs")
    elif m.n_pairs <= MAX_CHECKED_ENTRIES:
        _check_whole_table(m)
    a, b = sample_pairs(m.a, m.b, 1 << 16)
    digest = hashlib.sha256(m(a, b).astype("<i8").tobytes()).hexdigest()
    if m.sample_fingerprint() != digest:
        _fail(m, "sample_fingerprint() is not the SHA-256 of the products of sample_pairs")


def _check_whole_table(m: Multiplier) -> None:
    values_a, values_b = m.a.values(), m.b.values()
    table = m.table()
    if table.dtype != np.int64 or not table.flags.c_contiguous:
        _fail(m, f"table() must be a C-ordered int64 array, got {table.dtype}, strides {table.strides}")
    _equal(m, "table() differs from calls", table, m(values_a[:, None], values_b[None, :]))
    for max_pairs in (1, 3 * m.b.size, 1 << 20):
        blocks = list(_blocks(m, max_pairs))
        _equal(m, f"blocks({max_pairs}) omit or repeat rows", np.concatenate([a for a, _ in blocks]), values_a)
        _equal(m, f"blocks({max_pairs}) differ from table()", np.concatenate([rows for _, rows in blocks]), table)
    digest = hashlib.sha256(table.astype("<i8").tobytes()).hexdigest()
    if m.fingerprint() != digest or m.fingerprint() != digest:
        _fail(m, "fingerprint() is not the SHA-256 of the table as little-endian int64, or is not stable")


def _blocks(m: Multiplier, max_pairs: int) -> Iterator[tuple[IntArray, IntArray]]:
    for a, rows in m.blocks(max_pairs):
        if rows.shape != (a.size, m.b.size) or rows.size > max(max_pairs, m.b.size):
            _fail(m, f"blocks({max_pairs}) gave rows of shape {rows.shape} for {a.size} values of a")
        yield a, rows


def _check_immutable(m: Multiplier) -> None:
    before = hash(m)
    for attribute in ("a", "b", "name"):
        try:
            setattr(m, attribute, getattr(m, attribute))
        except AttributeError:
            continue
        _fail(m, f"attribute {attribute} can be set; a multiplier is frozen")
    if m.n_pairs <= MAX_CHECKED_ENTRIES:
        table, digest = m.table(), m.fingerprint()
        if table.flags.writeable:
            table[...] = ~table
            if m.fingerprint() != digest or np.array_equal(m.table(), table):
                _fail(m, "writing to table() changes the multiplier")
    if hash(m) != before:
        _fail(m, "its hash is not constant")


def _check_copies(m: Multiplier, picklable: bool) -> None:
    a, b = _operands(m)
    copies = {"copy": copy.copy(m), "deep copy": copy.deepcopy(m)}
    if picklable:
        copies["pickled copy"] = pickle.loads(pickle.dumps(m))  # noqa: S301 - bytes of our own
    for how, other in copies.items():
        if other != m or hash(other) != hash(m):
            _fail(m, f"a {how} is not equal, or hashes differently")
        if (other.name, other.a, other.b) != (m.name, m.a, m.b):
            _fail(m, f"a {how} has another name or other formats")
        _equal(m, f"a {how} multiplies differently", other(a, b), m(a, b))
        _check_immutable(other)
    if any(m == other for other in (object(), m.name, None)):
        _fail(m, "is equal to an object of another kind")


def _check_design(m: Design) -> None:
    again = multipliers.get(m.name)
    if again != m or type(again) is not type(m):
        _fail(m, f"its name is read back as {again!r}")
    names = {type(m).__name__: type(m), "OperandFormat": OperandFormat}
    if eval(repr(m), names) != m:  # noqa: S307 - the repr of a dataclass
        _fail(m, f"its repr is read back as another design: {m!r}")
