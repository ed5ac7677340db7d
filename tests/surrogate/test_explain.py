"""Closed forms: the same function on every pair, as many products, and the names that people would give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, TableMultiplier
from surrogate import (
    FitError,
    MultiplierReference,
    Provenance,
    Surrogate,
    Term,
    discover,
    dumps,
    explain,
    loads,
)
from surrogate.basis import Identity, LeadingOneTable, Table
from surrogate.export import to_words

FORMS = {
    "trunc8s_t2": "trunc_2(a) trunc_2(b)",
    "bam8s_h0v2": "a b - (a mod 2) (b mod 4) - 2 bit_1(a) (b mod 2)",
    "drum8u_k4": "drum_4(a) drum_4(b)",
    "loba8s_v0k4": "lead_4(a) lead_4(b)",
    "ilm8u_i0": "a b - (a - lead_1(a)) (b - lead_1(b))",
    "roba8u": "a b - (a - nearest_power_3to2(a)) (b - nearest_power_3to2(b))",
    "implm8s": "a b - (a - nearest_power(a)) (b - nearest_power(b))",
    "ssm8u_m4": "(a [|a| < 16] + trunc_4(a) [16 <= |a|]) (b [|b| < 16] + trunc_4(b) [16 <= |b|])",
    "pnam8s_p1z2": "a (trunc_2(b) + 3)",
    "udm4u": "a b - 2 (4 bit_2(a) bit_3(a) + bit_0(a) bit_1(a)) (4 bit_2(b) bit_3(b) + bit_0(b) bit_1(b))",
}


@pytest.mark.parametrize("label", FORMS)
def test_designs_are_recognised_from_their_products_alone(label):
    m = multipliers.get(label)
    found = explain(discover(TableMultiplier(m.table(), m.a, m.b, "unknown")))
    assert found.surrogate.formula() == FORMS[label]
    assert found.complete


LABELS = [
    "bbm8s_k0v5",
    "mitchw8s_w4c2",
    "etm6u",
    "almsoa6u_m3",
    "bam8x4u_h1v4",
    "roba8s_c1",
    "tosam6u_h0t3",
    "cct8u_k0",
]


@pytest.mark.parametrize("label", LABELS)
def test_equal_on_every_pair_with_no_more_products(label):
    s = discover(multipliers.get(label))
    found = explain(s)
    a, b = s.a.values()[:, None], s.b.values()
    np.testing.assert_array_equal(found.surrogate(a, b), s(a, b))
    assert found.surrogate.n_products <= s.n_products
    assert found.surrogate.is_exact
    assert found.surrogate.certificate == s.certificate
    assert loads(dumps(found.surrogate)) == found.surrogate
    assert 0 <= found.n_named <= found.n_factors


def test_signed_circuits_of_a_library_come_out_in_closed_form(shared):
    named = factors = 0
    for path in sorted((shared / "evoapprox").glob("mul8s_*.npz")):
        s = discover(TableMultiplier(np.load(path)["table"], "8s", name=path.stem))
        found = explain(s)
        a = s.a.values()
        np.testing.assert_array_equal(found.surrogate(a[:, None], a), np.load(path)["table"])
        named, factors = named + found.n_named, factors + found.n_factors
    assert factors >= 26
    assert named >= 0.9 * factors


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_random_tables_of_low_rank_stay_what_they_are(data):
    rank = data.draw(st.integers(1, 3))
    entries = st.integers(-50, 50)
    left = np.array(data.draw(st.lists(st.lists(entries, min_size=rank, max_size=rank), min_size=8, max_size=8)))
    right = np.array(data.draw(st.lists(st.lists(entries, min_size=rank, max_size=rank), min_size=16, max_size=16)))
    m = TableMultiplier(left @ right.T, "3s", "4u")
    found = explain(discover(m))
    np.testing.assert_array_equal(found.surrogate(m.a.values()[:, None], m.b.values()), left @ right.T)


def test_wide_operands_of_a_logarithmic_design_become_tables_of_the_mantissa():
    s = discover(multipliers.get("mitchw16u_w4"))
    found = explain(s)
    assert len(dumps(found.surrogate)) < len(dumps(s)) / 100
    tables = [f for t in found.surrogate.terms for f in (t.a, t.b) if isinstance(f, LeadingOneTable)]
    assert tables
    assert {t.bits for t in tables} <= {1, 2, 3}
    a, b = multipliers.multiplier.sample_pairs(s.a, s.b, 5000)
    np.testing.assert_array_equal(found.surrogate(a, b), multipliers.get("mitchw16u_w4")(a, b))


def test_models_of_floats_are_refused():
    with pytest.raises(FitError, match="no integers"):
        explain(discover(multipliers.get("mitchell6u"), method="lowrank", terms=2))


def test_dependent_factors_are_refused():
    form = OperandFormat(2)
    t = Table(form, [1, 2, 0, 5])
    terms = [Term(1, t, Table(form, [1, 0, 0, 0])), Term(2, t, Table(form, [0, 1, 0, 0]))]
    with pytest.raises(FitError, match="dependent"):
        explain(Surrogate(terms, MultiplierReference("m", form, form, "0" * 64), Provenance("hand")))


def test_what_is_named_already_stays():
    form = OperandFormat(2)
    s = Surrogate([Term(3, Identity(), Identity())], MultiplierReference("m", form, form, "0" * 64), Provenance("hand"))
    assert explain(s).surrogate is s


def test_words():
    words = {
        "trunc8u_t2": "so the lowest 2 bits of a are ignored.",
        "drum8u_k4": "a cut to the 4 bits from its leading one on, the last of them set",
        "ssm8u_m4": "where |a| is below 16; plus a with its lowest 4 bits cleared where |a| is at least 16",
        "roba8u": "a; minus the power of two nearest to a, 3 rounding down",
        "udm8u": "1 if bits 6 and 7 of a are set",
    }
    for label, text in words.items():
        assert text in to_words(explain(discover(multipliers.get(label))).surrogate)
