"""Every basis function against a scalar oracle in Python integers, over whole formats."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipliers import OperandFormat, ParameterError
from surrogate import SurrogateError, basis
from surrogate.basis import (
    AllBits,
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
from surrogate.testing import operand_formats

# ---------------------------------------------------------------- oracles: Python integers, digit by digit


def digits(x, width):
    """Two's-complement bits, least significant first, by floor division."""
    return [(x // 2**i) % 2 for i in range(width)]


def leading_one_truncate(x, bits, unbiased):
    text = bin(abs(x))[2:]
    if len(text) > bits:
        kept = text[:bits]
        if unbiased:
            kept = kept[:-1] + "1"
        text = kept + "0" * (len(text) - bits)
    return int(math.copysign(1, x)) * int(text, 2)


ORACLES = [
    (Constant(), lambda x: 1),
    (Identity(), lambda x: x),
    (Sign(), lambda x: (x > 0) - (x < 0)),
    *[(Mod(n), lambda x, n=n: x - 2**n * (x // 2**n)) for n in (0, 1, 3, 7, 8, 31, 32)],
    *[(Truncate(n), lambda x, n=n: 2**n * math.floor(x / 2**n)) for n in (0, 1, 4, 8, 32)],
    *[(Bit(n), lambda x, n=n: digits(x, 40)[n]) for n in (0, 1, 5, 7, 8, 31)],
    *[
        (LeadingOneTruncate(n, u), lambda x, n=n, u=u: leading_one_truncate(x, n, u))
        for n in (1, 2, 4, 8, 32)
        for u in (False, True)
    ],
]


def leading_one_table(x, values, scale):
    if x == 0:
        return 0
    k = len(bin(abs(x))) - 3
    index = (Fraction(abs(x), 2**k) - 1) * len(values) // 1
    return (1 if x > 0 else -1) * math.floor(Fraction(2**k * values[index], 2**scale))


def nearest_power(x, three):
    if x == 0:
        return 0
    if abs(x) == 3:
        return three if x > 0 else -three
    best = min((2**k for k in range(40)), key=lambda p: (abs(p - abs(x)), -p))
    return best if x > 0 else -best


def odd(function):
    return lambda x: -function(-x) if x < 0 else function(x)


MANTISSA = [3, -5, 0, 7, 1, 2, -(2**29), 11]
WINDOW = Window(Odd(Mod(3)), low=2, high=5)
ORACLES += [
    (IsZero(), lambda x: int(not x)),
    *[(AllBits(m), lambda x, m=m: int(all(digits(x, 40)[i] for i in range(32) if m >> i & 1))) for m in (1, 6, 2**31)],
    (NearestPower(), lambda x: nearest_power(x, 4)),
    (NearestPower(three_down=True), lambda x: nearest_power(x, 2)),
    *[(LeadingOneTable(MANTISSA, s), lambda x, s=s: leading_one_table(x, MANTISSA, s)) for s in (0, 3, 32)],
    (LeadingOneTable([-1], 5), lambda x: leading_one_table(x, [-1], 5)),
    (Odd(Truncate(2)), odd(lambda x: x - x % 4)),
    (Odd(IsZero()), lambda x: int(not x)),
    (WINDOW, lambda x: odd(lambda m: m % 8)(x) if 4 <= abs(x) < 32 else 0),
    (Window(Constant(), high=0), lambda x: int(x == 0)),
    (
        Sum([(-3, WINDOW), (2, Bit(0)), (1, Identity())]),
        lambda x: -3 * (odd(lambda m: m % 8)(x) if 4 <= abs(x) < 32 else 0) + 2 * (x % 2) + x,
    ),
]
FORMATS = [OperandFormat(1), OperandFormat(1, True), OperandFormat(5, True), OperandFormat(8), OperandFormat(8, True)]


@pytest.mark.parametrize(("function", "oracle"), ORACLES, ids=[repr(f) for f, _ in ORACLES])
@pytest.mark.parametrize("operand", FORMATS, ids=str)
def test_values_on_whole_formats(function, oracle, operand):
    got = function.tabulate(operand)
    assert got.dtype == np.int64
    assert got.tolist() == [oracle(x) for x in range(operand.minimum, operand.maximum + 1)]
    assert function.is_integer


@pytest.mark.parametrize(("function", "oracle"), ORACLES, ids=[repr(f) for f, _ in ORACLES])
@pytest.mark.parametrize("operand", [OperandFormat(32), OperandFormat(32, True)], ids=str)
def test_values_at_the_ends_of_32_bits(function, oracle, operand):
    middle = (operand.minimum + operand.maximum) // 2
    x = [operand.minimum, operand.minimum + 1, middle - 1, middle, middle + 1, operand.maximum - 1, operand.maximum]
    assert function(np.array(x)).tolist() == [oracle(v) for v in x]


@pytest.mark.parametrize(("function", "oracle"), ORACLES, ids=[repr(f) for f, _ in ORACLES])
@pytest.mark.parametrize("operand", FORMATS, ids=str)
def test_largest_is_a_bound_and_an_integer(function, oracle, operand):
    bound = function.largest(operand)
    assert type(bound) is int
    assert bound >= max(abs(oracle(x)) for x in range(operand.minimum, operand.maximum + 1))


@pytest.mark.parametrize("function", [f for f, _ in ORACLES], ids=repr)
def test_stored_form_reads_back(function):
    assert basis.from_dict(function.to_dict()) == function
    assert "x" in function.formula("x") or isinstance(function, Constant)


@given(operand_formats(6), st.data())
def test_tables_hold_what_they_are_given(operand, data):
    element = data.draw(st.sampled_from([st.integers(-(1 << 63), (1 << 63) - 1), st.floats(-1e300, 1e300)]))
    values = data.draw(st.lists(element, min_size=operand.size, max_size=operand.size))
    table = Table(operand, np.array(values, dtype=np.int64 if isinstance(values[0], int) else np.float64))
    x = np.arange(operand.minimum, operand.maximum + 1)
    assert table(x).tolist() == values
    assert table(x[::-1][:, None]).shape == (operand.size, 1)
    assert table.largest(operand) == max(abs(v) for v in values)
    again = basis.from_dict(table.to_dict())
    assert again == table
    assert hash(again) == hash(table)
    with pytest.raises(ValueError, match="read-only"):
        table.values[0] = 1


def test_tables_of_integers_and_floats_differ_and_negative_zero_does_not():
    operand = OperandFormat(1)
    assert Table(operand, [0, 1]) != Table(operand, [0.0, 1.0])
    assert Table(operand, [-0.0, 1.0]) == Table(operand, [0.0, 1.0])
    assert hash(Table(operand, [-0.0, 1.0])) == hash(Table(operand, [0.0, 1.0]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Mod(-1), "mod: bits must be an integer from 0 to 32, got -1"),
        (lambda: Mod(33), "from 0 to 32"),
        (lambda: Mod(True), "got True"),
        (lambda: Mod(2.0), "got 2.0"),
        (lambda: Bit(32), "position must be an integer from 0 to 31"),
        (lambda: Truncate("1"), "got '1'"),
        (lambda: LeadingOneTruncate(0), "from 1 to 32"),
        (lambda: LeadingOneTruncate(3, 1), "unbiased must be true or false"),
        (lambda: AllBits(0), "mask must be an integer from 1"),
        (lambda: NearestPower(1), "three_down must be true or false"),
        (lambda: LeadingOneTable([1, 2, 3]), r"needs 2\*\*bits values"),
        (lambda: LeadingOneTable([1.0, 2.0], 1), "floats below 2.*without scale"),
        (lambda: LeadingOneTable([1.0, math.inf]), "floats below"),
        (lambda: LeadingOneTable([1, 1 << 30]), r"below 2\*\*30"),
        (lambda: LeadingOneTable([1], scale=33), "scale must be"),
        (lambda: Odd(Odd(Identity())), "plain basis function"),
        (lambda: Odd(Table(OperandFormat(1), [1, 2])), "plain basis function"),
        (lambda: Window(Identity()), "low or high must be given"),
        (lambda: Window(Identity(), 3, 3), "low must be below high"),
        (lambda: Window(Sum([(1, Bit(0))]), 3), "plain or odd function"),
        (lambda: Sum([]), "1 to 256 parts"),
        (lambda: Sum([(1.0, Bit(0))]), "coefficient must be an integer"),
        (lambda: Sum([(1, Sum([(1, Bit(0))]))]), "no sum and no table"),
        (lambda: Sum([(1 << 62, Identity())]).check(OperandFormat(8)), "could exceed int64"),
        (
            lambda: basis.from_dict({"name": "odd", "configuration": {"function": Odd(Bit(0)).to_dict()}}),
            "cannot be part of another",
        ),
        (lambda: Table(OperandFormat(2), [1, 2, 3]), "needs 4 values"),
        (lambda: Table(OperandFormat(1), [[1, 2]]), "needs 2 values"),
        (lambda: Table(OperandFormat(1), [1.0, math.nan]), "finite"),
        (lambda: Table(OperandFormat(1), [1.0, math.inf]), "finite"),
        (lambda: Table(OperandFormat(1), [1, 1 << 63]), "int64"),
        (lambda: Table(OperandFormat(1), [True, False]), "bool"),
        (lambda: Table(OperandFormat(1), [1j, 0]), "complex"),
        (lambda: Table(OperandFormat(2), range(4)).tabulate(OperandFormat(2, True)), "defined on 2u"),
        (lambda: basis.from_dict({"name": "mod"}), "stored as"),
        (lambda: basis.from_dict([]), "stored as"),
        (lambda: basis.from_dict({"name": "eval", "configuration": {}}), "unknown basis function 'eval'"),
        (lambda: basis.from_dict({"name": ["mod"], "configuration": {}}), "unknown basis function"),
        (lambda: basis.from_dict({"name": "mod", "configuration": []}), "must be an object"),
        (lambda: basis.from_dict({"name": "mod", "configuration": {}}), "configured by"),
        (lambda: basis.from_dict({"name": "sign", "configuration": {"x": 1}}), "configured by"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(SurrogateError, match=message):
        build()


def test_mantissa_tables_of_floats():
    t = LeadingOneTable([0.5, 0.1, -3.0, 7.25])
    assert not t.is_integer
    operand = OperandFormat(6, True)
    expected = [
        0.0 if x == 0 else math.copysign(1, x) * 2 ** (abs(x).bit_length() - 1) for x in operand.values().tolist()
    ]
    index = [0 if x == 0 else int((abs(x) / 2 ** (abs(x).bit_length() - 1) - 1) * 4) for x in operand.values().tolist()]
    assert t.tabulate(operand).tolist() == [e * t.values[i] for e, i in zip(expected, index, strict=True)]
    assert t.largest(operand) >= abs(t.tabulate(operand)).max()
    assert basis.from_dict(t.to_dict()) == t
    assert t != LeadingOneTable([1, 2])


def test_mantissa_tables_are_recognised_and_others_are_not():
    for operand in (OperandFormat(6), OperandFormat(6, True)):
        t = LeadingOneTable([4, 5, -6, 7], 2)
        found = LeadingOneTable.recognise(operand, t.tabulate(operand))
        assert found is not None
        assert found.tabulate(operand).tolist() == t.tabulate(operand).tolist()
        assert found.bits <= 2
        values = operand.values().copy()
        values[3] += 1
        assert LeadingOneTable.recognise(operand, values) is None
    assert LeadingOneTable.recognise(OperandFormat(1, True), np.array([0, 1])) is None


def test_table_configuration_refusals():
    good = {"operand": "1u", "type": "integer", "values": [1, 2]}
    assert Table.from_configuration(good) == Table(OperandFormat(1), [1, 2])
    for change in (
        {"type": "int"},
        {"values": [1, 2.0]},
        {"values": [1, True]},
        {"values": [1]},
        {"values": "12"},
        {"values": [1, None]},
        {"values": [1, 1 << 64]},
        {"more": 1},
    ):
        with pytest.raises(SurrogateError):
            Table.from_configuration(good | change)
    with pytest.raises(ParameterError):
        Table.from_configuration(good | {"operand": 3})
