import json
import math
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multipliers import CallableMultiplier, OperandFormat, ParameterError, TableMultiplier, get
from multipliers.accumulator import ErrorAccumulator
from multipliers.distributions import normalised_weights, weighted_pairs
from multipliers.metric_values import ErrorMetrics
from multipliers.metrics import error_metrics, normaliser_value
from multipliers.multiplier import sample_pairs

FORMATS = st.builds(OperandFormat, st.integers(1, 4), st.booleans())


@st.composite
def random_tables(draw, low=-300, high=300):
    a, b = draw(FORMATS), draw(FORMATS)
    seed = draw(st.integers(0, 2**32 - 1))
    products = np.random.default_rng(seed).integers(low, high + 1, (a.size, b.size))
    products[-a.minimum, -b.minimum] = draw(st.integers(1, high))  # f(0, 0) != 0
    return TableMultiplier(products, a, b, "random")


def values(format):
    return range(-(2 ** (format.bits - 1)), 2 ** (format.bits - 1)) if format.signed else range(2**format.bits)


def oracle(m, p=None, q=None):
    """The definitions, pair by pair in rational arithmetic."""
    p = [Fraction(1)] * m.a.size if p is None else [Fraction(float(x)) for x in p]
    q = [Fraction(1)] * m.b.size if q is None else [Fraction(float(x)) for x in q]
    pairs = []
    for i, a in enumerate(values(m.a)):
        for j, b in enumerate(values(m.b)):
            if p[i] * q[j] > 0:
                pairs.append((p[i] * q[j], a * b, int(m.products[i, j])))
    word = 2 ** (m.a.bits + m.b.bits)
    total = sum(w for w, _, _ in pairs)

    def mean(function, over=pairs):
        return sum(w * Fraction(function(P, F)) for w, P, F in over) / sum(w for w, _, _ in over)

    nonzero = [(w, P, F) for w, P, F in pairs if P != 0]
    errors = [F - P for _, P, F in pairs]
    bias = mean(lambda P, F: F - P)
    variance = mean(lambda P, F: (F - P - bias) ** 2)
    expected = {
        "n_pairs": len(pairs),
        "mean_error": bias,
        "mae": mean(lambda P, F: abs(F - P)),
        "wce": max(abs(e) for e in errors),
        "error_probability": sum(w for w, P, F in pairs if F != P) / total,
        "positive_error_probability": sum(w for w, P, F in pairs if F > P) / total,
        "negative_error_probability": sum(w for w, P, F in pairs if F < P) / total,
        "mse": mean(lambda P, F: (F - P) ** 2),
        "rmse": math.sqrt(mean(lambda P, F: (F - P) ** 2)),
        "variance": variance,
        "sd": math.sqrt(variance),
        "min_error": min(errors),
        "max_error": max(errors),
        "mean_hamming_distance": mean(lambda P, F: bin((F % word) ^ (P % word)).count("1")),
        "nmed": mean(lambda P, F: abs(F - P)) / word,
    }
    ratios = [Fraction(F - P, P) for _, P, F in nonzero]
    if nonzero:
        relative_bias = mean(lambda P, F: Fraction(F - P, P), nonzero)
        expected |= {
            "mre": mean(lambda P, F: Fraction(abs(F - P), abs(P)), nonzero),
            "relative_bias": relative_bias,
            "relative_sd": math.sqrt(mean(lambda P, F: (Fraction(F - P, P) - relative_bias) ** 2, nonzero)),
            "wcre": max(abs(r) for r in ratios),
            "min_relative_error": min(ratios),
            "max_relative_error": max(ratios),
        }
    else:
        names = ("mre", "relative_bias", "relative_sd", "wcre", "min_relative_error", "max_relative_error")
        expected |= dict.fromkeys(names, math.nan)
    max1 = mean(lambda P, F: Fraction(abs(F - P), max(1, abs(P))))
    return {k: v if isinstance(v, int) else float(v) for k, v in expected.items()}, float(max1)


def agree(found, expected, rel=1e-12):
    for name, value in expected.items():
        got = getattr(found, name)
        if isinstance(value, int):
            assert got == value, name
        else:
            assert got == pytest.approx(value, rel=rel, abs=1e-12, nan_ok=True), name


@given(random_tables())
def test_every_metric_against_the_oracle(m):
    expected, max1 = oracle(m)
    found = error_metrics(m)
    agree(found, expected)
    assert (found.comparison, found.weighted, found.wmed) == ("exhaustive", False, None)
    assert error_metrics(m, relative="max1").mre == pytest.approx(max1, rel=1e-12, abs=1e-12)
    for name in ("mean_error", "mae", "mse", "variance", "error_probability"):  # correctly rounded
        assert getattr(found, name) == expected[name]


