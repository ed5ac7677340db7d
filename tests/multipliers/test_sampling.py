"""Confidence intervals of sampled metrics: do they contain the true values as often as they claim?"""

import copy
import json
import math
import pickle
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipliers import OperandFormat, ParameterError, TableMultiplier, get
from multipliers.accumulator import ErrorAccumulator
from multipliers.characterise import characterise
from multipliers.distributions import normalised_weights
from multipliers.intervals import (
    Interval,
    check_confidence,
    mean_interval,
    share_interval,
    square_interval,
    student_quantile,
)
from multipliers.metric_values import ErrorMetrics
from multipliers.metrics import error_metrics
from multipliers.sampling import SampleSpread
from multipliers.sums import FourMoments

EXTREMES = {"wce", "wcre", "min_error", "max_error", "min_relative_error", "max_relative_error"}
MEASURED = {f.name for f in fields(ErrorMetrics)} - {
    "n_pairs", "comparison", "weighted", "relative", "normaliser", "intervals"
}  # fmt: skip


def shares_inside(m, n_draws, n_samples, confidence, p=None, q=None, relative="nonzero"):
    """Share of seeded samples whose interval contains the metric of all pairs."""
    truth = error_metrics(m, p, q, relative=relative).to_dict()
    weights = [None if w is None else normalised_weights(f, w, "x") for f, w in ((m.a, p), (m.b, q))]
    inside = {}
    for seed in range(n_samples):
        rng = np.random.default_rng(seed)
        a, b = (rng.choice(f.values(), n_draws, p=w) for f, w in zip((m.a, m.b), weights, strict=True))
        accumulator, spread = ErrorAccumulator(m.a, m.b, relative=relative), SampleSpread(m.a, m.b, relative)
        accumulator.add(a * b, m(a, b))
        for part in np.array_split(np.arange(n_draws), 3):
            spread.add((a * b)[part], m(a, b)[part])
        for name, interval in spread.intervals(accumulator.result("sampled"), confidence).items():
            inside.setdefault(name, []).append(truth[name] in interval)
    return {name: np.mean(hits) for name, hits in inside.items()}


@pytest.mark.parametrize(
    ("label", "weighted", "relative"),
    [("mitchell8u", False, "nonzero"), ("drum8s_k4", True, "nonzero"), ("bam8u_h2v5", False, "max1")],
)
def test_intervals_contain_the_truth_as_often_as_they_claim(label, weighted, relative):
    m = TableMultiplier(get(label).table(), get(label).a, get(label).b)
    p = np.exp(-np.abs(np.arange(m.a.size) - m.a.size / 2) / 20) if weighted else None
    shares = shares_inside(m, 1000, 400, 0.95, p, None, relative)
    assert set(shares) == MEASURED - {"wmed"}
    for name, share in shares.items():
        if name in EXTREMES:
            assert share == 1, name
        else:
            assert share >= 0.9, (name, share)
    for name in ("mean_error", "mae", "sd", "rmse", "mean_hamming_distance"):  # nor are they far too wide
        assert shares[name] < 0.99, name


def test_confidence_is_selectable():
    shares = shares_inside(get("mitchell6u"), 1000, 400, 0.5)
    for name in ("mean_error", "mae", "sd", "rmse", "relative_bias", "relative_sd", "mre", "error_probability"):
        assert 0.42 <= shares[name] <= 0.6, (name, shares[name])
    narrow, wide = (error_metrics(get("mitchell8u"), sample=5000, confidence=c) for c in (0.5, 0.999))
    assert narrow.mae == wide.mae
    assert narrow.intervals["mae"].half_width < wide.intervals["mae"].half_width / 4
    assert wide.intervals["mae"].confidence == 0.999


def test_every_metric_of_a_sample_has_its_interval_and_no_other_comparison_has_any():
    m = get("mitchell8s")
    weights = np.arange(1, 257)
    sampled = error_metrics(m, weights, sample=4000)
    assert set(sampled.intervals) == MEASURED
    for name, interval in sampled.intervals.items():
        assert getattr(sampled, name) in interval, name
        assert (interval.method == "bound") == (name in EXTREMES) == math.isinf(interval.half_width)
    assert sampled.intervals["wce"] == Interval(sampled.wce, math.inf, 1.0, "bound")
    assert sampled.intervals["min_error"] == Interval(-math.inf, sampled.min_error, 1.0, "bound")
    assert sampled.intervals["nmed"].high == pytest.approx(sampled.intervals["mae"].high / 65536)
    for comparison in ("exhaustive", "streamed"):
        assert error_metrics(m, comparison=comparison).intervals == {}


