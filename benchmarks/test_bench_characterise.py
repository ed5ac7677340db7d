"""Time to characterise a multiplier: python -m pytest benchmarks/test_bench_characterise.py -m "not slow".

Each benchmark also reports its ratio to a plain NumPy evaluation, in the same run, of as many pairs: products, their
differences from the exact ones, and the mean of these. Every pair of 16 bits (2**32, minutes) runs with ``-m slow``.
"""

import time

import numpy as np
import pytest

from multipliers import TableMultiplier, get
from multipliers.characterise import characterise
from multipliers.metrics import error_metrics
from multipliers.netlist.assembly import Cell, assemble
from multipliers.netlist.multiplier import NetlistMultiplier
from multipliers.rank import error_and_product_ranks, integer_rank

PLAIN_PAIRS = 1 << 18
"""Pairs of a plain evaluation; its time is scaled to all pairs of the multiplier."""


def truncated_array(n):
    """Gates of an unsigned carry-save array multiplier without the lowest n/2 columns of partial products."""
    columns, cells = [[] for _ in range(2 * n)], []
    for i in range(n):
        for j in range(n):
            if i + j >= n // 2:
                cells.append(Cell("and", (f"a{i}", f"b{j}"), (f"p{i}_{j}",)))
                columns[i + j].append(f"p{i}_{j}")
    for c, column in enumerate(columns[:-1]):
        while len(column) > 1:
            taken, k = tuple(column.pop(0) for _ in range(min(3, len(column)))), len(cells)
            cells.append(Cell("fa" if len(taken) == 3 else "ha", taken, (f"s{k}", f"c{k}")))
            column.append(f"s{k}")
            columns[c + 1].append(f"c{k}")
    cells.append(Cell("andnot", ("a0", "a0"), ("zero",)))
    outputs = [column[0] if column else "zero" for column in columns]
    ports = {name: [f"{name.lower()}{i}" for i in range(n)] for name in "AB"}
    return NetlistMultiplier(assemble("array", ports, {"O": outputs}, cells), f"{n}u", f"{n}u")


MULTIPLIERS = {
    "arithmetic": lambda n: get(f"mitchell{n}u"),
    "netlist": truncated_array,
    "table": lambda n: TableMultiplier(get(f"mitchell{n}u").table(), f"{n}u"),
    "table of full rank": lambda n: TableMultiplier(np.random.default_rng(0).integers(0, 4**n, (2**n, 2**n)), f"{n}u"),
}


def report_ratio(benchmark, m):
    """Note the ratio of a benchmark to the plain evaluation of as many pairs."""
    a, b = m.a.values()[: max(1, PLAIN_PAIRS // m.b.size)], m.b.values()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        (m(a[:, None], b) - a[:, None] * b).mean()
        times.append(time.perf_counter() - start)
    plain = min(times) * m.n_pairs / (a.size * b.size)
    benchmark.extra_info["ratio to plain NumPy"] = round(benchmark.stats.stats.median / plain, 2)


@pytest.mark.parametrize("kind", MULTIPLIERS)
def test_characterise_8x8(benchmark, kind):
    m = MULTIPLIERS[kind](8)
    benchmark(characterise, m)
    report_ratio(benchmark, m)


@pytest.mark.parametrize("kind", ["arithmetic", "netlist"])
def test_characterise_12x12(benchmark, kind):
    m = MULTIPLIERS[kind](12)
    benchmark.pedantic(characterise, (m,), rounds=3)
    report_ratio(benchmark, m)


@pytest.mark.parametrize("kind", ["arithmetic", "netlist"])
def test_characterise_16x16_sampled(benchmark, kind):
    benchmark.pedantic(characterise, (MULTIPLIERS[kind](16),), rounds=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["arithmetic", "netlist"])
def test_every_pair_of_16x16(benchmark, kind):
    m = MULTIPLIERS[kind](16)
    benchmark.pedantic(error_metrics, (m,), {"comparison": "streamed"}, rounds=1)
    report_ratio(benchmark, m)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_8x8(benchmark, weighted):
    m = get("mitchell8u")
    weights = np.random.default_rng(0).random(256) if weighted else None
    benchmark(error_metrics, m, weights, weights)
    report_ratio(benchmark, m)


@pytest.mark.parametrize("rank", [4, 128, 256])
def test_rank_256x256(benchmark, rank):
    rng = np.random.default_rng(0)
    matrix = rng.integers(-99, 99, (256, rank)) @ rng.integers(-99, 99, (rank, 256))
    assert benchmark(integer_rank, matrix) == rank


@pytest.mark.parametrize("label", ["mitchell8u", "drum8u_k4"])
def test_ranks_of_errors_and_products(benchmark, label):
    m, values = get(label), np.arange(256)
    benchmark(error_and_product_ranks, m.error(values[:, None], values), values, values)
