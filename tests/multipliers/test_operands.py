import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipliers import OperandFormat, OperandRangeError, OperandTypeError, ParameterError

formats = st.builds(OperandFormat, st.integers(1, 32), st.booleans())


@pytest.mark.parametrize(
    ("label", "minimum", "maximum"),
    [("1u", 0, 1), ("1s", -1, 0), ("2s", -2, 1), ("8u", 0, 255), ("8s", -128, 127), ("32s", -(2**31), 2**31 - 1)],
)
def test_range(label, minimum, maximum):
    form = OperandFormat.parse(label)
    assert (form.minimum, form.maximum, form.label, str(form)) == (minimum, maximum, label, label)
    assert form.size == maximum - minimum + 1


@given(formats)
def test_label_and_repr_are_read_back(form):
    assert OperandFormat.parse(form.label) == form
    assert eval(repr(form), {"OperandFormat": OperandFormat}) == form  # noqa: S307 - our own repr


@pytest.mark.parametrize("bits", [1, 5, 12])
@pytest.mark.parametrize("signed", [False, True])
def test_values_are_all_values_in_order(bits, signed):
    form = OperandFormat(bits, signed)
    assert form.values().dtype == np.int64
    assert form.values().tolist() == list(range(form.minimum, form.maximum + 1))


@pytest.mark.parametrize("bits", [0, 33, -1])
def test_width_out_of_range(bits):
    with pytest.raises(ParameterError, match=f"from 1 to 32, got {bits}"):
        OperandFormat(bits)


@pytest.mark.parametrize("bits", [True, 8.0, "8", None])
def test_width_of_a_wrong_type(bits):
    with pytest.raises(ParameterError, match="bits must be an integer"):
        OperandFormat(bits)


@pytest.mark.parametrize("signed", [0, 1, "s", None])
def test_sign_of_a_wrong_type(signed):
    with pytest.raises(ParameterError, match="signed must be True or False"):
        OperandFormat(8, signed)


def test_numpy_arguments_are_stored_as_python_ones():
    form = OperandFormat(np.int64(8), np.True_)
    assert repr(form) == "OperandFormat(bits=8, signed=True)"
    assert hash(form) == hash(OperandFormat(8, True))


@pytest.mark.parametrize("label", ["", "8", "u8", "08u", "8U", "8us", "-8u", "100u", "8 u", None, 8])
def test_labels_that_do_not_parse(label):
    with pytest.raises(ParameterError, match="'8u' or '12s'"):
        OperandFormat.parse(label)


def test_label_with_a_width_out_of_range():
    with pytest.raises(ParameterError, match="from 1 to 32, got 99"):
        OperandFormat.parse("99u")


def test_surrounding_space_is_ignored():
    assert OperandFormat.parse(" 8u\n") == OperandFormat(8)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64, object])
def test_check_accepts_every_integer_type(dtype):
    checked = OperandFormat(8).check(np.array([[0, 1], [2, 127]], dtype=dtype))
    assert checked.dtype == np.int64
    assert checked.tolist() == [[0, 1], [2, 127]]


@given(formats, st.integers(-(2**80), 2**80))
def test_check_accepts_exactly_the_range(form, value):
    if form.minimum <= value <= form.maximum:
        assert int(form.check(value)) == value
    else:
        with pytest.raises(OperandRangeError, match=f"operand w: {value} is outside"):
            form.check(value, "w")


def test_range_error_names_the_interval():
    with pytest.raises(OperandRangeError, match=r"operand b: -129 is outside \[-128, 127\] of the format 8s"):
        OperandFormat(8, True).check([0, -129, 127], "b")


@pytest.mark.parametrize("value", [1.0, [0.0], True, [True], "1", None, 1j, [None, 1], [True, 2**70]])
def test_other_types_are_refused(value):
    with pytest.raises(OperandTypeError, match="operand b must be integers"):
        OperandFormat(8).check(value, "b")


def test_empty_arrays():
    assert OperandFormat(8).check(np.zeros((0, 2), np.int16)).shape == (0, 2)


@given(st.integers(1, 32), st.lists(st.integers(-(2**62), 2**62), min_size=1))
def test_wrap_keeps_the_low_bits(bits, values):
    for signed in (False, True):
        form = OperandFormat(bits, signed)
        wrapped = form.check(form.wrap(values))
        assert all((int(w) - v) % 2**bits == 0 for w, v in zip(wrapped, values, strict=True))


def test_wrap_refuses_floats():
    with pytest.raises(OperandTypeError, match="only integers can be wrapped"):
        OperandFormat(8).wrap([1.5])


def test_formats_sort():
    labels = ["8s", "4u", "8u", "4s"]
    assert [f.label for f in sorted(map(OperandFormat.parse, labels))] == ["4u", "4s", "8u", "8s"]
