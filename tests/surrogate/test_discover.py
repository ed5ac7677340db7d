import numpy as np
import pytest

import multipliers
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
