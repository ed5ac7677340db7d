"""Normal relative errors of given MRE and standard deviation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import foldnorm

from multipliers import get
from multipliers.metrics import error_metrics
from surrogate.nn import RelativeError

HAMMAD = [(1.2, 1.5), (1.4, 1.8), (2.4, 3.0), (3.6, 4.5), (4.8, 6.0), (9.6, 12), (19.2, 24), (38.2, 48)]


@given(st.floats(-0.5, 0.5), st.floats(1e-3, 1))
def test_mre_is_the_mean_of_a_folded_normal_variable(mean, sd):
    assert RelativeError(mean, sd).mre == pytest.approx(foldnorm.mean(abs(mean) / sd, scale=sd), rel=1e-9)


@given(st.floats(0.05, 20), st.floats(1e-3, 1), st.booleans())
def test_every_pair_that_a_normal_error_has_is_found(ratio, sd, negative):
    mean = -ratio * sd if negative else ratio * sd
    found = RelativeError.from_mre(RelativeError(mean, sd).mre, sd, negative=negative, seed=3)
    assert found.mean == pytest.approx(mean, rel=1e-6)
    assert (found.sd, found.seed) == (sd, 3)


@pytest.mark.parametrize(("mre", "sd"), HAMMAD)
def test_published_levels_are_accepted_to_their_two_digits(mre, sd):
    error = RelativeError.from_mre(mre / 100, sd / 100)
    assert error.sd == sd / 100
    assert error.mre == pytest.approx(mre / 100, rel=0.026)
    assert 0 <= error.mean < 0.1 * error.sd


def test_without_a_standard_deviation_the_mean_is_zero():
    error = RelativeError.from_mre(0.1)
    assert (error.mean, error.mre) == (0, pytest.approx(0.1))
    assert RelativeError.from_mre(0.0, 0.0) == RelativeError(0.0, 0.0)
    assert RelativeError.from_mre(0.2, 0.0).mean == pytest.approx(0.2)


def test_pairs_that_no_normal_error_has_are_refused():
    with pytest.raises(ValueError, match=r"no normal error has MRE 0\.01 and standard deviation 0\.05: .*0\.0398"):
        RelativeError.from_mre(0.01, 0.05)
    with pytest.raises(ValueError, match="no normal error"):
        RelativeError.from_mre(0.0, 0.01)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1])
def test_bad_numbers_are_refused(bad):
    with pytest.raises(ValueError, match=r"sd must be a finite number from 0.*got"):
        RelativeError(0.0, bad)
    with pytest.raises(ValueError, match=r"sd must be a finite number from 0.*got"):
        RelativeError.from_mre(0.1, bad)
    with pytest.raises(ValueError, match=r"mre must be a finite number from 0.*got"):
        RelativeError.from_mre(bad)
    if bad != -0.1:
        with pytest.raises(ValueError, match="mean must be a finite number"):
            RelativeError(bad, 0.1)


def test_moments_of_a_multiplier():
    metrics = error_metrics(get("mitchell6u"))
    error = RelativeError.of(get("mitchell6u"), seed=2)
    assert (error.mean, error.sd, error.seed) == (metrics.relative_bias, metrics.relative_sd, 2)
    assert np.sign(error.mean) == -1
