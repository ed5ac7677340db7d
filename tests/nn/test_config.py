import pickle

import pytest

import surrogate
from multipliers import get
from surrogate.nn import ApproxConfig, ApproxLinear, ConversionError, QuantiserConfig


def test_labels_become_multipliers():
    assert ApproxConfig(multiplier="drum8u_k4").multiplier == get("drum8u_k4")


def test_auto_takes_an_exact_surrogate_where_it_is_small_and_else_the_table():
    low_rank = ApproxConfig(multiplier="bam8s_h0v4").resolved()
    assert low_rank.backend == "surrogate"
    assert low_rank.surrogate.is_exact
    assert ApproxConfig(multiplier="mitchell8u").resolved().backend == "table"
    wide = ApproxConfig(multiplier="bam12s_h0v4").resolved()
    assert wide.surrogate.certificate.comparison == "streamed"
    assert wide.surrogate.is_exact


def test_auto_refuses_what_it_cannot_do_exactly():
    with pytest.raises(ConversionError, match="approximate surrogate"):
        ApproxConfig(multiplier="mitchell16u").resolved()


def test_lowrank_finds_an_exact_surrogate_or_says_what_to_do():
    assert ApproxConfig(multiplier="bam8s_h0v4", backend="lowrank").resolved().surrogate.is_exact
    model = surrogate.discover(get("mitchell8u"), terms=200)
    given_ = ApproxConfig(surrogate=model, backend="lowrank")
    assert given_.resolved() is given_
    with pytest.raises(ConversionError, match=r"mitchell8u has no surrogate of at most 12 terms.*pass one of more"):
        ApproxConfig(multiplier="mitchell8u", backend="lowrank").resolved()


def test_a_given_surrogate_is_run():
    model = surrogate.discover(get("mitchell8u"), method="htp")
    config = ApproxConfig(multiplier="mitchell8u", surrogate=model).resolved()
    assert config.backend == "surrogate"
    assert not ApproxLinear(3, 2, config=config).exact


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give the multiplier"),
        ({"multiplier": "exact8s", "backend": "surrogate"}, "needs a surrogate"),
        ({"surrogate": surrogate.discover(get("exact8s")), "backend": "table"}, "needs the multiplier itself"),
        ({"surrogate": surrogate.discover(get("exact8s")), "backend": "error_table"}, "needs the multiplier itself"),
        ({"surrogate": surrogate.discover(get("mitchell8u"), method="htp"), "backend": "lowrank"}, "approximate ones"),
        ({"multiplier": "exact8s", "backend": "gpu"}, "backend must be one of"),
        ({"multiplier": "exact8s", "activation_operand": "x"}, "activation_operand must be one of"),
        ({"multiplier": "exact8s", "arithmetic": "int4"}, "arithmetic must be one of"),
        ({"multiplier": 3}, "multiplier must be a Multiplier, got 3"),
        ({"surrogate": "file.json"}, "surrogate must be a Surrogate"),
        ({"multiplier": "exact8u", "surrogate": surrogate.discover(get("exact8s"))}, "stands for 'exact8s'"),
        ({"surrogate": surrogate.discover(get("exact8s")).with_certificate(None)}, "not certified"),
        ({"multiplier": "exact8s", "activation": QuantiserConfig(granularity="channel")}, "per tensor"),
        ({"multiplier": "exact8s", "weight": "4s"}, "weight must be a QuantiserConfig.* got '4s'"),
        ({"multiplier": "exact8s", "activation": None}, "activation must be a QuantiserConfig"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ConversionError, match=message):
        ApproxConfig(**arguments)


def test_unknown_labels_are_refused_with_suggestions():
    with pytest.raises(LookupError, match="did you mean 'drum'"):
        ApproxConfig(multiplier="drun8u_k4")


def test_configurations_are_values():
    config = ApproxConfig(multiplier="drum8u_k4")
    assert config == ApproxConfig(multiplier="drum8u_k4")
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301  # our own bytes
