import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipliers import OperandFormat, ParameterError
from multipliers.naming import format_label, parse_label

formats = st.builds(OperandFormat, st.integers(1, 32), st.booleans())
families = st.sampled_from(["exact", "drum", "bam", "r4abm", "rad2k"])
parameters = st.dictionaries(st.sampled_from(["h", "v", "k", "w", "c", "vbl"]), st.integers(0, 999), max_size=4)


@given(families, formats, formats, parameters)
def test_labels_are_read_back(family, a, b, values):
    label = parse_label(format_label(family, a, b, values))
    assert (label.family, label.a, label.b, label.parameters) == (family, a, b, values)
    assert list(label.parameters) == list(values)


@pytest.mark.parametrize(
    ("label", "a", "b", "values"),
    [
        ("drum8u_k4", "8u", "8u", {"k": 4}),
        ("bam8s_h0v3", "8s", "8s", {"h": 0, "v": 3}),
        ("exact8x4u", "8u", "4u", {}),
        ("exact8x4s", "8s", "4s", {}),
        ("exact8sx4u", "8s", "4u", {}),
        ("exact8ux4u", "8u", "4u", {}),
    ],
)
def test_parse(label, a, b, values):
    parsed = parse_label(label)
    assert (parsed.a.label, parsed.b.label, parsed.parameters) == (a, b, values)


@pytest.mark.parametrize(
    "label",
    ["", "drum", "drum8", "8u", "drum8u_", "drum8u_4", "drum8u_k", "drum8u_k4_", "Drum8u_k4", "drum8u k4", "_8u",
     "drum8ux_k4", "drum8u_k-4", "drum8u_k4.0", "drum8u_k4\n", "mul8u_1JJQ", "8x8u"],
)  # fmt: skip
def test_what_is_no_label(label):
    with pytest.raises(ParameterError, match="is not a multiplier label; expected"):
        parse_label(label)


def test_repeated_parameter():
    with pytest.raises(ParameterError, match="'k' twice"):
        parse_label("drum8u_k4k5")


def test_width_out_of_range():
    with pytest.raises(ParameterError, match="from 1 to 32, got 64"):
        parse_label("exact64u")
