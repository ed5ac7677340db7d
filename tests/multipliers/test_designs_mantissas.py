"""Designs on mantissas and segments against slow scalar oracles: exact fractions and strings of bits."""

from fractions import Fraction
from math import floor, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, ParameterError
from multipliers.designs.corrected_logarithmic import correction_table
from multipliers.testing import check_multiplier

# ---------------------------------------------------------------- oracles


def characteristic(x):
    return len(f"{x:b}") - 1


def mantissa(x):
    return Fraction(x, 2 ** characteristic(x)) - 1


def cut(x, bits):
    return Fraction(floor(x * 2**bits), 2**bits)


def magnitude(core):
    def oracle(x, y, a, b, **parameters):
        if x == 0 or y == 0:
            return 0
        product = core(abs(x), abs(y), max(a.bits, b.bits), **parameters)
        return -product if (x < 0) is not (y < 0) else product

    return oracle


def shortened(x, bits, t):
    kept = bits - 1 - t
    return (
        mantissa(x)
        if t == 0
        else cut(cut(mantissa(x), kept) * 2 ** (kept - 1), 0) / 2 ** (kept - 1) + Fraction(1, 2**kept)
    )


def mbm(x, y, bits, t):
    s, c = shortened(x, bits, t) + shortened(y, bits, t), Fraction(5, 64)
    power = 2 ** (characteristic(x) + characteristic(y))
    if s < 1:
        return floor(power * (1 + s + c))
    return floor(2 * power * (s + c / 2 if s + c / 2 < 2 else s))


REALM4 = [[1, 3, 5, 4], [3, 9, 12, 5], [5, 12, 9, 3], [4, 5, 3, 1]]


def by_midpoints(i, j, m, steps=60):
    """The integral quotient of a pair of segments by the midpoint rule."""
    total = 0.0
    for p in range(steps):
        x = (i + (p + 0.5) / steps) / m
        for q in range(steps):
            y = (j + (q + 0.5) / steps) / m
            total += min(x * y, (1 - x) * (1 - y)) / ((1 + x) * (1 + y))
    whole = log((m + i + 1) / (m + i)) * log((m + j + 1) / (m + j))
    return total / (steps * m) ** 2 / whole


EIGHT = [[round(64 * by_midpoints(i, j, 8)) for j in range(8)] for i in range(8)]


def realm(x, y, bits, m, t):
    s = shortened(x, bits, t) + shortened(y, bits, t)
    row, column = (floor(mantissa(v) * m) for v in (x, y))
    c = Fraction({4: REALM4, 8: EIGHT}[m][row][column], 64)
    power = 2 ** (characteristic(x) + characteristic(y))
    return floor(power * (1 + s + c)) if s < 1 else floor(2 * power * (s + c / 2))


def clamped(oracle):
    def limited(x, y, a, b, **parameters):
        return min(oracle(x, y, a, b, **parameters), 2 ** (a.bits + b.bits) - 1)

    return limited


def tosam(x, y, bits, h, t):
    u, v = mantissa(x), mantissa(y)
    product = (cut(u, h) + Fraction(1, 2 ** (h + 1))) * (cut(v, h) + Fraction(1, 2 ** (h + 1)))
    return floor(2 ** (characteristic(x) + characteristic(y)) * (1 + cut(u, t) + cut(v, t) + product))


def ssm(x, y, a, b, m, q=None):
    def segment(v, form):
        n = form.bits
        if n <= m:
            return v
        if q is None and form.signed:
            word = f"{v % 2**n:0{n}b}"
            if len(set(word[: n - m + 1])) == 1:
                return v
            kept = word[:m] + "0" * (n - m)
            return int(kept, 2) - (2**n if kept[0] == "1" else 0)
        word = f"{abs(v):0{n}b}"
        if "1" not in word[: n - m]:
            return v
        drop = q if q is not None and q < n - m and "1" not in word[: n - m - q] else n - m
        size = int(word[: n - drop] + "0" * drop, 2)
        return -size if v < 0 else size

    return segment(x, a) * segment(y, b)


def leading(x, k):
    word = f"{x:b}"
    return int(word[:k] + "0" * (len(word) - k), 2)


def loba(x, y, bits, v, k):
    hx, hy = leading(x, k), leading(y, k)
    lx, ly = leading(x - hx, k), leading(y - hy, k)
    return sum([hx * hy, hx * ly, lx * hy, lx * ly][: v + 1])


ORACLES = {
    "mbm": magnitude(mbm),
    "realm": clamped(magnitude(realm)),
    "tosam": magnitude(tosam),
    "ssm": ssm,
    "loba": magnitude(loba),
}


def oracle_of(design):
    parsed = multipliers.naming.parse_label(design.name)
    return lambda x, y: ORACLES[parsed.family](x, y, design.a, design.b, **parsed.parameters)


