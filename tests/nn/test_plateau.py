"""When accuracy counts as flat."""

import math

import numpy as np
import pytest

from surrogate.nn.training import PlateauRule


def test_the_formula():
    rule = PlateauRule(n_images=400, window=2, z=1.5)
    bound = 1.5 * math.sqrt(2 * 0.8 * 0.2 / (2 * 400))
    for gain, flat in ((0.99 * bound, True), (1.01 * bound, False), (-0.3, True)):
        before = 0.8 - gain
        assert rule.is_flat([0.1, before - 0.01, before + 0.01, 0.85, 0.75]) is flat


def test_it_needs_two_windows():
    rule = PlateauRule(n_images=10, window=3)
    assert rule.switch_epoch([0.5] * 5) is None
    assert rule.switch_epoch([0.5] * 9) == 6


def test_more_images_see_smaller_gains():
    rising = list(0.9 - 0.5 * 0.7 ** np.arange(30))
    found = [PlateauRule(n, window=2).switch_epoch(rising) for n in (100, 1000, 10_000)]
    assert found == sorted(found)
    assert len(set(found)) == 3


def test_accuracies_without_a_trend_are_flat_most_of_the_time():
    """By definition a normal difference is below one standard error with probability 0.84."""
    generator = np.random.default_rng(0)
    rule = PlateauRule(n_images=500, window=3)
    curves = generator.binomial(500, 0.8, (2000, 6)) / 500
    assert np.mean([rule.is_flat(list(curve)) for curve in curves]) == pytest.approx(0.841, abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_images": 0}, "n_images must be 1 or more, got 0"),
        ({"n_images": 5, "window": 0}, "window must be 1 or more, got 0"),
        ({"n_images": 5, "z": -1.0}, "z must be a finite number from 0, got -1.0"),
        ({"n_images": 5, "z": math.nan}, "z must be a finite number"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PlateauRule(**options)
