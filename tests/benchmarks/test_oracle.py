"""The oracle of the benchmarks is right, and refuses results that are not."""

import numpy as np
import pytest
import torch
from torch import nn

import multipliers
from benchmarks.oracle import InexactError, Sums, check_layer, check_sums
from multipliers import TableMultiplier
from surrogate.nn import ApproxConfig, approximate_, calibrate

GEOMETRIES = [
    {"stride": (2, 1), "dilation": (1, 2)},
    {"groups": 3},
    {"groups": 6, "stride": (3, 2), "dilation": (2, 1)},
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("label", ["exact8s", "exact16s"])
def test_with_accurate_products_it_is_a_convolution(label, geometry):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (2, 6, 9, 8))
    w = rng.integers(-128, 128, (6, 6 // geometry.get("groups", 1), 3, 2))
    sums = Sums(multipliers.get(label), x, w, **geometry)
    expected = torch.conv2d(torch.from_numpy(x).double(), torch.from_numpy(w).double(), **geometry).numpy()
    assert sums.shape == expected.shape
    at = sums.some(rng, expected.size)
    np.testing.assert_array_equal(sums(at), expected[tuple(at.T)])
    few = sums.some(rng, 50)
    assert len(few) == 50
    assert {(0, 0, 0, 0), tuple(n - 1 for n in sums.shape)} <= set(map(tuple, few.tolist()))
    np.testing.assert_array_equal(sums(few), expected[tuple(few.T)])


def test_activations_are_operand_a():
    table = np.random.default_rng(0).integers(-999, 999, (256, 16))
    multiplier = TableMultiplier(table, "8s", "4u")
    x, w = np.array([-128, 5]).reshape(1, 2, 1, 1), np.array([15, 3]).reshape(1, 2, 1, 1)
    sums = Sums(multiplier, x, w)
    assert sums(sums.some(np.random.default_rng(0))).tolist() == [table[0, 15] + table[133, 3]]


def approximate(layer, x, multiplier):
    approximate_(layer, ApproxConfig(multiplier=multiplier, backend="table"))
    calibrate(layer, [x])
    return layer.eval()


@pytest.fixture(params=["linear", "convolution"])
def case(request):
    torch.manual_seed(0)
    multiplier = TableMultiplier(np.random.default_rng(1).integers(0, 1 << 16, (256, 256)), "8u")
    if request.param == "linear":
        x, layer = torch.randn(5, 4, 19), nn.Linear(19, 7)
    else:
        x, layer = torch.randn(2, 4, 8, 7), nn.Conv2d(4, 6, 3, stride=2, padding=(1, 2), groups=2, bias=False)
    return multiplier, approximate(layer, x, multiplier), x


@torch.no_grad()
def test_a_layer_passes(case):
    multiplier, layer, x = case
    y = layer(x)
    assert check_layer(multiplier, layer, x, y, np.random.default_rng(0)) == y.numel()


@torch.no_grad()
def test_a_sum_that_is_wrong_by_one_is_refused(case):
    multiplier, layer, x = case
    y = layer(x)
    one = layer.activation_quantiser.scale * layer.weight_quantiser.scale[0]
    place = (0, 0, 0) if isinstance(layer, nn.Linear) else (0, 0, 0, 0)
    y[place] += one.item()
    with pytest.raises(InexactError, match=r"1 of \d+ outputs compared differ.*\(0, 0, 0, 0\)"):
        check_layer(multiplier, layer, x, y, np.random.default_rng(0))


@torch.no_grad()
def test_another_multiplier_is_refused(case):
    _, layer, x = case
    with pytest.raises(InexactError):
        check_layer(multipliers.get("mitchell8u"), layer, x, layer(x), np.random.default_rng(0))


def test_integer_sums_that_are_wrong_by_one_are_refused():
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, (2, 3, 5, 4)), rng.integers(0, 256, (7, 3, 1, 1))
    sums = Sums(multipliers.get("exact8u"), x, w)
    found = torch.from_numpy(np.einsum("nchw,oc->nhwo", x, w[:, :, 0, 0])).to(torch.int32)
    assert check_sums(sums, found, rng) == found.numel()
    found[1, 4, 3, 6] += 1
    with pytest.raises(InexactError, match=r"1 of 280 .*\(1, 6, 4, 3\)"):
        check_sums(sums, found, rng)