def choices(family, a, b):
    n = max(a.bits, b.bits)
    fields = {
        "mbm": [{"dropped_bits": t} for t in range(max(n - 1, 1))],
        "realm": [
            {"segments": m, "dropped_bits": t}
            for m, index in ((4, 2), (8, 3))
            if n - 1 >= index
            for t in range(max(n - 1 - index, 1))
        ],
        "tosam": [{"product_bits": h, "sum_bits": t} for h in (0, 1, 4, 15) for t in range(n)],
        "ssm": [{"segment_bits": m} for m in range(1, n + 1)]
        + [{"segment_bits": m, "middle": q} for m in range(1, n - 1) for q in range(1, n - m)],
        "loba": [{"variant": v, "kept_bits": k} for v in range(4) for k in range(1, n + 1)],
    }[family]
    return [multipliers.create(family, a, b, **choice) for choice in fields]


def assert_equal_everywhere(design):
    oracle = oracle_of(design)
    expected = [[oracle(x, y) for y in design.b.values().tolist()] for x in design.a.values().tolist()]
    np.testing.assert_array_equal(design.table(), expected, err_msg=design.name)


@pytest.mark.parametrize("family", ORACLES)
def test_oracle_exhaustively_at_small_widths(family):
    for a, b in [("1u", "1s"), ("2s", "3u"), ("4s", "4s"), ("5u", "2s"), ("5u", "5u")]:
        for design in choices(family, OperandFormat.parse(a), OperandFormat.parse(b)):
            assert_equal_everywhere(design)


@pytest.mark.parametrize(
    "label", ["mbm8u_t0", "realm8u_m4t0", "realm8s_m8t2", "tosam8u_h1t4", "ssm8s_m5", "ssm8u_m4q2", "loba8u_v1k3"]
)
def test_oracle_exhaustively_at_8_bits(label):
    assert_equal_everywhere(multipliers.get(label))


def values_of(form):
    corners = [x for x in (form.minimum, form.maximum, -2, -1, 0, 1, 3) if form.minimum <= x <= form.maximum]
    return st.one_of(st.integers(form.minimum, form.maximum), st.sampled_from(corners))


@pytest.mark.parametrize("family", ORACLES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_oracle_at_random_operands_of_wide_formats(family, data):
    pair = data.draw(st.sampled_from(["12u 12u", "16u 16u", "16s 16s", "9s 16u", "31u 31u", "32s 32s"]))
    a, b = map(OperandFormat.parse, pair.split())
    design = data.draw(st.sampled_from(choices(family, a, b)))
    oracle = oracle_of(design)
    for x, y in data.draw(st.lists(st.tuples(values_of(a), values_of(b)), min_size=1, max_size=10)):
        assert int(design(x, y)) == oracle(x, y), (design.name, x, y)


@pytest.mark.parametrize("family", ORACLES)
def test_contract(family):
    for a, b in [("3u", "3u"), ("5u", "4s"), ("16s", "16s"), ("31u", "31u")]:
        check_multiplier(choices(family, OperandFormat.parse(a), OperandFormat.parse(b))[-1])


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("mbm8u_t7", "dropped_bits"),
        ("realm8u_m5t0", "segments"),
        ("realm8u_m32t0", "segments"),
        ("realm8u_m16t3", "dropped_bits"),
        ("realm4u_m16t0", "mantissas of at least 4 bits"),
        ("tosam8u_h16t3", "product_bits"),
        ("tosam8u_h0t8", "sum_bits"),
        ("ssm8u_m0", "segment_bits"),
        ("ssm8u_m4q4", "middle"),
        ("ssm8u_m7q1", "no middle segment"),
        ("loba8u_v4k3", "variant"),
        ("loba8u_v0k9", "kept_bits"),
        ("mbm32u_t0", "do not fit int64"),
    ],
)
def test_parameter_out_of_range_is_named(label, named):
    with pytest.raises(ParameterError, match=named):
        multipliers.get(label)


# ---------------------------------------------------------------- properties stated in the docstrings


@pytest.mark.parametrize("m", [4, 8, 16])
def test_corrections_of_realm_round_the_integrals(m):
    table = np.array(correction_table(m))
    np.testing.assert_array_equal(table, table.T)
    assert table.max() <= 15
    values = np.array([[64 * by_midpoints(i, j, m, steps=20) for j in range(m)] for i in range(m)])
    np.testing.assert_allclose(table, values, atol=0.51)
    assert m != 4 or table.tolist() == REALM4


def test_realm_is_clamped_near_the_largest_operands():
    assert int(multipliers.get("realm16u_m4t0")(65535, 65535)) == 2**32 - 1
    assert int(multipliers.get("realm16u_m16t0")(65535, 65535)) < 2**32 - 1


def test_one_segment_gives_the_correction_of_mbm():
    assert correction_table(1) == ((5,),)


@pytest.mark.parametrize("k", [2, 4, 6])
def test_dsm_error_range(k):
    design = multipliers.get(f"loba10u_v0k{k}")
    x = np.arange(1, 1024)
    relative = design.error(x[:, None], x) / (x[:, None] * x)
    assert relative.max() == 0
    assert (1 + 2.0 ** (1 - k)) ** -2 - 1 < relative.min()


def test_ssm_peak():
    design = multipliers.get("ssm16u_m8")
    assert int(design.error(511, 511)) / 511**2 == pytest.approx(-0.749, abs=5e-4)
