import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from multipliers.accumulator import ErrorAccumulator

# Of several processes that test at once (pytest -n auto) each gets its share of the processors; torch reads this once.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    share = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(share))
    os.environ.pop("COLUMNS", None)  # which readline, loaded by the first process, leaves to the others

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("deep", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with reference data: $AXSURROGATE_SHARED, or ``shared`` beside the checkout or in it."""
    root = Path(__file__).resolve().parents[1]
    given = os.environ.get("AXSURROGATE_SHARED")
    candidates = [Path(given)] if given else [root.parent / "shared", root / "shared"]
    for folder in candidates:
        if (folder / "evoapprox" / "index.json").is_file():
            return folder
    pytest.skip(f"no reference data in {' or '.join(map(str, candidates))}; set AXSURROGATE_SHARED to the folder")


@pytest.fixture(scope="session")
def sampled_metrics():
    """Function of a multiplier of 16-bit or wider operands: its metrics over a structured sample."""
    return _sampled_metrics


def _sampled_metrics(multiplier):
    """Metrics over 2**24 pairs: 256 pairings of one value from each of 65,536 equal intervals per operand.

    Intervals are paired as an orthogonal array: each pair of high bytes and each pair of low bytes of their numbers
    occurs equally often. At 16 bits, whatever depends on one operand, on the high bytes or on the low bytes alone has
    no sampling error. Peak relative errors are also sought where both operands are one or three times a power of two.
    """
    rng = np.random.default_rng(2025)
    accumulator = ErrorAccumulator(multiplier.a, multiplier.b)
    steps = [x.size >> 16 for x in (multiplier.a, multiplier.b)]
    high, low = np.divmod(np.arange(1 << 16), 256)
    turns = rng.permuted(np.tile(np.arange(256), (256, 1)), axis=1)
    for turn in range(256):
        paired = 256 * ((high + turns[low, turn]) % 256) + (low + turn) % 256
        a = multiplier.a.minimum + steps[0] * (256 * high + low) + rng.integers(0, steps[0], 1 << 16)
        b = multiplier.b.minimum + steps[1] * paired + rng.integers(0, steps[1], 1 << 16)
        accumulator.add(a * b, multiplier(a, b))
    metrics = accumulator.result("sampled")
    peaks = ErrorAccumulator(multiplier.a, multiplier.b)
    a, b = (_round_numbers(x) for x in (multiplier.a, multiplier.b))
    peaks.add(a[:, None] * b, multiplier(a[:, None], b))
    peak = peaks.result("sampled")
    return replace(
        metrics,
        min_relative_error=min(metrics.min_relative_error, peak.min_relative_error),
        max_relative_error=max(metrics.max_relative_error, peak.max_relative_error),
    )


def _round_numbers(form):
    return np.array([c << i for c in (1, 3) for i in range(form.bits) if c << i <= form.maximum])
