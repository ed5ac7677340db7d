"""Designs of 12 and 16 bits: exact in few products, proven over every pair, in bounded memory and time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import multipliers
from catalog import entries
from multipliers import CallableMultiplier, OperandFormat
from multipliers.naming import parse_label
from surrogate import FitError, discover
from surrogate.fit.exact import fit_exact

MOST_PRODUCTS = 16


LOW_RANK = (
    "bam12u_h0v6",
    "ppp12u_j0k3",
    "trunc12u_t9",
    "udm12u",
    "roba12u",
    "ssm12u_m8q2",
    "bbm12s_k0v8",
    "tl12u_w4q6",
)


def twelve_bit_entries():
    """All of them; those of `LOW_RANK` are always compared, the others on demand."""
    formats = {e.label: parse_label(e.label) for e in entries()}
    labels = [label for label, parsed in formats.items() if (parsed.a.bits, parsed.b.bits) == (12, 12)]
    return [pytest.param(x, marks=[pytest.mark.exhaustive] * (x not in LOW_RANK)) for x in labels]


@pytest.mark.slow
@pytest.mark.parametrize("label", twelve_bit_entries())
def test_every_12_bit_design_of_low_rank_is_exact_on_every_pair(label):
    m = multipliers.get(label)
    try:
        fit_exact(m, max_terms=MOST_PRODUCTS)
    except FitError:
        assert label not in LOW_RANK
        pytest.skip(f"{label} needs more than {MOST_PRODUCTS} products")
    s = discover(m, terms=MOST_PRODUCTS)
    assert (s.certificate.comparison, s.certificate.n_pairs, s.is_exact) == ("streamed", 1 << 24, True)
    assert s.n_products <= MOST_PRODUCTS


@pytest.mark.parametrize("label", LOW_RANK)
def test_designs_of_low_rank_are_factorised_from_few_rows_and_columns(label):
    """The skips of the slow test hide none of them."""
    m, seen = multipliers.get(label), []

    def watched(a, b):
        seen.append(a.size)
        return m(a, b)

    terms, _ = fit_exact(CallableMultiplier(watched, m.a, m.b), max_terms=MOST_PRODUCTS)
    assert sum(seen) < m.n_pairs / 3
    generator = np.random.default_rng(5)
    a, b = (generator.integers(x.minimum, x.maximum, size=20_000, endpoint=True) for x in (m.a, m.b))
    np.testing.assert_array_equal(sum(t.coefficient * t.a(a) * t.b(b) for t in terms), m(a, b))


CERTIFIED = """
import json, re, sys, time
from pathlib import Path
import multipliers, surrogate
start = time.perf_counter()
s = surrogate.discover(multipliers.get(sys.argv[1]), every_pair=True)
c = s.certificate
print(json.dumps({
    "exact": s.is_exact, "comparison": c.comparison, "n_pairs": c.n_pairs, "n_products": s.n_products,
    "seconds": time.perf_counter() - start,
    # not ru_maxrss, which a process inherits from the one that starts it
    "peak_mib": int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024,
}))
"""


EXHAUSTIVE = ("trunc16u_t9", "bam16s_h0v8", "udm16u", "drum16s_k6", "ssm16u_m8", "roba16u")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["ppp16s_j0k3", *(pytest.param(x, marks=pytest.mark.exhaustive) for x in EXHAUSTIVE)])
def test_16_bit_designs_are_exact_on_every_pair_of_2_to_the_32(label):
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CERTIFIED, label],
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ,
        check=True,
    )
    found = json.loads(done.stdout)
    print(label, found)
    assert (found["exact"], found["comparison"], found["n_pairs"]) == (True, "streamed", 1 << 32)
    assert found["peak_mib"] < 1024


# ---------------------------------------------------------------- probing


def wide(function, bits=12):
    return CallableMultiplier(function, OperandFormat(bits), OperandFormat(bits), name="hostile")


def test_a_core_that_small_primes_cannot_invert_is_solved_modulo_a_large_one():
    p = 4194301 * 4194287
    m = wide(lambda a, b: p * ((a == 1234) * 1 + (a == 7)) * (b % 5))
    s = discover(m)
    assert s.is_exact
    assert s.n_terms == 1


def test_errors_that_are_multiples_of_a_small_prime_are_certified_all_the_same():
    """The probing is blind to them; what is compared is not."""
    m = wide(lambda a, b: a * b + 4194301 * ((a == 1777) & (b % 64 == 9)))
    s = discover(m)
    assert s.is_exact
    assert s.n_products == 2
