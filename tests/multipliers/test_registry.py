from dataclasses import dataclass

import pytest

import multipliers
from multipliers import Design, OperandFormat, ParameterError, UnknownNameError
from multipliers.designs import Drum, Exact

EIGHT = OperandFormat(8)


def test_families_are_sorted_and_a_copy():
    known = multipliers.families()
    assert list(known) == sorted(known)
    assert {"bam", "drum", "exact", "mitchell", "mitchw", "ppp", "trunc", "udm"} <= set(known)
    known.clear()
    assert multipliers.families()


def test_every_family_states_its_class_variables():
    for family, design in multipliers.families().items():
        assert design.family == family
        assert set(design.letters.values()) <= set(design.__dataclass_fields__)
        assert len(set(design.letters.values())) == len(design.letters)
        assert all(word in design.__doc__ for word in ("Parameters", "Sign rule", "Source")) or design is Exact


def test_a_taken_family_is_refused():
    with pytest.raises(ParameterError, match="'drum' is taken by Drum"):

        @multipliers.register
        @dataclass(frozen=True)
        class Other(Design):
            family = "drum"

    assert multipliers.families()["drum"] is Drum


def test_registering_again_is_harmless():
    assert multipliers.register(Drum) is Drum


def test_a_class_defined_again_takes_the_place_of_its_former_self():
    """As when the cell of a notebook that defines it runs twice."""
    again = type("Drum", (Drum,), {"__module__": Drum.__module__, "__qualname__": Drum.__qualname__})
    try:
        assert multipliers.register(again) is again
        assert multipliers.families()["drum"] is again
    finally:
        multipliers.register(Drum)
    assert type(multipliers.get("drum8u_k4")) is Drum


def test_create():
    assert multipliers.create("drum", EIGHT, EIGHT, kept_bits=4) == multipliers.get("drum8u_k4")
    with pytest.raises(UnknownNameError, match="did you mean 'drum'"):
        multipliers.create("drumm", EIGHT, EIGHT, kept_bits=4)


@pytest.mark.parametrize("fields", [{}, {"k": 4}, {"kept_bits": 4, "more": 1}])
def test_create_with_wrong_fields(fields):
    with pytest.raises(ParameterError, match=r"Drum takes the parameters \['kept_bits'\]"):
        multipliers.create("drum", EIGHT, EIGHT, **fields)


@pytest.mark.parametrize(
    ("label", "error", "message"),
    [
        ("nonsense", ParameterError, "is not a multiplier label"),
        ("zzz8u", UnknownNameError, r"unknown multiplier family 'zzz'; known: .*bam, .*, \.\.\."),
        ("mitchel8u", UnknownNameError, "did you mean 'mitchell'"),
        ("drum8u", ParameterError, "takes the parameters"),
        ("exact8u_k3", ParameterError, "exact has no parameter 'k'; it takes none"),
        ("bam8u_h1w2", ParameterError, r"no parameter 'w'; it takes h \(hbl\), v \(vbl\)"),
    ],
)
def test_get_explains(label, error, message):
    with pytest.raises(error, match=message):
        multipliers.get(label)


def test_parameters_in_another_order_are_the_same_multiplier():
    assert multipliers.get("bam8u_v5h2") == multipliers.get("bam8u_h2v5")
    assert multipliers.get("bam8u_v5h2").name == "bam8u_h2v5"
