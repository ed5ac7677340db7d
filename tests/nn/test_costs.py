"""The measurement behind the cost model runs, and orders what is far apart."""

import pytest
import torch

from surrogate.nn import measure_costs


def test_measured_costs_are_plausible_and_threads_stay():
    before = torch.get_num_threads()
    costs = measure_costs(features=128, rows=128, repetitions=3)
    assert torch.get_num_threads() == before
    assert costs.table > 0
    assert costs.base + costs.int8 + costs.float32 + costs.float64 > 0
    assert "128" in costs.shape


def test_bad_shapes():
    with pytest.raises(ValueError, match="repetitions must be at least 1"):
        measure_costs(repetitions=0)
