"""Assertions of fidelity: what they let pass, what they say, and that the pair they show is the smallest."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier
from surrogate import MultiplierReference, Provenance, Surrogate, SurrogateError, Term, discover
from surrogate.basis import Constant
from surrogate.testing import assert_exact, assert_faithful, operand_formats, tables
from tests.pages import run_page

WIDE = OperandFormat(16, True)

M = TableMultiplier([[1, 2, 3, 4], [5, 6, 7, 9]], "1s", "2u", name="m")


def constant(m, value):
    return Surrogate([Term(value, Constant(), Constant())], MultiplierReference.of(m), Provenance("hand"))


def failure(*arguments, **bounds):
    with pytest.raises(AssertionError) as caught:
        assert_faithful(*arguments, **bounds)
    return str(caught.value)


def pair_of(text):
    return tuple(map(int, re.search(r"a = (-?\d+), b = (-?\d+):", text).groups()))


def smallest(a_values, b_values, fails):
    """Find the smallest failing pair by asking every one."""

    def order(pair):
        a, b = pair
        return max(abs(a), abs(b)), abs(a) + abs(b), abs(a), a < 0, b < 0

    return min(((a, b) for a in a_values for b in b_values if fails(a, b)), key=order)


def test_exact():
    assert_faithful(discover(M), M, exact=True)
    assert_exact(discover(M), M)
    said = "m: 7 of 8 products differ from m; the smallest at a = 0, b = 0: 2, not 5"
    assert failure(constant(M, 2), M, exact=True) == said
    with pytest.raises(AssertionError, match=re.escape(said)):
        assert_exact(constant(M, 2), M)
    with pytest.raises(AssertionError, match=r"\(1s x 2u\) and exact4u \(4u x 4u\) have other operand formats"):
        assert_exact(constant(M, 2), multipliers.get("exact4u"))


def test_bounds():
    residual = 2 - M.products
    bounds = {
        "max_abs": float(abs(residual).max()),
        "rms": float(np.sqrt((residual**2).mean())),
        "bias": float(abs(residual.mean())),
    }
    for name, bound in bounds.items():
        assert_faithful(constant(M, 2), M, **{name: bound * (1 + 1e-12)})
        said = failure(constant(M, 2), M, **{name: bound * 0.999})
        assert said.startswith(f"m as a model of m: {name} is ")
        assert ("the smallest at a = 0, b = 3: 2, not 9" in said) == (name == "max_abs")
    assert "max_abs is 7, above 0; bias is" in failure(constant(M, 2), M, max_abs=0, bias=0)


@settings(max_examples=40, deadline=None)
@given(st.data(), operand_formats(max_bits=5), operand_formats(max_bits=4))
def test_the_smallest_pair_is_shown(data, a, b):
    m = TableMultiplier(data.draw(tables(a, b)), a, b, name="drawn")
    wrong = m.products != np.outer(a.values(), b.values())
    if not wrong.any():
        assert_faithful(lambda x, y: x * y, m, exact=True)
        return
    expected = smallest(a.values().tolist(), b.values().tolist(), lambda x, y: wrong[x - a.minimum, y - b.minimum])
    said = failure(lambda x, y: x * y, m, exact=True)
    assert pair_of(said) == expected
    assert f"{int(wrong.sum())} of {m.n_pairs} products differ" in said


def test_wide_operands_are_sampled_and_the_pair_made_small():
    m = CallableMultiplier(lambda a, b: a * b + (np.abs(a) >= 5000) * (b < -700), WIDE, WIDE, name="wide")
    said = failure(lambda a, b: a * b, m, exact=True)
    assert pair_of(said) == (5000, -701)
    assert "of 4194304 products differ from wide" in said
    assert said == failure(lambda a, b: a * b, m, exact=True)
    rare = CallableMultiplier(lambda a, b: a * b + ((a == 3) & (b == -2)), WIDE, WIDE, name="rare")
    assert "1 of 4194304 products differ from rare; the smallest at a = 3, b = -2: -6, not -5" in failure(
        lambda a, b: a * b, rare, exact=True
    )
    assert_faithful(lambda a, b: a * b, rare, max_abs=1, bias=0)


def test_every_pair_finds_what_a_sample_misses():
    m = CallableMultiplier(
        lambda a, b: a * b + ((a == 5001) & (b == 1777)), OperandFormat(13), OperandFormat(13), name="hidden"
    )
    assert_faithful(lambda a, b: a * b, m, exact=True)
    said = failure(lambda a, b: a * b, m, exact=True, every_pair=True)
    assert said == (
        "function: 1 of 67108864 products differ from hidden; the smallest at a = 5001, b = 1777: 8886777, not 8886778"
    )


def test_functions_are_tested_by_their_name():
    def kernel(a, b):
        return np.where(a == 2, np.nan, a * b)

    m = multipliers.get("exact3u")
    assert failure(kernel, m, max_abs=1e9) == (
        "kernel as a model of exact3u: max_abs is nan, above 1e+09; the smallest at a = 2, b = 0: nan, not 0"
    )
    with pytest.raises(AssertionError, match=r"shape \(8,\) for operands of shape \(8, 8\)"):
        assert_faithful(lambda a, b: b[0], m, exact=True)


def test_what_is_asked_for_is_checked():
    for bounds, said in (({}, "nothing is asked for"), ({"rms": -1}, "rms must be"), ({"bias": np.nan}, "bias must")):
        with pytest.raises(SurrogateError, match=said):
            assert_faithful(constant(M, 2), M, **bounds)


def test_the_page_shows_what_happens_and_its_test_file_passes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page("how-to/fidelity-tests.md")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
