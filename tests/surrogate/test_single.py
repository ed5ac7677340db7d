"""Closed forms of single functions: polynomials of bits and pieces, each equal on every value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat
from surrogate import discover, explain
from surrogate.basis import Identity, LeadingOneTruncate, Sum, Truncate, Window
from surrogate.fit.dictionary import named, plain_functions
from surrogate.fit.single import MAX_PIECES, pieces, polynomials
from surrogate.testing import assert_exact, operand_formats


@settings(deadline=None)
@given(st.data(), operand_formats(max_bits=6))
def test_polynomials_are_equal_on_every_value(data, operand):
    values = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=operand.size, max_size=operand.size)))
    for parts in polynomials(operand, values):
        np.testing.assert_array_equal(Sum(parts).tabulate(operand), values)
    if operand.bits <= 3:
        assert len(polynomials(operand, values)) >= bool(values.any())


@settings(deadline=None)
@given(st.data(), operand_formats(max_bits=7, min_bits=3))
def test_pieces_that_were_put_together_are_found(data, operand):
    functions = [Identity(), Truncate(1), Truncate(2), LeadingOneTruncate(1), LeadingOneTruncate(2)]
    at = sorted(data.draw(st.sets(st.integers(1, operand.bits - 1), min_size=1, max_size=MAX_PIECES - 1)))
    chosen = [data.draw(st.sampled_from(functions)) for _ in range(len(at) + 1)]
    numbers = [data.draw(st.integers(1, 5)) for _ in chosen]
    limits = zip([None, *at], [*at, None], strict=True)
    whole = Sum([(c, Window(f, *w)) for c, f, w in zip(numbers, chosen, limits, strict=True)])
    values = whole.tabulate(operand)
    found = pieces(operand, values, functions)
    if not values.any():
        assert found is None
        return
    assert found is not None
    parts, multiple = found
    assert len(parts) <= len(chosen)
    np.testing.assert_array_equal(Sum(parts).tabulate(operand), multiple * values)


@settings(deadline=None, max_examples=50)
@given(st.data(), operand_formats(max_bits=5, min_bits=2))
def test_what_is_named_is_proportional_on_every_value(data, operand):
    values = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=operand.size, max_size=operand.size)))
    found = named(operand, values, plain_functions(operand))
    if found is not None:
        written = found.tabulate(operand)
        assert values.any()
        first = np.flatnonzero(values)[0]
        np.testing.assert_array_equal(written * values[first], values * written[first])


FORMS = {
    "ssm8u_m4q2": "(a [|a| < 16] + trunc_2(a) [16 <= |a| < 64] + trunc_4(a) [64 <= |a|]) "
    "(b [|b| < 16] + trunc_2(b) [16 <= |b| < 64] + trunc_4(b) [64 <= |b|])",
    "loba8s_v1k3": "lead_3(a) (b - sgn(b) bit_0(|b|) bit_3(|b|) bit_6(|b|))",
}


@pytest.mark.parametrize("label", FORMS)
def test_designs_of_several_segments_are_recognised(label):
    m = multipliers.get(label)
    found = explain(discover(multipliers.TableMultiplier(m.table(), m.a, m.b, "unknown")))
    assert found.complete
    assert found.surrogate.formula() == FORMS[label]
    assert_exact(found.surrogate, m)


def test_there_is_no_form_where_there_is_none():
    operand = OperandFormat(8)
    values = np.random.default_rng(0).integers(-100, 100, 256)
    assert polynomials(operand, values) == []
    assert pieces(operand, values, [Identity()]) is None
    assert named(operand, values, plain_functions(operand)) is None
    assert polynomials(operand, np.zeros(256, np.int64)) == []
    assert polynomials(OperandFormat(16), np.zeros(1 << 16, np.int64)) == []
