import operator

import numpy as np
import pytest

from multipliers import CallableMultiplier, Multiplier, OperandFormat, ParameterError, TableError
from multipliers.testing import check_multiplier

EIGHT, FOUR, SIGNED = OperandFormat(8), OperandFormat(4), OperandFormat(3, True)


def asymmetric(a, b):
    return 7 + 3 * a - b * b


@pytest.mark.parametrize("vectorised", [True, False])
@pytest.mark.parametrize(("a", "b"), [(FOUR, SIGNED), (SIGNED, FOUR), (OperandFormat(1), OperandFormat(1, True))])
def test_contract(a, b, vectorised):
    check_multiplier(CallableMultiplier(operator.mul, a, b, vectorised=vectorised))
    check_multiplier(CallableMultiplier(lambda x, y: asymmetric(x, y), a, b, vectorised=vectorised), picklable=False)


def test_scalar_and_vectorised_agree():
    tables = [CallableMultiplier(asymmetric, EIGHT, SIGNED, vectorised=v).table() for v in (True, False)]
    np.testing.assert_array_equal(*tables)


def test_scalar_function_gets_python_integers():
    seen = []
    CallableMultiplier(lambda a, b: seen.append((a, b)) or 0, FOUR, FOUR, vectorised=False)(np.uint8([1, 2]), 3)
    assert seen == [(1, 3), (2, 3)]
    assert {type(v) for pair in seen for v in pair} == {int}


def test_name_is_the_functions_unless_given():
    assert CallableMultiplier(asymmetric, FOUR, FOUR).name == "asymmetric"
    assert CallableMultiplier(asymmetric, FOUR, FOUR, name="mine").name == "mine"


def test_whole_floats_and_booleans_are_taken():
    assert CallableMultiplier(lambda a, b: a * b * 1.0, FOUR, FOUR)(3, 5) == 15
    assert CallableMultiplier(lambda a, b: (a & b) == 1, FOUR, FOUR)(1, 1) == 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: a * b / 2, r"= 7.5; a multiplier returns whole numbers"),
        (lambda a, b: a * b * np.nan, "= nan"),
        (lambda a, b: np.zeros(3, np.int64), r"returned shape \(3,\).*vectorised=False"),
        (lambda a, b: 5, "returned shape"),
        (lambda a, b: None, "returned"),
        (lambda a, b: np.full(a.shape, 2**63, np.uint64), "uint64"),
        (lambda a, b: a.astype(str), "returned <U"),
    ],
)
def test_what_a_function_must_not_return(function, message):
    with pytest.raises(TableError, match=message):
        CallableMultiplier(function, FOUR, FOUR)([3, 3], [5, 5])


@pytest.mark.parametrize("result", ["x", None, 2**70, 1.5, 2**63])
def test_what_a_scalar_function_must_not_return(result):
    with pytest.raises(TableError):
        CallableMultiplier(lambda a, b: result, FOUR, FOUR, vectorised=False)(3, 5)


@pytest.mark.parametrize(
    ("a", "b", "wrong"), [("8s", EIGHT, "a must be an OperandFormat, got '8s'"), (EIGHT, 8, "b must")]
)
def test_formats_that_are_none(a, b, wrong):
    with pytest.raises(ParameterError, match=wrong):
        CallableMultiplier(operator.mul, a, b)


def test_not_callable():
    with pytest.raises(ParameterError, match="must be callable"):
        CallableMultiplier(3, FOUR, FOUR)


def test_errors_of_the_function_pass():
    def fails(a, b):
        raise ZeroDivisionError("in the user's code")

    with pytest.raises(ZeroDivisionError, match="in the user's code"):
        CallableMultiplier(fails, FOUR, FOUR)(1, 1)


# ---------------------------------------------------------------- the battery finds what it is there to find


class Broken(Multiplier):
    """A multiplier with one fault, given as the method it replaces."""

    a = FOUR
    b = SIGNED
    name = "broken"

    def __init__(self, **faults):
        for attribute, value in faults.items():
            object.__setattr__(self, attribute, value)

    def __setattr__(self, attribute, value):
        raise AttributeError("frozen")

    def __repr__(self):
        return "Broken()"

    def __eq__(self, other):
        return isinstance(other, Broken)

    def __hash__(self):
        return 1

    def _product(self, a, b):
        return a * b


def test_battery_passes_a_sound_multiplier_of_the_users_own():
    check_multiplier(Broken())


CALLS = iter(range(10**9))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"_product": lambda a, b: a * b + next(CALLS) % 2}, "second call"),
        ({"_product": lambda a, b: a.sum() * b}, "Python integers"),
        ({"exact": lambda a, b: np.asarray(a) * b + 1}, "exact"),
        ({"error": lambda a, b: np.asarray(a) * 0 + 1}, r"error\(a, b\)"),
        ({"table": lambda: np.zeros((16, 8), np.int64)}, "table"),
        ({"table": lambda: np.zeros((16, 8), np.int32)}, "int64"),
        ({"blocks": lambda n=1: iter([(np.arange(16), np.zeros((16, 8), np.int64))])}, "blocks"),
        ({"fingerprint": lambda: "0" * 64}, "fingerprint"),
        ({"sample_fingerprint": lambda: "0" * 64}, "sample_fingerprint"),
        ({"name": ""}, "name"),
        ({"a": "8u"}, "OperandFormat"),
    ],
)
def test_battery_fails_a_fault(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_multiplier(Broken(**fault), picklable=False)


def test_battery_fails_a_multiplier_that_can_be_changed():
    class Loose(Broken):
        __setattr__ = object.__setattr__

    with pytest.raises(AssertionError, match="attribute a can be set"):
        check_multiplier(Loose(), picklable=False)


def test_battery_fails_a_multiplier_that_does_not_check_operands():
    class Careless(Broken):
        def __call__(self, a, b):
            return np.asarray(np.asarray(a) * np.asarray(b), dtype=np.int64)

    with pytest.raises(AssertionError, match="must raise OperandRangeError"):
        check_multiplier(Careless(), picklable=False)


def test_battery_fails_a_multiplier_without_a_readable_repr():
    class Opaque(Broken):
        __repr__ = object.__repr__

    with pytest.raises(AssertionError, match="repr"):
        check_multiplier(Opaque(), picklable=False)


def test_battery_fails_a_multiplier_equal_to_anything():
    class Agreeable(Broken):
        __hash__ = Broken.__hash__

        def __eq__(self, other):
            return True

    with pytest.raises(AssertionError, match="another kind"):
        check_multiplier(Agreeable(), picklable=False)


def test_battery_fails_what_is_no_multiplier():
    with pytest.raises(AssertionError, match="is not a Multiplier but a int"):
        check_multiplier(3)
