import math

import pytest

from surrogate import Certificate, SurrogateError

GOOD = {
    "comparison": "exhaustive",
    "n_pairs": 256,
    "n_different": 3,
    "max_abs_residual": 2.0,
    "mean_abs_residual": 0.1,
    "rms_residual": 0.2,
    "residual_bias": -0.05,
}
ZERO = (
    GOOD
    | {"n_different": 0}
    | dict.fromkeys(["max_abs_residual", "mean_abs_residual", "rms_residual", "residual_bias"], 0.0)
)


def test_stored_form_reads_back():
    c = Certificate(**GOOD)
    assert Certificate.from_dict(c.to_dict()) == c
    assert c.share_different == 3 / 256
    assert not c.exact


@pytest.mark.parametrize(("comparison", "exact"), [("exhaustive", True), ("streamed", True), ("sampled", False)])
def test_only_comparisons_of_every_pair_can_be_exact(comparison, exact):
    c = Certificate(**ZERO | {"comparison": comparison})
    assert c.exact is exact
    assert c.every_pair is exact
    residual = {"max_abs_residual": 1e-300, "mean_abs_residual": 1e-300, "rms_residual": 1e-300}
    assert not Certificate(**ZERO | {"comparison": comparison} | residual).exact


@pytest.mark.parametrize(
    "change",
    [
        {"comparison": "believed"},
        {"comparison": ["exhaustive"]},
        {"n_pairs": 0},
        {"n_pairs": -1},
        {"n_pairs": True},
        {"n_pairs": 256.0},
        {"n_pairs": 2},
        {"n_different": -1},
        {"n_different": None},
        {"n_different": 0},
        {"max_abs_residual": 0.4},
        {"max_abs_residual": 0.0},
        {"max_abs_residual": math.nan},
        {"max_abs_residual": math.inf},
        {"max_abs_residual": -2.0},
        {"max_abs_residual": "2"},
        {"mean_abs_residual": -0.1},
        {"rms_residual": -0.1},
        {"rms_residual": True},
        {"residual_bias": None},
    ],
    ids=str,
)
def test_refusals(change):
    with pytest.raises(SurrogateError, match="certificate"):
        Certificate(**GOOD | change)


@pytest.mark.parametrize("name", ["mean_abs_residual", "rms_residual", "residual_bias"])
def test_residuals_cannot_contradict_each_other(name):
    with pytest.raises(SurrogateError, match="contradict"):
        Certificate(**ZERO | {name: 1.0})


def test_negative_zero_is_zero():
    assert str(Certificate(**ZERO | {"residual_bias": -0.0}).residual_bias) == "0.0"


@pytest.mark.parametrize("data", [None, [], {}, GOOD | {"more": 1}, {k: GOOD[k] for k in list(GOOD)[1:]}])
def test_fields_are_exactly_those_listed(data):
    with pytest.raises(SurrogateError, match="fields"):
        Certificate.from_dict(data)


def test_agreement_allows_rounding_of_sums_only():
    c = Certificate(**GOOD)
    assert c.agrees_with(Certificate(**GOOD | {"rms_residual": 0.2 * (1 + 1e-12), "comparison": "streamed"}))
    for change in (
        {"n_different": 4},
        {"max_abs_residual": 2.0000001},
        {"rms_residual": 0.21},
        {"residual_bias": 0.05},
        {"comparison": "sampled"},
    ):
        assert not c.agrees_with(Certificate(**GOOD | change))
