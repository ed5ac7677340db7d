"""Time to find and to certify surrogates: python -m pytest benchmarks/test_bench_discover.py -m "not slow".

Exact factorisation of every published table is timed one by one, in seconds of processor time, and its median and worst
are checked against the bar: 0.3 s and 10 s. Every pair of 16 bits (2**32, a minute or more each) runs with ``-m slow``
and states its time and peak memory.
"""

import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from multipliers import OperandFormat, TableMultiplier, get
from surrogate import certify, discover
from surrogate.fit.exact import fit_exact

SHARED = Path(__file__).resolve().parents[2] / "shared" / "evoapprox"


def circuits():
    """Published tables, with the fewest terms of each."""
    if not (SHARED / "index.json").is_file():
        pytest.skip(f"no published tables in {SHARED}")
    for entry in json.loads((SHARED / "index.json").read_text()):
        table = np.load(SHARED / f"{entry['name']}.npz")["table"]
        formats = (OperandFormat(entry[f"{operand}_bits"], entry["signed"]) for operand in "ab")
        yield TableMultiplier(table, *formats, name=entry["name"]), min(entry["rank_table"], 1 + entry["rank_error"])


def test_exact_terms_of_all_published_tables(benchmark):
    chosen = list(circuits())
    times = {}

    def fit_all():
        for m, fewest in chosen:
            start = time.process_time()
            terms, _ = fit_exact(m)
            times[m.name] = time.process_time() - start
            assert len(terms) == fewest

    benchmark.pedantic(fit_all, rounds=1)
    median, worst = statistics.median(times.values()), max(times, key=times.get)
    benchmark.extra_info["tables"] = len(times)
    benchmark.extra_info["median, s of processor time"] = round(median, 3)
    benchmark.extra_info["worst, s of processor time"] = f"{times[worst]:.3f} ({worst})"
    assert median < 0.3
    assert times[worst] < 10


@pytest.mark.parametrize("label", ["bam12s_h0v4", "udm12u", "roba12u", "bam16s_h0v8", "drum16s_k6"])
def test_exact_terms_of_wide_operands(benchmark, label):
    m = get(label)
    benchmark.pedantic(fit_exact, (m,), rounds=3)


@pytest.mark.parametrize("label", ["trunc12u_t9", "bam12s_h0v4"])
def test_certifying_2_to_the_24_pairs(benchmark, label):
    m = get(label)
    s = discover(m)
    benchmark.pedantic(certify, (s, m), rounds=3)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["trunc16u_t9", "bam16s_h0v8", "ppp16s_j0k3", "udm16u", "drum16s_k6"])
def test_discovering_on_every_pair_of_16_bits(benchmark, label):
    s = benchmark.pedantic(discover, (get(label),), {"every_pair": True}, rounds=1)
    assert s.is_exact
    assert s.certificate.n_pairs == 1 << 32
    benchmark.extra_info["products"] = s.n_products
    benchmark.extra_info["peak memory so far, MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
