"""The derivative of tables: the published formula in the middle, linear, and exact for straight lines."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from surrogate.nn.gradients.smoothed_difference import smoothed_difference
from tests.nn.gradient_oracle import smoothed_slopes

windows = st.integers(0, 40)
lengths = st.integers(2, 70)


def table(n, seed, columns=3):
    return np.random.default_rng(seed).integers(-(1 << 20), 1 << 20, (n, columns))


@given(windows, st.integers(0, 50), st.integers(0, 99))
def test_it_is_the_central_difference_of_the_moving_average(half_window, extra, seed):
    values = table(2 * half_window + 3 + extra, seed)
    np.testing.assert_allclose(
        smoothed_difference(values, half_window), smoothed_slopes(values, half_window), atol=1e-6
    )


@given(lengths, windows, st.integers(-300, 300), st.integers(-1000, 1000))
def test_the_slope_of_a_line_is_found_everywhere_by_any_window(n, half_window, slope, start):
    assert (smoothed_difference(start + slope * np.arange(n), half_window) == slope).all()


@given(lengths, windows, st.integers(0, 99))
def test_it_is_linear(n, half_window, seed):
    one, other = table(n, seed), table(n, seed + 100)
    both = smoothed_difference(one, half_window) - 3 * smoothed_difference(other, half_window)
    np.testing.assert_allclose(smoothed_difference(one - 3 * other, half_window), both, atol=1e-6)


@given(st.integers(1, 5), st.integers(1, 3))
def test_a_window_wider_than_the_steps_of_truncation_sees_their_mean_slope(dropped, wider):
    """Off by one step at most over the whole window; unsmoothed, the slope is 0 or half a step."""
    step, half_window = 1 << dropped, wider << dropped
    values = np.arange(256) // step * step
    error = np.abs(smoothed_difference(values, half_window) - 1)
    assert error.max() <= step / (2 * half_window + 1)
    assert set(smoothed_difference(values, 0)) == ({0, step / 2} if step > 2 else {1})
