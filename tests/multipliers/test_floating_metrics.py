"""Relative errors of floating-point multipliers: published figures, and integrals against brute force."""

import json

import numpy as np
import pytest

from multipliers import ParameterError
from multipliers.floating import FloatFormat, FloatMultiplier, float_metrics, get
from multipliers.table import TableMultiplier

RNG = np.random.default_rng(11)
NOISE = FloatMultiplier(FloatFormat(8, 2), TableMultiplier(RNG.integers(-20, 90, (8, 8)), "3u", name="noise"))
"""Products that are 0, negative, too small and too large."""


def statistics(error):
    return np.abs(error).mean(), error.mean(), error.std(), error.min(), error.max()


def values_of(metrics):
    fields = ("mre", "relative_bias", "relative_sd", "min_relative_error", "max_relative_error")
    return tuple(getattr(metrics, field) for field in fields)


@pytest.mark.parametrize(
    ("label", "mre", "bias"),
    [
        ("e8m7_afm8u", "2.60", "-0.10"),
        ("e8m5_afm6u", "2.91", "-0.85"),  # 2.906; published 2.90
        ("e8m3_afm4u", "6.91", "-3.85"),
        ("e8m7_mitchell8u", "4.37", "-4.37"),
        ("e8m5_mitchell6u", "5.91", "-5.91"),
        ("e8m3_mitchell4u", "11.83", "-11.83"),
        ("e8m7_exact8u", "0.81", "-0.81"),
    ],
)
def test_published_figures(label, mre, bias):
    metrics = float_metrics(get(label))
    assert (f"{100 * metrics.mre:.2f}", f"{100 * metrics.relative_bias:.2f}") == (mre, bias)
    assert metrics.comparison == "exhaustive"


def test_published_figures_of_23_bits_from_a_sample():
    metrics = float_metrics(get("e8m23_mbm24u_t0"))
    assert f"{100 * metrics.mre:.2f}" == "2.58"
    assert f"{100 * metrics.relative_bias:.2f}" == "-0.10"
    assert 100 * metrics.intervals["mre"].half_width < 0.002
    assert (metrics.comparison, metrics.n_pairs) == ("sampled", 1 << 22)
    assert metrics.min_relative_error == pytest.approx(-0.0764, abs=5e-5)
    assert metrics.max_relative_error == pytest.approx(0.0781, abs=5e-5)


def by_brute_force(m, parts):
    """Relative errors at the midpoints of ``parts`` equal parts of every mantissa's interval."""
    size = 1 << m.format.mantissa_bits
    x = 1 + (np.arange(size * parts) + 0.5) / (size * parts)
    return m(x[:, None], x).astype(np.float64) / np.multiply.outer(x, x) - 1


@pytest.mark.parametrize("m", [NOISE, *map(get, ("e8m3_afm4u", "e4m3_exact4u", "e8m2_cfpu3u_n1", "e5m4_drum5u_k3"))])
def test_integrals_are_the_limit_of_ever_finer_operands(m):
    """The midpoint rule converges with the square of the step; its extremes do not reach the corners."""
    found, fine = values_of(float_metrics(m)), statistics(by_brute_force(m, 64))
    np.testing.assert_allclose(found[:3], fine[:3], rtol=2e-5, atol=2e-5)
    assert found[3] <= fine[3] < 0
    assert found[4] >= fine[4]
    np.testing.assert_allclose(found[3:], fine[3:], atol=0.02)


@pytest.mark.parametrize("m", [NOISE, *map(get, ("e8m3_afm4u", "e8m7_mitchell8u", "e8m5_bam6u_h1v4"))])
def test_operands_of_the_format_are_compared_one_by_one(m):
    size = 1 << m.format.mantissa_bits
    x = (1 + np.arange(size) / size).astype(np.float32)
    error = np.array([[float(m(a, b)) / (float(a) * float(b)) - 1 for b in x[:8]] for a in x])
    np.testing.assert_allclose(values_of(float_metrics(m, inputs="format")), statistics(by_product(m, x)), rtol=1e-12)
    np.testing.assert_array_equal(by_product(m, x)[:, :8], error)


def by_product(m, x):
    return m(x[:, None], x).astype(np.float64) / np.multiply.outer(x.astype(np.float64), x) - 1


@pytest.mark.parametrize("inputs", ["real", "format"])
@pytest.mark.parametrize("m", [NOISE, *map(get, ("e8m7_afm8u", "e8m10_exact11u"))])
def test_samples_estimate_what_is_exact(m, inputs):
    exact, sampled = float_metrics(m, inputs=inputs), float_metrics(m, inputs=inputs, sample=20_000, confidence=0.9999)
    for name, interval in sampled.intervals.items():
        assert getattr(exact, name) in interval
        assert getattr(sampled, name) in interval
        assert 0 < interval.half_width < 0.2
    assert exact.relative_sd == pytest.approx(sampled.relative_sd, rel=0.05)
    assert exact.min_relative_error <= sampled.min_relative_error
    assert exact.max_relative_error >= sampled.max_relative_error
    assert sampled == float_metrics(m, inputs=inputs, sample=20_000, confidence=0.9999)


def test_metrics_are_json_safe():
    written = json.loads(json.dumps(float_metrics(get("e8m7_afm8u"), sample=100).to_dict()))
    assert (written["inputs"], written["comparison"], written["n_pairs"]) == ("real", "sampled", 100)
    assert set(written["intervals"]["mre"]) == {"low", "high", "confidence", "method"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": "float"}, "'real' or 'format'"),
        ({"sample": 0}, "pairs from 1"),
        ({"sample": True}, "pairs from 1"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ParameterError, match=message):
        float_metrics(get("e8m7_afm8u"), **options)
