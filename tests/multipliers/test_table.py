import copy
import hashlib
import pickle

import numpy as np
import pytest

import multipliers
from multipliers import OperandFormat, ParameterError, TableError, TableMultiplier, TableTooLargeError
from multipliers.testing import check_multiplier

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(("a", "b"), [("1u", "1u"), ("3s", "2u"), ("4u", "4s"), ("1s", "5u"), ("8s", "8s")])
def test_contract_of_random_tables(a, b):
    shape = (OperandFormat.parse(a).size, OperandFormat.parse(b).size)
    check_multiplier(TableMultiplier(RNG.integers(-1000, 1000, shape), a, b, name="noise"))


def test_natural_order_row_is_the_first_operand():
    table = np.arange(32).reshape(4, 8)
    m = TableMultiplier(table, "2s", "3u")
    for i, x in enumerate(range(-2, 2)):
        for j in range(8):
            assert m(x, j) == table[i, j]


def test_products_are_copied_and_read_only():
    products = np.zeros((2, 2), np.int64)
    m = TableMultiplier(products, "1u")
    products[0, 0] = 5
    assert m(0, 0) == 0
    for same in (m, copy.deepcopy(m), copy.copy(m), pickle.loads(pickle.dumps(m))):  # noqa: S301 - our own bytes
        with pytest.raises(ValueError, match="read-only"):
            same.table()[0, 0] = 5


def test_equality_is_of_formats_and_products_not_of_names():
    table = np.arange(16).reshape(4, 4)
    assert TableMultiplier(table, "2u", name="x") == TableMultiplier(table.astype(float), "2u", "2u", name="y")
    assert TableMultiplier(table, "2u") != TableMultiplier(table, "2s")
    assert TableMultiplier(table, "2u") != TableMultiplier(table.T, "2u")
    assert TableMultiplier(table, "2u", name="x").name == "x"


def test_fingerprint_is_that_of_little_endian_int64():
    table = multipliers.get("drum4u_k2").table()
    expected = hashlib.sha256(table.astype("<i8").tobytes()).hexdigest()
    for order in ("C", "F"):
        for dtype in (np.int16, ">i8", np.float64, object):
            assert TableMultiplier(np.array(table, dtype, order=order), "4u").fingerprint() == expected
    assert multipliers.get("drum4u_k2").fingerprint() == expected


@pytest.mark.parametrize("shape", [(4, 2), (2, 3), (3, 4), (0, 0)])
def test_wrong_shape(shape):
    with pytest.raises(TableError, match=r"need \(2, 4\): one row per value of a"):
        TableMultiplier(np.zeros(shape, int), "1u", "2u")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 0], [0, float("nan")]], r"\[1, 1\] = nan is not a number .*1 such"),
        ([[0, -float("inf")], [0, 0]], r"\[0, 1\] = -inf"),
        ([[0.5, 0], [0.5, 0]], r"\[0, 0\] = 0.5 is not a whole number \(2 such"),
        ([[0, 0], [0, 2.0**63]], "does not fit int64"),
        ([[0, 0], [0, 2**63]], "does not fit int64"),
        ([[0, 0], [0, 2**70]], "does not fit int64"),
        ([[0, -(2**63) - 1], [0, 0]], "does not fit int64"),
        ([[0, 0], [0, None]], "is not an integer"),
        ([["0", "0"], ["0", "0"]], "must hold integers"),
        ([[0, 0], [0, 1j]], "must hold integers"),
        ([0, 1], "two dimensions"),
        (3, "two dimensions"),
    ],
)
def test_values_that_are_no_products(table, message):
    with pytest.raises(TableError, match=message):
        TableMultiplier(table, "1u")


def test_extreme_values_survive():
    m = TableMultiplier([[-(2**63), 2**63 - 1], [0, -1]], "1s")
    assert m.table().tolist() == [[-(2**63), 2**63 - 1], [0, -1]]
    assert TableMultiplier([[True, False], [False, True]], "1u").table().tolist() == [[1, 0], [0, 1]]


def test_bad_format():
    with pytest.raises(ParameterError, match="'8'"):
        TableMultiplier(np.zeros((2, 2), int), "8")


def test_wide_multipliers_refuse_tables_and_say_what_to_do():
    wide = multipliers.get("exact13x12u")
    with pytest.raises(TableTooLargeError, match=r"2\*\*25 entries.*iterate over blocks"):
        wide.table()
    with pytest.raises(TableTooLargeError, match="sample_fingerprint"):
        wide.fingerprint()
    a, rows = next(wide.blocks())
    assert rows.shape == (256, 4096)
    assert a[-1] == 255


def test_repr_leaves_the_products_out():
    assert "name='t'" in repr(TableMultiplier(np.zeros((256, 256), int), "8u", name="t"))
    assert len(repr(TableMultiplier(np.zeros((256, 256), int), "8u"))) < 300