@given(random_tables(), st.data())
def test_weighted_metrics_against_the_oracle(m, data):
    weight = st.one_of(st.just(0.0), st.floats(0.001, 1000))
    p = data.draw(st.lists(weight, min_size=m.a.size, max_size=m.a.size).filter(any))
    q = data.draw(st.none() | st.lists(weight, min_size=m.b.size, max_size=m.b.size).filter(any))
    expected, max1 = oracle(m, p, q)
    found = error_metrics(m, p, q)
    agree(found, expected, rel=1e-9)
    assert found.weighted
    assert found.wmed == found.mae
    assert error_metrics(m, p, q, relative="max1").mre == pytest.approx(max1, rel=1e-9)


@given(random_tables(-(2**40), 2**40))
def test_large_errors_are_summed_exactly(m):
    expected, _ = oracle(m)
    found = error_metrics(m)
    for name in ("mean_error", "mae", "mse", "variance", "mean_hamming_distance"):
        assert getattr(found, name) == expected[name]


def test_errors_at_the_end_of_int64():
    m = TableMultiplier([[2**62, -(2**62)], [0, 2**63 - 1]], "1u")
    expected, _ = oracle(m)
    found = error_metrics(m)
    assert (found.mse, found.mae, found.mean_error, found.wce) == tuple(
        expected[k] for k in ("mse", "mae", "mean_error", "wce")
    )
    overflowing = TableMultiplier([[0, 0], [0, 2**63 - 1]], "1s")
    assert error_metrics(overflowing).max_error == 2**63 - 1
    for a, products in (("1s", [[0, 2**63 - 1], [0, 0]]), ("1u", [[0, 0], [0, -(2**63)]])):
        with pytest.raises(ParameterError, match="does not fit int64"):
            error_metrics(TableMultiplier(products, a, "1u"))
    lowest = error_metrics(TableMultiplier([[-(2**63), 0], [0, 1]], "1u"), relative="max1")
    assert (lowest.wce, lowest.mae, lowest.mre) == (2**63, 2**61, 2**61)


@settings(max_examples=20)
@given(random_tables(), st.integers(1, 40))
def test_streamed_equals_exhaustive_whatever_the_blocks(m, size):
    accumulator = ErrorAccumulator(m.a, m.b)
    for a, products in m.blocks(size):
        accumulator.add(m.exact(a[:, None], m.b.values()), products)
    streamed, exhaustive = accumulator.result("streamed"), error_metrics(m)
    exact = ("n_pairs", "mean_error", "mae", "mse", "variance", "wce", "min_error", "max_error", "error_probability")
    for name in exact:
        assert getattr(streamed, name) == getattr(exhaustive, name)
    agree(streamed, {k: v for k, v in exhaustive.to_dict().items() if isinstance(v, float)})


def test_streamed_is_labelled_and_equal():
    m = get("drum8u_k4")
    streamed, exhaustive = error_metrics(m, comparison="streamed"), error_metrics(m)
    assert streamed.comparison == "streamed"
    assert {**streamed.to_dict(), "comparison": "exhaustive"} == exhaustive.to_dict()


def test_wide_operands_choose_and_say_so():
    drops = CallableMultiplier(lambda a, b: (a * b) & ~np.int64(7), OperandFormat(11), OperandFormat(10), name="drop3")
    assert error_metrics(drops).comparison == "streamed"
    wide = CallableMultiplier(lambda a, b: a * b - 1, OperandFormat(16), OperandFormat(16, True), name="minus one")
    sampled = error_metrics(wide, sample=1000)
    assert (sampled.comparison, sampled.n_pairs, sampled.mean_error, sampled.sd) == ("sampled", 1000, -1.0, 0.0)
    calls = []
    assert error_metrics(wide, progress=lambda done, total: calls.append((done, total))).n_pairs == 1 << 22
    assert calls[-1] == (1 << 22, 1 << 22)
    assert calls == sorted(calls)


def test_sampled_is_close_reproducible_and_uses_the_documented_sequence():
    m = get("mitchell8u")
    exhaustive, sampled = error_metrics(m), error_metrics(m, sample=200_000)
    assert sampled.mean_error == pytest.approx(exhaustive.mean_error, abs=5 * exhaustive.sd / 200_000**0.5)
    assert sampled.mre == pytest.approx(exhaustive.mre, rel=0.02)
    assert sampled == error_metrics(m, sample=200_000)
    a, b = sample_pairs(m.a, m.b, 1000)
    assert error_metrics(m, sample=1000).mean_error == m.error(a, b).mean()


