"""Closed forms and weighting: python -m pytest benchmarks/test_bench_explain.py -s.

Prints which share of the factors of exact surrogates come out in closed form, and the time per surrogate: of the signed
8-bit circuits of EvoApproxLib, of its unsigned ones of low rank, and of this catalog's designs of low rank. And what
weighting by operand distributions gains on the unsigned circuits.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest

import multipliers
from catalog.build import read
from multipliers import TableMultiplier
from surrogate import discover, explain, front
from surrogate.fit.gain import weighting_gain

MOST_PRODUCTS = 8
"""Exact products up to which a design counts as one of low rank."""


@pytest.fixture
def shared():
    """Folder with EvoApproxLib's tables: $AXSURROGATE_SHARED, or ``shared`` beside the checkout."""
    folder = Path(os.environ.get("AXSURROGATE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "evoapprox" / "index.json").is_file():
        pytest.skip(f"no tables in {folder}; set AXSURROGATE_SHARED")
    return folder


def signed_circuits(shared):
    return [load(path, "8s") for path in sorted((shared / "evoapprox").glob("mul8s_*.npz"))]


def unsigned_circuits(shared):
    return [load(path, "8u") for path in sorted((shared / "evoapprox").glob("mul8u_*.npz"))]


def designs(_):
    found = []
    for label, measured in read().items():
        if hasattr(measured, "product_rank") and min(measured.product_rank, 1 + measured.error_rank) <= MOST_PRODUCTS:
            m = multipliers.get(label)
            if m.a.bits == m.b.bits == 8:
                found.append(m)
    return found


def load(path, operand):
    return TableMultiplier(np.load(path)["table"], operand, name=path.stem)


@pytest.mark.parametrize(
    ("group", "least"),
    [(signed_circuits, 0.9), (unsigned_circuits, 0.4), (designs, 0.75)],
)
def test_share_of_factors_in_closed_form(shared, group, least):
    named = factors = complete = 0
    times = []
    for m in group(shared):
        found = discover(m)
        if found.n_products > MOST_PRODUCTS:
            continue
        start = time.perf_counter()
        explained = explain(found)
        times.append(time.perf_counter() - start)
        named, factors = named + explained.n_named, factors + explained.n_factors
        complete += explained.complete
    print(
        f"\n{group.__name__}: {named} of {factors} factors ({named / factors:.0%}), {complete} of {len(times)} "
        f"multipliers wholly; {np.median(times):.2f} s in the median, {max(times):.2f} s at most"
    )
    assert named >= least * factors


def test_gain_of_weighting(shared):
    activations, weights = np.exp(-np.arange(256) / 24), np.exp(-((np.arange(256) - 128) ** 2) / (2 * 20**2))
    gains = []
    for m in unsigned_circuits(shared):
        if front(m, most=2).residuals[2] > 1e-6:
            gains.append(weighting_gain(m, activations, weights, most=4).gains)
    median = np.median(gains, axis=0)
    text = ", ".join(f"{k} products {median[k]:.2f}" for k in (1, 2, 3, 4))
    print(f"\ngain of weighting, median of {len(gains)} circuits: {text}")
    assert median[2] > 1.2
