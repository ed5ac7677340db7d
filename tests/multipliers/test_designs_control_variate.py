"""Dot products with a control variate, against sums written out and over every vector of low bits."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import multipliers
from multipliers import OperandTypeError, ParameterError
from multipliers.designs import control_variate_dot


def dot(activations, weights, z, constant=None):
    """The definition, in exact fractions."""
    c = Fraction(sum(weights), len(weights)) if constant is None else constant
    total = Fraction(0)
    for a, w in zip(activations, weights, strict=True):
        x = a % 2**z
        total += w * (a - x) + c * x
    return total


def test_definition_with_weights_of_both_signs():
    rng = np.random.default_rng(1)
    for z in range(5):
        a, w = rng.integers(0, 256, 9), rng.integers(-128, 128, 9)
        assert control_variate_dot(a, w, z) == pytest.approx(float(dot(a.tolist(), w.tolist(), z)), rel=1e-15)
        assert control_variate_dot(a, w, z, constant=3) == dot(a.tolist(), w.tolist(), z, 3)


def test_without_control_it_is_the_sum_of_the_design_s_products():
    rng = np.random.default_rng(2)
    a, w = rng.integers(0, 256, (5, 1, 20)), rng.integers(-128, 128, (3, 20))
    plain = multipliers.get("cv8ux8s_z3")(a, w).sum(axis=-1)
    np.testing.assert_array_equal(control_variate_dot(a, w, 3, constant=0), plain)
    assert plain.shape == (5, 3)


def test_without_perforation_it_is_the_dot_product():
    rng = np.random.default_rng(3)
    a, w = rng.integers(-128, 128, (2, 4, 7))
    np.testing.assert_array_equal(control_variate_dot(a, w, 0), (a * w).sum(axis=-1))


@pytest.mark.parametrize("weights", [(3, -1, 4), (-7, -9, 100), (5, 5, 5)])
def test_the_mean_weight_cancels_the_bias_and_minimises_the_variance(weights):
    """Over every vector of low bits, all equally likely: exact, not sampled."""
    z = 3
    low = np.array(list(itertools.product(range(2**z), repeat=len(weights))))
    a = low + np.array([8, 40, 0])
    exact = (a * np.array(weights)).sum(axis=-1)

    def moments(constant):
        error = control_variate_dot(a, weights, z, constant) - exact
        return error.mean(), error.var()

    bias, variance = moments(None)
    assert bias == pytest.approx(0, abs=1e-9)
    spread = sum((w - np.mean(weights)) ** 2 for w in weights)
    assert variance == pytest.approx(spread * (4**z - 1) / 12, abs=1e-9)
    for other in (0, np.mean(weights) - 0.5, np.mean(weights) + 0.5):
        assert moments(other)[1] > variance
    assert moments(0)[0] == pytest.approx(-sum(weights) * (2**z - 1) / 2)


def test_products_are_those_of_perforation_with_operands_swapped():
    np.testing.assert_array_equal(multipliers.get("cv8s_z3").table(), multipliers.get("ppp8s_j0k3").table().T)


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        (([1.5], [1], 2), OperandTypeError, "activations must be integers"),
        (([1], [True], 2), OperandTypeError, "weights must be integers"),
        (([1], [1], -1), ParameterError, "low_bits"),
        (([1], [1], 2.0), ParameterError, "low_bits"),
        (([1, 2], [1], 2), ParameterError, "one length"),
        ((1, [1], 2), ParameterError, "one length"),
        ((np.zeros(0, int), np.zeros(0, int), 2), ParameterError, "one length"),
    ],
)
def test_bad_input_is_named(arguments, error, named):
    with pytest.raises(error, match=named):
        control_variate_dot(*arguments)
