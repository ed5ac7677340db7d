"""Error against cost, the choice by objective, and the cost model."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import ParameterError, error_metrics
from surrogate import CostModel, FitError, Objective, SurrogateError, discover, front, select
from surrogate.testing import table_multipliers


@settings(max_examples=25, deadline=None)
@given(table_multipliers(), st.integers(1, 4))
def test_the_front_is_what_discovery_reaches(m, k):
    found = front(m)
    s = discover(m, method="lowrank", products=k)
    largest = float(abs(m.products).max())
    k = min(k, len(found.residuals) - 1)
    if not s.is_integer:
        assert s.certificate.rms_residual == pytest.approx(found.residuals[k], rel=1e-6, abs=1e-9 * largest)
    assert (np.diff(found.residuals) <= 1e-9 * largest).all()
    assert found.error == pytest.approx(error_metrics(m).rmse)
    assert found.complete


def test_front_of_weighted_and_of_wide_multipliers():
    m = multipliers.get("mitchell8u")
    p = np.exp(-np.arange(256) / 24)
    weighted = front(m, p, None, most=5)
    assert len(weighted.residuals) == 6
    assert weighted.error == pytest.approx(error_metrics(m, p, np.ones(256)).rmse)
    wide = front(multipliers.get("mitchell13u"), most=3)
    assert not wide.complete
    assert wide.shares[3] == pytest.approx(0.0969, abs=0.002)
    assert np.isnan(front(multipliers.get("exact4u")).shares).all()


def test_products_for():
    found = front(multipliers.get("mitchell6u"))
    k = found.products_for(found.error / 10)
    assert found.residuals[k] <= found.error / 10 < found.residuals[k - 1]
    with pytest.raises(FitError, match=r"the best of these leaves \d"):
        front(multipliers.get("mitchell6u"), most=2).products_for(0)
    with pytest.raises(ParameterError, match="from 0"):
        found.products_for(-1)
    with pytest.raises(ParameterError, match="positive integer"):
        front(multipliers.get("mitchell6u"), most=0)


def test_exact_where_it_is_cheap_and_the_table_where_it_is_not():
    found = select(multipliers.get("bam8s_h0v3"), Objective(exact=True))
    assert (found.chosen.engine, found.surrogate.is_exact) == ("surrogate", True)
    assert [c.engine for c in found.candidates] == ["surrogate", "table"]
    found = select(multipliers.get("mitchell8u"), Objective(exact=True))
    assert found.chosen.engine == "table"
    assert found.surrogate.is_exact
    assert found.candidates[1].cost > found.chosen.cost


def test_approximate_within_the_residual_at_the_lowest_cost():
    m = multipliers.get("mitchell8u")
    slow_table = CostModel(table=10.0)
    found = select(m, Objective(max_share=0.1), costs=slow_table)
    assert found.surrogate.n_products == 3
    assert found.chosen.engine == "surrogate"
    assert found.chosen.residual <= 0.1 * found.error
    assert found.surrogate.certificate.rms_residual == pytest.approx(found.chosen.residual)
    costly = select(m, Objective(max_share=0.1), costs=CostModel(int8=100.0, float32=100.0))
    assert costly.chosen.engine == "table"
    assert costly.surrogate.n_products == 3
    assert select(m, Objective(max_products=2)).surrogate.n_products == 2
    assert discover(m, objective=Objective(max_residual=found.chosen.residual)) == found.surrogate


def test_what_cannot_be_met_says_the_best_there_is():
    m = multipliers.get("mitchell8u")
    with pytest.raises(FitError, match=r"best surrogate of 3 products leaves 95\.07.* an exact one has 128 products"):
        select(m, Objective(exact=True, max_products=3))
    with pytest.raises(FitError, match=r"best surrogate of 2 products leaves"):
        select(m, Objective(max_residual=1, max_products=2))
    with pytest.raises(FitError, match="every_pair=True"):
        select(multipliers.get("drum14u_k5"), Objective(exact=True, max_products=4))
    only = select(multipliers.get("mitchell4u"), Objective(max_residual=0.0), costs=CostModel(table=0.1))
    assert only.chosen.engine == "table"


def test_objectives_and_options_are_checked():
    for options, text in (
        ({}, "asks for nothing"),
        ({"max_products": 0}, "positive integer"),
        ({"max_residual": -1.0}, "non-negative"),
        ({"max_share": float("nan")}, "non-negative"),
    ):
        with pytest.raises(FitError, match=text):
            Objective(**options)
    m = multipliers.get("exact4u")
    with pytest.raises(FitError, match="both given"):
        discover(m, "exact", objective=Objective(exact=True))
    with pytest.raises(FitError, match="options of a method"):
        discover(m, objective=Objective(exact=True), terms=3)


def test_cost_model_counts_products_by_datatype():
    costs = CostModel(base=1.0, int8=0.5, float32=2.0, float64=8.0)
    assert costs.of_surrogate(discover(multipliers.get("bam8s_h0v3"))) == 1 + 4 * 0.5
    assert costs.of_surrogate(discover(multipliers.get("trunc12u_t2"))) == 1 + 2.0
    assert costs.of_surrogate(discover(multipliers.get("mitchell8u"), "lowrank", products=3)) == 1 + 3 * 2.0
    assert costs.products_of(discover(multipliers.get("exact12s"))) == (4, "int8")  # two digits by two
    assert CostModel(int8=1.0, float32=3.0).products_of(discover(multipliers.get("exact12s"))) == (1, "float32")
    rounded = discover(multipliers.get("mitchell8u"), "lowrank", products=3, factors="int8")
    assert costs.products_of(rounded) == (3, "int8")
    assert costs.of_table(multipliers.get("exact16u")) == float("inf")
    assert costs.affordable_products(7.5) == 3


def test_cost_models_are_files(tmp_path):
    costs = CostModel(base=0.25, shape="test")
    costs.save(tmp_path / "costs.json")
    assert CostModel.load(tmp_path / "costs.json") == costs
    for text in ("{", "[]", json.dumps({"base": 1})):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(SurrogateError, match="no cost model"):
            CostModel.load(tmp_path / "bad.json")
    with pytest.raises(SurrogateError, match="non-negative"):
        CostModel(int8=-1.0)
