"""`HTPRegressor` keeps scikit-learn's conventions."""

import itertools
import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from surrogate import FitError
from surrogate.basis import Constant, Identity, Mod
from surrogate.fit.recipe_estimator import HTPRegressor

FUNCTIONS = (Constant(), Identity(), Mod(1), Mod(2), Mod(3))
TERMS = list(itertools.product(FUNCTIONS, FUNCTIONS))
PAIRS = np.random.default_rng(0).integers(-32, 32, size=(500, 2))
TARGET = PAIRS[:, 0] * PAIRS[:, 1] - 2.0 * (PAIRS[:, 0] % 4) * (PAIRS[:, 1] % 8) + 5


@pytest.mark.parametrize("solver", ["ols", "omp", "lasso"])
def test_conventions(solver):
    regressor = HTPRegressor(TERMS, decimals=1, solver=solver)
    assert is_regressor(regressor)
    assert regressor.get_params() == {"terms": TERMS, "decimals": 1, "solver": solver, "max_terms": None}
    with pytest.raises(NotFittedError):
        regressor.predict(PAIRS)
    copy = clone(regressor)
    assert regressor.fit(PAIRS, TARGET) is regressor
    assert regressor.n_features_in_ == 2
    assert regressor.get_params() == copy.get_params()
    assert not hasattr(copy, "terms_")
    assert regressor.score(PAIRS, TARGET) > 0.99
    again = pickle.loads(pickle.dumps(regressor))  # noqa: S301
    np.testing.assert_array_equal(again.predict(PAIRS), regressor.predict(PAIRS))
    np.testing.assert_array_equal(regressor.predict(PAIRS[::-1].tolist()), regressor.predict(PAIRS)[::-1])
    assert copy.set_params(decimals=0).decimals == 0


@pytest.mark.parametrize("solver", ["ols", "omp"])
def test_exact_model_comes_back(solver):
    found = HTPRegressor(TERMS, solver=solver).fit(PAIRS, TARGET)
    assert {(t.a, t.b): t.coefficient for t in found.terms_} == {
        (Identity(), Identity()): 1,
        (Mod(2), Mod(3)): -2,
        (Constant(), Constant()): 5,
    }
    assert found.score(PAIRS, TARGET) == 1


def test_lasso_keeps_its_limit():
    found = HTPRegressor(TERMS, decimals=None, solver="lasso", max_terms=4).fit(PAIRS, TARGET)
    assert 1 <= len(found.terms_) <= 4
    more = HTPRegressor(TERMS, decimals=None, solver="lasso", max_terms=12).fit(PAIRS, TARGET)
    assert np.square(more.predict(PAIRS) - TARGET).sum() <= np.square(found.predict(PAIRS) - TARGET).sum()


def test_model_selection_and_pipelines():
    grid = {"solver": ["omp", "ols"], "decimals": [0, 1]}
    search = GridSearchCV(HTPRegressor(TERMS), grid, cv=3, error_score="raise").fit(PAIRS, TARGET)
    assert search.best_score_ == 1
    swapped = make_pipeline(FunctionTransformer(lambda X: X[:, ::-1]), HTPRegressor(TERMS)).fit(PAIRS[:, ::-1], TARGET)
    np.testing.assert_allclose(swapped.predict(PAIRS[:, ::-1]), TARGET)


def test_sample_weights_count_repetitions():
    weights = np.random.default_rng(1).integers(0, 4, size=len(PAIRS))
    noisy = TARGET + np.random.default_rng(2).normal(0, 20, size=len(PAIRS))
    terms = [(Identity(), Identity()), (Mod(2), Mod(3)), (Constant(), Constant())]
    weighted = HTPRegressor(terms, decimals=None).fit(PAIRS, noisy, sample_weight=weights)
    repeated = HTPRegressor(terms, decimals=None).fit(np.repeat(PAIRS, weights, axis=0), np.repeat(noisy, weights))
    plain = HTPRegressor(terms, decimals=None).fit(PAIRS, noisy)
    got, expected, other = ([t.coefficient for t in r.terms_] for r in (weighted, repeated, plain))
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert not np.allclose(got, other, rtol=1e-3)


def test_whole_floats_are_operands():
    regressor = HTPRegressor(TERMS).fit(PAIRS.astype(float), TARGET)
    np.testing.assert_array_equal(regressor.predict(PAIRS.astype(np.int8)), regressor.predict(PAIRS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": PAIRS + 0.5}, "X must be integer operand pairs"),
        ({"X": PAIRS[:, :1]}, "X must be integer operand pairs"),
        ({"X": np.full(PAIRS.shape, np.nan)}, "NaN"),
        ({"X": PAIRS[:-1]}, "inconsistent numbers of samples"),
        ({"X": PAIRS[:0], "y": TARGET[:0]}, "minimum of 1 is required"),
        ({"sample_weight": -np.ones(len(PAIRS))}, "sample_weight must be numbers of 0 or more"),
        ({"sample_weight": np.zeros(len(PAIRS))}, "not all 0"),
        ({"sample_weight": [1.0]}, "inconsistent numbers of samples"),
    ],
)
def test_bad_data(change, message):
    with pytest.raises(ValueError, match=message):
        HTPRegressor(TERMS).fit(**{"X": PAIRS, "y": TARGET, **change})


def test_bad_parameters_are_refused_when_fitting():
    for options, message in (
        ({"terms": []}, "terms is empty"),
        ({"terms": TERMS, "solver": "ridge"}, "solver must be one of"),
        ({"terms": TERMS, "max_terms": 3}, "terms is for the solvers"),
        ({"terms": TERMS, "solver": "omp", "max_terms": -1}, "terms must be a positive integer"),
    ):
        with pytest.raises(FitError, match=message):
            HTPRegressor(**options).fit(PAIRS, TARGET)
