"""Sums of table entries by PyTorch's own operations, against a sum over every lane."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogate.nn.engines import lookup_sums


def expected(table, index, w):
    return table[index[:, :, None, :], w[None]].sum(axis=-1)


@given(
    st.integers(1, 40),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 70),
    st.sampled_from([(3, 2), (17, 5), (40, 300)]),
    st.sampled_from([1, 100, (1 << 24) - 1, 1 << 30]),
    st.integers(0, 1 << 16),
)
def test_sums_are_whole_whatever_the_shape(rows, groups, channels, lanes, shape, largest, seed):
    generator = np.random.default_rng(seed)
    table = generator.integers(-largest, largest, shape, endpoint=True)
    table[0, 0] = largest
    index = generator.integers(0, shape[0], (rows, groups, lanes))
    w = generator.integers(0, shape[1], (groups, channels, lanes))
    exact_lanes = ((1 << 24) - 1) // largest
    values = torch.from_numpy(table).to(torch.float32 if exact_lanes else torch.float64)
    out = torch.full((rows, groups, channels), torch.nan, dtype=torch.float64)
    arguments = values, torch.from_numpy(index).int(), torch.from_numpy(w)
    lookup_sums.lookup_sums(*arguments, exact_lanes or lanes, out)
    np.testing.assert_array_equal(out.numpy(), expected(table, index, w))


@pytest.mark.parametrize("name", ["_BLOCK_ENTRIES", "_BLOCK_CHANNELS", "_BLOCK_PRODUCTS"])
@pytest.mark.parametrize("rows", [5, 50])
def test_blocks_meet_without_seams(name, rows, monkeypatch):
    generator = np.random.default_rng(1)
    table = generator.integers(-9, 9, (20, 30))
    index, w = generator.integers(0, 20, (rows, 2, 11)), generator.integers(0, 30, (2, 10, 11))
    for size in (1, 3, 7, 1 << 10):
        monkeypatch.setattr(lookup_sums, name, size)
        out = torch.full((rows, 2, 10), torch.nan)
        arguments = torch.from_numpy(table).float(), torch.from_numpy(index).int(), torch.from_numpy(w)
        lookup_sums.lookup_sums(*arguments, 1 << 20, out)
        np.testing.assert_array_equal(out.numpy(), expected(table, index, w))


def test_sums_that_one_float32_would_round_are_added_in_the_wider_type():
    """Each product fits in float32, three of them do not."""
    largest = (1 << 23) + 1
    values, index = torch.full((2, 3), float(largest)), torch.zeros((8, 1, 3), dtype=torch.int32)
    out = torch.empty((8, 1, 4), dtype=torch.float64)
    lookup_sums.lookup_sums(values, index, torch.zeros((1, 4, 3), dtype=torch.int64), 1, out)
    assert (out == 3 * largest).all()
