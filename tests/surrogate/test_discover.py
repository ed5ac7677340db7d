import numpy as np
import pytest

import multipliers
from multipliers import CallableMultiplier
from surrogate import METHODS, FitError, discover, dumps
from surrogate.testing import assert_certificate_holds


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("label", ["bam6s_h0v4", "drum6x4u_k3", "mitchell5sx6u"])
def test_every_method_certifies_and_says_how(method, label):
    m = multipliers.get(label)
    s = discover(m, method=method)
    assert s.multiplier.matches(m)
    assert s.provenance.method == method
    assert s.provenance.version
    assert_certificate_holds(s, m)
    assert dumps(discover(m, method=method)) == dumps(s)


def test_options_are_remembered():
    m = multipliers.get("drum6u_k3")
    assert dict(discover(m, method="htp", decimals=2).provenance.options) == {"basis": "auto", "decimals": 2}
    options = dict(discover(m, method="lowrank", terms=2, weights_b=np.arange(64)).provenance.options)
    assert options == {"terms": 2, "weighted": True}


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("magic", {}, "unknown method 'magic'; choose one of 'exact', 'htp', 'lowrank'"),
        ("exact", {"basis": "mod"}, "basis is an option of method 'htp', not of 'exact'"),
        ("exact", {"decimals": 2}, "decimals is an option of method 'htp'"),
        ("exact", {"weights_a": np.ones(16)}, "weights_a is an option of method 'lowrank'"),
        ("htp", {"terms": 3}, "terms is an option of method 'exact' or 'lowrank', not of 'htp'"),
        ("htp", {"weights_b": np.ones(16)}, "weights_b is an option of method 'lowrank'"),
        ("lowrank", {"decimals": None}, "decimals is an option of method 'htp'"),
    ],
)
def test_options_of_another_method_are_refused(method, options, message):
    with pytest.raises(FitError, match=message):
        discover(multipliers.get("exact4u"), method=method, **options)


def test_certification_can_be_sampled_or_complete():
    m = multipliers.get("exact8u")
    assert discover(m, sample=99).certificate.n_pairs == 99
    assert not discover(m, sample=99).is_exact
    assert discover(m, every_pair=True).is_exact
    wide = discover(multipliers.get("exact13u"))
    assert (wide.certificate.comparison, wide.certificate.n_pairs) == ("sampled", 1 << 22)


def test_exceptions_that_the_sample_of_a_wide_table_misses_are_found():
    """Five single products of 2**24 differ: the first factorisation misses some, the comparison tells which."""
    base = multipliers.get("bam12u_h0v3")
    exceptions = [(3001, 17), (5, 4090), (2222, 1111), (2222, 1112), (4001, 4001)]

    def product(a, b):
        result = base(a, b).copy()
        for x, y in exceptions:
            result[(a == x) & (b == y)] += 7
        return result

    multiplier = CallableMultiplier(product, base.a, base.b)
    found = discover(multiplier)
    assert found.is_exact
    assert found.certificate.n_pairs == 1 << 24
    assert all(int(found(x, y)) == int(base(x, y)) + 7 for x, y in exceptions)


def test_no_term_is_too_few():
    with pytest.raises(FitError, match="terms must be a positive integer, got 0"):
        discover(multipliers.get("exact4u"), terms=0)