def test_intervals_are_stored_and_older_metrics_still_read():
    sampled, whole = (error_metrics(get("mitchell8u"), sample=n) for n in (1000, None))
    for metrics in (sampled, whole):
        again = ErrorMetrics.from_dict(json.loads(json.dumps(metrics.to_dict(), allow_nan=False)))
        assert again == metrics
        assert again.intervals == metrics.intervals
        assert hash(again) == hash(metrics)
        assert copy.deepcopy(metrics) == pickle.loads(pickle.dumps(metrics)) == metrics  # noqa: S301
    assert "intervals" not in whole.to_dict()
    assert sampled.to_dict()["intervals"]["wce"]["high"] is None
    with pytest.raises(TypeError):
        sampled.intervals["mae"] = None


def test_metrics_without_a_value_have_no_interval():
    m = TableMultiplier([[3, 0], [0, 1]], "1u")
    found = error_metrics(m, [1, 0], sample=100)
    assert not {"mre", "relative_bias", "relative_sd", "wcre"} & set(found.intervals)
    assert "mre" in error_metrics(m, [1, 0], sample=100, relative="max1").intervals


def test_a_sample_without_an_error_bounds_their_probability():
    found = error_metrics(get("exact12u"), sample=10_000)
    assert found.intervals["mae"] == Interval(0.0, 0.0, 0.95, "student")
    share = found.intervals["error_probability"]
    assert share.low == 0
    assert share.high == pytest.approx(1.96**2 / (10_000 + 1.96**2), rel=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_draws_say_nothing_of_means(n):
    found = error_metrics(get("mitchell8u"), sample=n)
    assert (found.intervals["mean_error"].low, found.intervals["mae"].high) == (-math.inf, math.inf)
    assert (found.intervals["sd"].low, found.intervals["sd"].high) == (0.0, math.inf)


# two-sided quantiles of Student's t from tables: degrees of freedom, confidence, quantile
@pytest.mark.parametrize(
    ("nu", "confidence", "quantile"),
    [(5, 0.95, 2.571), (10, 0.95, 2.228), (10, 0.99, 3.169), (30, 0.95, 2.042), (60, 0.9, 1.671), (10**9, 0.95, 1.960)],
)
def test_quantiles_of_student(nu, confidence, quantile):
    assert student_quantile(confidence, nu + 1) == pytest.approx(quantile, rel=2e-3)


def test_wilson_against_its_definition():
    """The ends are the shares p at which the observed share lies z standard deviations away."""
    z = 1.959963984540054
    for share, n in ((0.0, 7), (0.3, 10), (0.5, 1000), (0.999, 1000), (1.0, 5)):
        found = share_interval(share, n)
        for end in (found.low, found.high):
            if 0 < end < 1:
                assert abs(share - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), rel=1e-9)
        assert found.low <= share <= found.high


@given(st.lists(st.lists(st.integers(-1000, 1000), min_size=0, max_size=9), min_size=1, max_size=5).filter(any))
def test_moments_of_blocks_against_numpy(blocks):
    moments = FourMoments()
    for block in blocks:
        moments.add(np.array(block, dtype=np.float64))
    x = np.concatenate(blocks).astype(np.float64)
    assert (moments.n, moments.mean) == (x.size, pytest.approx(x.mean(), abs=1e-9))
    for power, moment in zip((2, 3, 4), moments.central, strict=True):
        assert moment == pytest.approx(((x - x.mean()) ** power).mean(), rel=1e-9, abs=1e-3)


def test_spread_of_squares_about_a_large_bias():
    """The variance of E^2 that the MSE's interval rests on, against the errors themselves."""
    rng = np.random.default_rng(0)
    errors = rng.integers(-50, 60, 5000) - 700
    spread = SampleSpread(OperandFormat(8), OperandFormat(8))
    accumulator = ErrorAccumulator(OperandFormat(8), OperandFormat(8))
    exact = np.full(5000, 10_000)
    spread.add(exact, exact + errors)
    accumulator.add(exact, exact + errors)
    found = spread.intervals(accumulator.result("sampled"))["mse"]
    squares = errors.astype(float) ** 2
    expected = square_interval(squares.mean(), squares.var(), 5000)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, math.nan, "high", True])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ParameterError, match="confidence must be a number between 0 and 1"):
        error_metrics(get("exact2u"), sample=10, confidence=confidence)
    with pytest.raises(ParameterError, match="confidence"):
        check_confidence(confidence)


def test_cut_off_ends():
    assert mean_interval(0.1, 100.0, 10, least=0.0).low == 0.0
    assert share_interval(0.5, 4).to_dict()["method"] == "wilson"
    assert square_interval(1.0, 1e12, 10).high == math.inf


def test_summary_carries_the_intervals():
    sampled = {row.label: row for row in characterise(get("mitchell12u"), sample=5000).summary()}
    bias = sampled["mean error (bias)"].interval
    assert bias.low < sampled["mean error (bias)"].value < bias.high
    dot = sampled["dot product of 1024: mean error"]
    assert dot.interval.low == pytest.approx(1024 * bias.low)
    assert sampled["dot product of 1024: standard deviation"].interval.method == "log-delta"
    assert sampled["commutative"].interval is None
    assert all(row.interval is None for row in characterise(get("mitchell4u")).summary())
