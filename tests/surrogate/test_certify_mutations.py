"""Certificates are true: whatever product is changed by one, certification finds it, and it alone."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import CallableMultiplier, TableMultiplier
from surrogate import MultiplierReference, SurrogateError, certify, checkpoint, discover
from surrogate.certify import compare
from surrogate.model import Surrogate

LABELS = ("exact8u", "bam8s_h0v6", "drum8u_k4", "udm8u", "ssm8u_m4", "trunc6u_t2", "mitchell5u")


@lru_cache
def discovered(label):
    m = multipliers.get(label)
    return m, discover(m)


def rebound(surrogate, multiplier):
    """The same terms, said to stand for another multiplier: no fingerprint helps the certificate."""
    return Surrogate(surrogate.terms, MultiplierReference.of(multiplier), surrogate.provenance)


def mutated(m, a, b, change):
    """``m`` but for one product."""

    def function(x, y):
        return m(x, y) + change * ((x == a) & (y == b))

    return CallableMultiplier(function, m.a, m.b, name=f"{m.name} mutated")


@settings(max_examples=60)
@given(st.sampled_from(LABELS), st.data(), st.sampled_from([-1, 1]))
def test_one_entry_of_a_table_changed_by_one(label, data, change):
    m, s = discovered(label)
    a = data.draw(st.integers(m.a.minimum, m.a.maximum))
    b = data.draw(st.integers(m.b.minimum, m.b.maximum))
    table = m.table()
    table[a - m.a.minimum, b - m.b.minimum] += change
    mutant = TableMultiplier(table, m.a, m.b)
    with pytest.raises(SurrogateError, match="stands for"):
        certify(s, mutant)
    found = certify(rebound(s, mutant), mutant)
    c = found.certificate
    assert (c.n_different, c.max_abs_residual, found.is_exact) == (1, 1.0, False)
    assert (c.mean_abs_residual, c.residual_bias) == (1 / m.n_pairs, -change / m.n_pairs)
    assert compare(s, mutant, keep=True).differences == ((a, b, int(table[a - m.a.minimum, b - m.b.minimum])),)


@settings(max_examples=2)
@given(st.integers(0, 4095), st.integers(0, 4095), st.sampled_from([-1, 1]))
def test_one_of_2_to_the_24_products(a, b, change):
    m = multipliers.get("trunc12u_t3")
    mutant = mutated(m, a, b, change)
    s = rebound(discovered("trunc12u_t3")[1], mutant)
    c = certify(s, mutant).certificate
    assert (c.comparison, c.n_different, c.max_abs_residual) == ("streamed", 1, 1.0)
    assert c.residual_bias == -change / (1 << 24)


# ---------------------------------------------------------------- 16 bits: blocks of 4 rows

PLACES = [(65472, 0), (65535, 65535), (65500, 32767)]  # in the last 16 of 16,384 blocks


@pytest.mark.parametrize(("a", "b"), PLACES)
@pytest.mark.parametrize("change", [-1, 1])
def test_blocks_of_a_streamed_16_bit_comparison_find_it(a, b, change, tmp_path, monkeypatch):
    """The last blocks of the stream of 2**32 pairs, entered by a checkpoint; slow below: the whole stream."""
    m = multipliers.get("trunc16u_t9")
    mutant = mutated(m, a, b, change)
    s = rebound(wide_surrogate(), mutant)
    path = tmp_path / "c.json"
    noted = checkpoint.Checkpoint(path, 1 << 18)
    key = noted.begin(s, None)
    skipped = 16_384 - 16
    noted.note(key, skipped, checkpoint.Residuals(skipped << 18))
    noted.flush()
    found = certify(s, mutant, checkpoint=path)
    c = found.certificate
    assert (c.comparison, c.n_pairs, c.n_different, c.max_abs_residual) == ("streamed", 1 << 32, 1, 1.0)
    assert c.residual_bias == -change / (1 << 32)
    assert not found.is_exact


@lru_cache
def wide_surrogate():
    return discover(multipliers.get("trunc16u_t9"), sample=1000)


@pytest.mark.exhaustive
def test_one_of_2_to_the_32_products():
    m = multipliers.get("trunc16u_t9")
    generator = np.random.default_rng(20)
    a, b = (int(v) for v in generator.integers(0, 1 << 16, size=2))
    mutant = mutated(m, a, b, 1)
    found = certify(rebound(wide_surrogate(), mutant), mutant)
    c = found.certificate
    assert (c.comparison, c.n_pairs, c.n_different, c.max_abs_residual) == ("streamed", 1 << 32, 1, 1.0)
    assert not found.is_exact
