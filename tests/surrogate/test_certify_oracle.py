"""Multipliers that are no pure functions, raise, or change between discovery and certification: refused, with why."""

import numpy as np
import pytest

import multipliers
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier
from multipliers.errors import OperandRangeError, TableError
from surrogate import FitError, SurrogateError, certify, discover
from surrogate.errors import OracleError
from surrogate.oracle import Oracle, Witness

METHODS = [("exact", {}), ("htp", {}), ("lowrank", {"terms": 2}), ("lowrank", {"products": 2})]


def oracle(function, bits=8, vectorised=True):
    return CallableMultiplier(function, OperandFormat(bits), OperandFormat(bits), vectorised, name="oracle")


# ---------------------------------------------------------------- not deterministic


@pytest.mark.parametrize(("method", "options"), METHODS)
@pytest.mark.parametrize("bits", [6, 16])
def test_noise_is_noticed(method, options, bits):
    generator = np.random.default_rng(0)
    m = oracle(lambda a, b: a * b + generator.integers(0, 3, np.shape(a)), bits)
    with pytest.raises(OracleError, match=r"oracle is not deterministic: oracle\(\d+, \d+\) was \d+ and is now \d+ \("):
        discover(m, method, **options)


@pytest.mark.parametrize("call", range(3, 7))
def test_a_function_that_changes_at_some_call_is_noticed(call):
    """Whenever it changes: while it is fitted, before it is certified, or at the very end."""
    calls = []

    def drifting(a, b):
        calls.append(1)
        return a * b + (len(calls) > call)

    with pytest.raises(OracleError, match="not deterministic"):
        discover(oracle(drifting))


def test_a_rare_glitch_while_certifying_is_no_exception_to_learn():
    """One product of 2**24 is wrong, once: what is asked again at random does not show it, what differs does."""
    glitches = []

    def function(a, b):
        product = a * b
        at = np.nonzero((a == 1234) & (b == 777))
        if a.shape == (64, 4096) and len(at[0]) and not glitches:  # a block of the comparison, not of the fingerprint
            glitches.append(at)
            product[at] += 1
        return product

    with pytest.raises(OracleError, match=r"oracle\(1234, 777\) was 958819 and is now 958818"):
        discover(oracle(function, 12))
    assert len(glitches) == 1


@pytest.mark.parametrize("sample", [None, 5000])
def test_certifying_a_function_that_changes_meanwhile(sample):
    offset = [0]
    m = oracle(lambda a, b: a * b + offset[0])
    s = discover(m)
    with pytest.raises(OracleError, match=r"was .* and is now"):
        certify(s, m, sample=sample, progress=lambda *_: offset.__setitem__(0, 1))
    with pytest.raises(SurrogateError, match=r"stands for 'oracle'.*which 'oracle'.*is not; certify it against that"):
        certify(s, m, sample=sample)
    offset[0] = 0
    assert certify(s, m, sample=sample).certificate.max_abs_residual == 0


def test_noise_is_noticed_before_the_fingerprint_is_blamed():
    s = discover(oracle(lambda a, b: a * b))
    generator = np.random.default_rng(0)
    with pytest.raises(OracleError, match="not deterministic"):
        certify(s, oracle(lambda a, b: a * b + generator.integers(0, 2, np.shape(a))))


# ---------------------------------------------------------------- changed between discovery and certification


@pytest.mark.parametrize("bits", [8, 12])
def test_another_multiplier_is_refused_by_one_product(bits):
    s = discover(oracle(lambda a, b: a * b, bits))
    changed = oracle(lambda a, b: a * b + ((a == 200) & (b == 3)), bits)
    with pytest.raises(SurrogateError, match=r"stands for 'oracle' .*fingerprint [0-9a-f]{12}\.\.\.\), which 'oracle'"):
        certify(s, changed)


def test_a_wide_multiplier_is_refused_by_its_sample():
    s = discover(oracle(lambda a, b: a * b, 16), sample=1000)
    with pytest.raises(SurrogateError, match="stands for"):
        certify(s, oracle(lambda a, b: a * b + (a % 1000 == 7), 16), sample=1000)


# ---------------------------------------------------------------- raising


@pytest.mark.parametrize(("method", "options"), METHODS)
@pytest.mark.parametrize("vectorised", [True, False])
def test_what_it_raises_is_told_with_its_operands(method, options, vectorised):
    def partial(a, b):
        if np.any((np.asarray(a) == 17) & (np.asarray(b) == 203)):
            raise ZeroDivisionError("division by zero")
        return a * b

    with pytest.raises(OracleError, match="oracle raised ZeroDivisionError at a = 17, b = 203: division by zero; a"):
        discover(oracle(partial, vectorised=vectorised), method, **options)


def test_what_it_raises_once_only():
    raised = []

    def function(a, b):
        if not raised:
            raised.append(1)
            raise RuntimeError("licence server busy")
        return a * b

    message = "RuntimeError at a = 3 ... 5, b = 7 ... 9, but not the second time: licence server busy"
    with pytest.raises(OracleError, match=message.replace("...", r"\.\.\.")):
        Oracle(oracle(function))([3, 5], [9, 7])


def test_raising_while_certifying():
    broken = []

    def function(a, b):
        if broken and np.any(a == 255):
            raise OverflowError("too large")
        return a * b

    m = oracle(function, 12)
    s = discover(m)
    with pytest.raises(OracleError, match="OverflowError at a = 255, b = 0: too large"):
        certify(s, m, progress=lambda *_: broken.append(1), workers=1)


def test_the_package_s_own_errors_and_interrupts_stay_as_they_are():
    with pytest.raises(TableError, match="whole numbers"):
        discover(oracle(lambda a, b: a * b + 0.5))
    with pytest.raises(OperandRangeError):
        Oracle(multipliers.get("exact4u"))(16, 0)
    for error in (KeyboardInterrupt, MemoryError):

        def function(a, b, error=error):
            raise error

        with pytest.raises(error):
            Oracle(oracle(function))(1, 1)


def test_an_oracle_answers_as_the_multiplier_does():
    m = TableMultiplier(np.random.default_rng(0).integers(-9, 9, (8, 16)), "3s", "4u", name="random")
    watched = Oracle(m)
    np.testing.assert_array_equal(watched.table(), m.products)
    assert (watched.a, watched.b, watched.name) == (m.a, m.b, "random")
    assert watched.fingerprint() == m.fingerprint()
    assert watched.sample_fingerprint() == m.sample_fingerprint()
    assert watched(0, [1, 2]).dtype == np.int64
    Witness.of(watched).check(m)
    assert issubclass(OracleError, FitError)
    assert issubclass(OracleError, SurrogateError)
