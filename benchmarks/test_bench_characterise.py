"""Time to characterise a multiplier: python -m pytest benchmarks/test_bench_characterise.py."""

import numpy as np
import pytest

from multipliers import get
from multipliers.characterise import characterise
from multipliers.metrics import error_metrics
from multipliers.rank import integer_rank


@pytest.fixture(scope="module")
def mitchell():
    return get("mitchell8u")


def test_characterise_8x8(benchmark, mitchell):
    benchmark(characterise, mitchell)


def test_metrics_8x8(benchmark, mitchell):
    benchmark(error_metrics, mitchell)


def test_metrics_8x8_weighted(benchmark, mitchell):
    weights = np.random.default_rng(0).random(256)
    benchmark(error_metrics, mitchell, weights, weights)


def test_metrics_12x12_streamed(benchmark):
    benchmark.pedantic(error_metrics, (get("mitchell12u"),), rounds=3)


@pytest.mark.parametrize("rank", [4, 128, 256])
def test_rank_256x256(benchmark, rank):
    rng = np.random.default_rng(0)
    matrix = rng.integers(-99, 99, (256, rank)) @ rng.integers(-99, 99, (rank, 256))
    assert benchmark(integer_rank, matrix) == rank
