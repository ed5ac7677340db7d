"""Certificates against a plain NumPy computation that shares no code with them, on the loaded file."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier
from surrogate import (
    MultiplierReference,
    Provenance,
    Surrogate,
    SurrogateError,
    Term,
    certify,
    discover,
    dumps,
    loads,
)
from surrogate.basis import Constant, Identity, Table
from surrogate.testing import assert_certificate_holds, table_multipliers


def independent(surrogate, table):
    """Residuals by a loop over the terms in plain dictionaries of the file, on a meshgrid."""
    stored = surrogate.to_dict()["terms"]
    a = range(surrogate.a.minimum, surrogate.a.maximum + 1)
    b = range(surrogate.b.minimum, surrogate.b.maximum + 1)

    def value(function, x, low):
        configuration = function["configuration"]
        match function["name"]:
            case "constant":
                return 1
            case "identity":
                return x
            case "mod":
                return x % 2 ** configuration["bits"]
            case "table":
                return configuration["values"][x - low]
            case "leading_one_truncate":
                magnitude, cut = abs(x), 0
                while magnitude >= 2 ** configuration["bits"]:
                    magnitude, cut = magnitude // 2, cut + 1
                magnitude |= configuration["unbiased"] and cut > 0
                return math.copysign(1, x) * magnitude * 2**cut
        raise NotImplementedError(function["name"])

    model = np.zeros(table.shape)
    for term in stored:
        g = np.array([value(term["a"], x, a[0]) for x in a], dtype=float)
        h = np.array([value(term["b"], x, b[0]) for x in b], dtype=float)
        model += term["coefficient"] * np.outer(g, h)
    return model - table


@pytest.mark.parametrize("label", ["drum8u_k4", "bam8s_h0v5", "mitchell8s", "exact5sx7u", "trunc8u_t6"])
@pytest.mark.parametrize(("method", "options"), [("exact", {}), ("htp", {}), ("lowrank", {"terms": 3})])
def test_certificates_hold_on_the_loaded_file(label, method, options):
    m = multipliers.get(label)
    s = loads(dumps(discover(m, method=method, **options)))
    residual = independent(s, m.table())
    c = s.certificate
    assert (c.comparison, c.n_pairs) == ("exhaustive", residual.size)
    assert c.n_different == np.count_nonzero(np.rint(residual + m.table()) != m.table())
    assert c.max_abs_residual == pytest.approx(abs(residual).max(), abs=1e-9)
    assert c.mean_abs_residual == pytest.approx(abs(residual).mean(), abs=1e-9)
    assert c.rms_residual == pytest.approx(np.sqrt((residual**2).mean()), abs=1e-9)
    assert c.residual_bias == pytest.approx(residual.mean(), abs=1e-9)
    assert s.is_exact == (method == "exact" or (abs(residual).max() == 0 and s.is_integer))
    assert_certificate_holds(s, m)


@settings(max_examples=40)
@given(table_multipliers(), st.integers(-5, 5))
def test_random_tables_against_a_constant(m, value):
    reference = MultiplierReference.of(m)
    s = certify(Surrogate([Term(value, Constant(), Constant())], reference, Provenance("hand")), m)
    residual = value - m.products
    assert s.certificate.n_different == np.count_nonzero(residual)
    assert s.certificate.max_abs_residual == abs(residual).max()
    assert s.certificate.residual_bias == pytest.approx(residual.mean())
    assert s.is_exact == (not residual.any())


def test_one_wrong_product_of_millions_is_found():
    operand = OperandFormat(12)

    def almost(a, b):
        return a * b + ((a == 2345) & (b == 3456))

    m = CallableMultiplier(almost, operand, operand)
    s = certify(Surrogate([Term(1, Identity(), Identity())], MultiplierReference.of(m), Provenance("hand")), m)
    assert (s.certificate.comparison, s.certificate.n_different, s.is_exact) == ("streamed", 1, False)
    assert s.certificate.rms_residual == pytest.approx(2.0**-12)
    s = certify(s, m, sample=1000)
    assert (s.certificate.comparison, s.certificate.n_pairs, s.certificate.exact) == ("sampled", 1000, False)


def test_sampled_certificates_never_are_exact_even_of_all_pairs():
    m = multipliers.get("exact4u")
    s = certify(discover(m), m, sample=100_000)
    assert s.certificate.max_abs_residual == 0
    assert not s.is_exact
    assert not s.certificate.exact


def test_residuals_below_half_differ_by_rounding_only():
    operand = OperandFormat(1)
    m = TableMultiplier([[0, 0], [0, 1]], operand)
    table = Table(operand, [0.0, 0.75])
    s = Surrogate([Term(1, table, Table(operand, [0.0, 1.0]))], MultiplierReference.of(m), Provenance("hand"))
    c = certify(s, m).certificate
    assert (c.n_different, c.max_abs_residual, c.exact) == (0, 0.25, False)


def test_a_float_model_without_residual_is_certified_but_not_exact():
    operand = OperandFormat(2)
    m = CallableMultiplier(lambda a, b: ((a + a % 2) // 2) * b, operand, operand)
    s = discover(m, method="htp")
    assert s.certificate.max_abs_residual == 0
    assert not s.is_integer
    assert not s.is_exact


def test_progress_counts_pairs():
    m, calls = multipliers.get("exact11u"), []
    certify(discover(m), m, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (1 << 22, 1 << 22)
    assert [done for done, _ in calls] == [i << 18 for i in range(1, 17)]


def test_refusals():
    m = multipliers.get("exact4u")
    s = discover(m)
    with pytest.raises(SurrogateError, match=r"stands for 'exact4u'.*'drum4u_k3'"):
        certify(s, multipliers.get("drum4u_k3"))
    with pytest.raises(SurrogateError, match="positive number of pairs"):
        certify(s, m, sample=0)


def test_threads_change_nothing():
    m = multipliers.get("mitchell11u")
    s = discover(m, method="htp")
    one, many = (certify(s, m, workers=workers).certificate for workers in (1, 3))
    assert one == many
    assert one.n_different > 0