def test_weighted_sample_follows_the_distributions():
    m = TableMultiplier(np.random.default_rng(1).integers(-99, 99, (16, 8)), "4s", "3u")
    p, q = np.arange(16) ** 2, [0, 1, 0, 0, 5, 0, 0, 2]
    exhaustive, sampled = error_metrics(m, p, q), error_metrics(m, p, q, sample=400_000)
    assert (sampled.comparison, sampled.weighted) == ("sampled", True)
    assert sampled.wmed == pytest.approx(exhaustive.wmed, rel=0.01)
    assert sampled.mean_error == pytest.approx(exhaustive.mean_error, abs=5 * exhaustive.sd / 400_000**0.5)
    a, b = weighted_pairs(m.a, m.b, 50_000, 0, normalised_weights(m.a, p, "a"), normalised_weights(m.b, q, "b"))
    assert set(b.tolist()) == {1, 4, 7}
    assert a.min() > m.a.minimum
    later = weighted_pairs(m.a, m.b, 10, 100, None, normalised_weights(m.b, q, "b"))
    assert (later[1] == b[100:110]).all()


def test_uniform_weights_change_nothing_but_the_label():
    m = get("bam6u_h0v3")
    agree(
        error_metrics(m, np.full(64, 7), np.ones(64)),
        {
            k: v
            for k, v in error_metrics(m).to_dict().items()
            if k in ("mean_error", "mae", "sd", "mre", "relative_sd", "mean_hamming_distance", "nmed", "wce", "n_pairs")
        },
    )


def test_large_bias_does_not_cancel_the_weighted_variance():
    m = TableMultiplier([[10**12, 10**12 + 1], [10**12, 10**12 + 2]], "1u")
    assert error_metrics(m, [1, 1], [1, 1]).variance == pytest.approx(error_metrics(m).variance, rel=1e-9)


def test_zero_rule():
    m = TableMultiplier([[3, 0], [0, 1]], "1u")
    found = error_metrics(m, [1, 0])
    assert (found.mae, found.n_pairs) == (1.5, 2)
    for name in ("mre", "relative_bias", "relative_sd", "wcre", "min_relative_error", "max_relative_error"):
        assert math.isnan(getattr(found, name))
    assert error_metrics(m, [1, 0], relative="max1").mre == 1.5
    json.dumps(found.to_dict(), allow_nan=False)
    assert ErrorMetrics.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_hamming_distance_takes_words_of_n_plus_m_bits():
    m = TableMultiplier([[-1, 1 << 2], [0, 1]], "1u")  # -1 is 11, and 4 leaves the word of two bits
    assert error_metrics(m).mean_hamming_distance == 0.5


def test_normalisers():
    m = get("mitchell4u")
    mae = error_metrics(m).mae
    for name, value in (("2^(n+m)", 256), ("2^(n+m)-1", 255), ("largest exact product", 225)):
        found = error_metrics(m, normaliser=name)
        assert (found.nmed, found.normaliser) == (mae / value, name)
    assert normaliser_value(OperandFormat(4, True), OperandFormat(3), "largest exact product") == 8 * 7


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"weights_a has shape \(2,\), but the format 2s has 4 values \(-2 to 1\)"),
        ([1, -1, 0, 0], "the weight of a = -1 is -1.0"),
        ([1, math.nan, 0, 0], "finite"),
        ([1, math.inf, 0, 0], "finite"),
        ([0, 0, 0, 0], "all zero"),
        (["a", "b", "c", "d"], "must be real numbers"),
    ],
)
def test_bad_weights_are_named(weights, message):
    with pytest.raises(ParameterError, match=message):
        error_metrics(TableMultiplier(np.zeros((4, 4)), "2s"), weights)


def test_bad_requests_are_named():
    m = get("exact2u")
    with pytest.raises(ParameterError, match="normaliser must be one of"):
        error_metrics(m, normaliser="max")
    with pytest.raises(ParameterError, match="relative must be one of"):
        error_metrics(m, relative="all")
    with pytest.raises(ParameterError, match="contradicts"):
        error_metrics(m, sample=5, comparison="streamed")
    with pytest.raises(ParameterError, match="sample must be"):
        error_metrics(m, sample=0)
    with pytest.raises(ParameterError, match="comparison must be one of"):
        error_metrics(m, comparison="all")
    with pytest.raises(ParameterError, match="takes no weights"):
        ErrorAccumulator(m.a, m.b).add([1], [1], [1.0])
    with pytest.raises(ParameterError, match="every block needs weights"):
        ErrorAccumulator(m.a, m.b, weighted=True).add([1], [1])
    with pytest.raises(ParameterError, match="nothing to measure"):
        ErrorAccumulator(m.a, m.b).result("exhaustive")
    with pytest.raises(ParameterError, match="missing fields"):
        ErrorMetrics.from_dict({"mae": 1.0})


