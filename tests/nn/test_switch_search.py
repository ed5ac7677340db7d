"""The latest switch that keeps an accuracy, by bisection."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.nn.training import latest_switch


@given(st.integers(0, 300), st.data(), st.integers(0, 2))
def test_every_boundary_is_found_in_logarithmic_time(epochs, data, neighbours):
    boundary = data.draw(st.integers(0, epochs))
    calls = []

    def accuracy_at(epoch):
        calls.append(epoch)
        return 0.9 if epoch <= boundary else 0.8

    found = latest_switch(accuracy_at, epochs, 0.85, neighbours=neighbours)
    assert found.epoch == boundary
    assert found.monotone
    assert len(calls) == len(set(calls)) == len(found.tried)
    assert len(calls) <= 2 + math.ceil(math.log2(max(1, epochs))) + 2 * neighbours
    assert found.exact_epochs == sum(epochs - epoch for epoch in calls)
    around = range(max(0, boundary - neighbours), min(epochs, boundary + neighbours + 1) + 1)
    assert set(around) <= set(found.tried)


def test_an_accuracy_that_is_kept_to_the_end_takes_no_exact_epoch():
    found = latest_switch(lambda epoch: 0.9, 50, 0.9, neighbours=0)
    assert (found.epoch, found.tried, found.exact_epochs) == (50, {50: 0.9}, 0)


def test_an_accuracy_out_of_reach_is_not_found():
    found = latest_switch(lambda epoch: 0.5, 20, 0.9)
    assert found.epoch is None
    assert found.monotone
    assert found.tried == {0: 0.5, 20: 0.5}


def test_neighbours_that_contradict_are_told():
    accuracy = {epoch: 0.9 if epoch <= 10 or epoch == 12 else 0.8 for epoch in range(17)}
    found = latest_switch(accuracy.get, 16, 0.85)
    assert (found.epoch, found.monotone) == (12, False)
    accuracy = {epoch: 0.9 if epoch <= 10 and epoch != 9 else 0.8 for epoch in range(17)}
    found = latest_switch(accuracy.get, 16, 0.85)
    assert (found.epoch, found.monotone) == (10, False)
    assert latest_switch(accuracy.get, 16, 0.85, neighbours=0).monotone  # nothing that was tried contradicts


@pytest.mark.parametrize(
    ("epochs", "target", "neighbours", "message"),
    [(-1, 0.5, 1, "0 or more, got -1 and 1"), (5, 0.5, -1, "got 5 and -1"), (5, 93.6, 1, r"got 93\.6; divide percent")],
)
def test_bad_values_are_refused(epochs, target, neighbours, message):
    with pytest.raises(ValueError, match=message):
        latest_switch(lambda epoch: 1.0, epochs, target, neighbours=neighbours)
