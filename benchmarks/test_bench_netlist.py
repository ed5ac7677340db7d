"""Simulation of netlists, in products per second: python -m pytest benchmarks/test_bench_netlist.py.

The table of a group shows, in parentheses, how many times longer each takes than the fastest: `numpy.vectorize` over
a Python function is what most tools of the field do. The last one takes minutes, so only ``-m slow`` runs it.
"""

import resource
import time

import numpy as np
import pytest

from multipliers.metrics import error_metrics
from multipliers.netlist import Cell, NetlistMultiplier, assemble

PAIRS = 1 << 16


def array_multiplier(n, lower_or):
    """Array of full adders in gates of two inputs; columns below ``lower_or`` are or gates without carries (LOA)."""
    a, b = ([f"{x}{i}" for i in range(n)] for x in "ab")
    cells = [Cell("and", (a[i], b[j]), (f"p{i}_{j}",)) for i in range(n) for j in range(n)]
    count = 0

    def gate(kind, x, y):
        nonlocal count
        count += 1
        cells.append(Cell(kind, (x, y), (f"n{count}",)))
        return f"n{count}"

    columns = [[f"p{i}_{c - i}" for i in range(n) if 0 <= c - i < n] for c in range(2 * n)]
    outputs = []
    for c in range(2 * n):
        column = columns[c]
        while len(column) > 1:
            x, y, *rest = column
            if c < lower_or:
                column = [gate("or", x, y), *rest]
                continue
            carries = columns[c + 1] if c + 1 < 2 * n else []
            half = gate("xor", x, y)
            if not rest:
                carries.append(gate("and", x, y))
                column = [half]
                continue
            z, *rest = rest
            ones = gate("or", gate("and", x, y), gate("or", gate("and", x, z), gate("and", y, z)))
            carries.append(ones)
            column = [gate("xor", half, z), *rest]
        outputs.append(column[0] if column else gate("xor", a[0], a[0]))
    circuit = assemble(f"loa{n}", {"a": a, "b": b}, {"o": outputs}, cells)
    return NetlistMultiplier(circuit, f"{n}u")


@pytest.fixture(params=[8, 12, 16])
def multiplier(request):
    return array_multiplier(request.param, 2)


@pytest.fixture
def operands(multiplier):
    return np.random.default_rng(0).integers(0, multiplier.a.size, (2, PAIRS))


def group(benchmark, multiplier):
    n = multiplier.a.bits
    benchmark.group = f"{PAIRS} products of a {n} x {n} netlist of {multiplier.circuit.n_gates} gates"


def test_netlist(benchmark, multiplier, operands):
    group(benchmark, multiplier)
    products = benchmark(multiplier, *operands)
    assert np.mean(products != operands[0] * operands[1]) < 0.5
    benchmark.extra_info["million_products_per_s"] = PAIRS / benchmark.stats.stats.min / 1e6


def test_python_function_vectorised(benchmark, multiplier, operands):
    """Shift and add, less what the or of the second column drops: a far smaller model than gates."""
    group(benchmark, multiplier)
    n = multiplier.a.bits

    def product(a, b):
        total = 0
        for i in range(n):
            if a >> i & 1:
                total += b << i
        return total - ((a >> 1 & a & b >> 1 & b & 1) << 1)

    products = benchmark.pedantic(np.vectorize(product, otypes=[np.int64]), tuple(operands), rounds=3)
    np.testing.assert_array_equal(products, multiplier(*operands))
    benchmark.extra_info["million_products_per_s"] = PAIRS / benchmark.stats.stats.min / 1e6


@pytest.mark.slow
def test_exact_metrics_of_a_16x16_netlist(benchmark):
    """All 2**32 products, in bounded memory."""
    multiplier = array_multiplier(16, 2)
    start = time.process_time()
    metrics = benchmark.pedantic(error_metrics, (multiplier,), {"comparison": "streamed"}, rounds=1)
    assert metrics.n_pairs == 1 << 32
    benchmark.extra_info["processor_s"] = time.process_time() - start  # of all threads: the time of an idle machine
    benchmark.extra_info["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{multiplier.circuit.n_gates} gates: {benchmark.extra_info}")