# EvoApproxLib prints percentages of 1 and above with two decimals, smaller ones with two significant digits; MAE and
# MSE with two significant digits below 10, as integers below a million, with eight significant digits above. All half
# to even. In three headers MAE was already rounded to one decimal before it was printed and turned into MAE%.
TWICE_ROUNDED = {"mul8s_1KV8", "mul8s_1KV9", "mul8s_1KVQ"}


def decimals(x, n):
    return Decimal(x).quantize(Decimal(1).scaleb(-n), rounding=ROUND_HALF_EVEN)


def significant(x, n):
    return decimals(x, n - 1 - Decimal(x).adjusted()) if x else Decimal(0)


def per_cent(x):
    return decimals(x, 2) if x >= 1 else significant(x, 2)


def lsb(x):
    return significant(x, 2) if x < 10 else decimals(x, 0) if x < 1_000_000 else significant(x, 8)


def circuits(shared):
    for entry in json.loads((shared / "evoapprox" / "index.json").read_text()):
        a = OperandFormat(entry["a_bits"], entry["signed"])
        b = OperandFormat(entry["b_bits"], entry["signed"])
        products = np.load(shared / "evoapprox" / f"{entry['name']}.npz")["table"]
        yield entry, TableMultiplier(products, a, b, entry["name"])


def test_published_figures_to_the_printed_digit(shared):
    seen, disagreements = 0, []
    for entry, m in circuits(shared):
        found, published = error_metrics(m), entry["published"]
        mae = decimals(found.mae, 1) if m.name in TWICE_ROUNDED else Decimal(found.mae)
        printed = {
            "EP%": per_cent(Decimal(found.error_probability) * 100),
            "MRE%": per_cent(Decimal(found.mre) * 100),
            "WCRE%": per_cent(Decimal(found.wcre) * 100),
            "WCE": Decimal(found.wce),
            "WCE%": per_cent(Decimal(found.wce) * 100 / m.n_pairs),
            "MAE": lsb(mae),
            "MAE%": per_cent(mae * 100 / m.n_pairs),
            "MSE": lsb(Decimal(found.mse)),
        }
        seen += 1
        disagreements += [
            (m.name, key, str(value), published[key])
            for key, value in printed.items()
            if float(value) != published[key]
        ]
    assert seen == 49
    assert disagreements == []


def test_stored_figures_exactly(shared):
    for entry, m in circuits(shared):
        found = error_metrics(m)
        assert m.fingerprint() == entry["sha256"]
        assert found.mean_error == entry["bias"], m.name
        assert found.sd == pytest.approx(entry["sd"], rel=1e-14), m.name
        assert (found.mae, found.mse, found.wce) == (entry["mae"], entry["mse"], entry["wce"]), m.name
        assert found.error_probability * 100 == entry["ep"], m.name


@pytest.mark.slow
def test_twelve_bits_streamed_in_full():
    m = get("mitchell12u")
    streamed = error_metrics(m)
    table = m.table() - np.multiply.outer(m.a.values(), m.b.values())
    assert (streamed.comparison, streamed.n_pairs) == ("streamed", 1 << 24)
    assert streamed.mean_error == int(table.sum()) / (1 << 24)
    assert streamed.wce == np.abs(table).max()


@pytest.mark.parametrize("weighted", [False, True])
def test_threads_change_nothing(weighted):
    m = get("bam11x10u_h1v6")
    weights = np.arange(1.0, m.a.size + 1) if weighted else None
    one, many = (error_metrics(m, weights_a=weights, comparison="streamed", workers=workers) for workers in (1, 3))
    assert one == many
    assert one.n_pairs == m.n_pairs
    steps = []
    error_metrics(m, comparison="streamed", workers=2, progress=lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps)
    assert steps[-1] == (m.n_pairs, m.n_pairs)


def test_an_error_in_a_thread_is_raised():
    def product(a, b):
        if (a == 1500).any():
            raise ZeroDivisionError("in the user's function")
        return a * b

    m = CallableMultiplier(product, OperandFormat(11), OperandFormat(11))
    with pytest.raises(ZeroDivisionError, match="in the user's function"):
        error_metrics(m, workers=2)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_workers_are_checked(workers):
    with pytest.raises(ParameterError, match="workers must be a number of threads"):
        error_metrics(get("exact4u"), workers=workers)
