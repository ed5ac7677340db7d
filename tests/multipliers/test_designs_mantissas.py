"""Designs on mantissas and segments against slow scalar oracles: exact fractions and strings of bits."""

from fractions import Fraction
from math import floor, log

import numpy as np
import pytest

import multipliers
from multipliers import OperandFormat, ParameterError
from multipliers.designs.corrected_logarithmic import correction_table
from multipliers.testing import check_multiplier, check_products

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


REALM8 = [[round(64 * by_midpoints(i, j, 8)) for j in range(8)] for i in range(8)]


def realm(x, y, bits, m, t):
    s = shortened(x, bits, t) + shortened(y, bits, t)
    row, column = (floor(mantissa(v) * m) for v in (x, y))
    c = Fraction({4: REALM4, 8: REALM8}[m][row][column], 64)
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


def cssm(x, y, a, b, m, u):
    """Bits as strings; signs by ones' complement."""
    n = a.bits - a.signed
    p, q = (f"{-v - 1 if v < 0 else v:0{n}b}" for v in (x, y))
    large = ["1" in word[: n - m] for word in (p, q)]
    kept = [word[:m] + "0" * (n - m) if high else word for word, high in zip((p, q), large, strict=True)]
    product = int(kept[0], 2) * int(kept[1], 2)
    if all(large):
        for i in range(u):
            if (q[i], p[m]) == ("1", "1") or (p[i], q[m]) == ("1", "1"):
                product += 2 ** (m - 1 - i) * 4 ** (n - m)
    return -product - 1 if (x < 0) is not (y < 0) else product


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
    "cssm": cssm,
    "loba": magnitude(loba),
}


def oracle_of(design):
    parsed = multipliers.naming.parse_label(design.name)
    return lambda x, y: ORACLES[parsed.family](x, y, design.a, design.b, **parsed.parameters)


def choices(family, a, b):
    n = max(a.bits, b.bits)
    fields = {
        "mbm": [{"dropped_bits": t} for t in range(min(max(n - 1, 1), 30))],
        "realm": [
            {"segments": m, "dropped_bits": t}
            for m, index in ((4, 2), (8, 3))
            if n - 1 >= index
            for t in range(max(n - 1 - index, 1))
        ],
        "tosam": [{"product_bits": h, "sum_bits": t} for h in (0, 15) for t in range(n)],
        "ssm": [{"segment_bits": m} for m in range(1, n + 1)]
        + [{"segment_bits": m, "middle": q} for m in range(1, n - 1) for q in range(1, n - m)],
        "cssm": [{"segment_bits": m, "terms": u} for m in range(3, n - a.signed) for u in (2, 3) if a == b],
        "loba": [{"variant": v, "kept_bits": k} for v in range(4) for k in range(1, n + 1)],
    }[family]
    return [multipliers.create(family, a, b, **choice) for choice in fields]


@pytest.mark.parametrize("family", ORACLES)
def test_oracle_exhaustively_at_small_widths(family):
    for a, b in [("1u", "1s"), ("2s", "3u"), ("4s", "4s"), ("5u", "2s"), ("5u", "5u"), ("6s", "6s")]:
        for design in choices(family, OperandFormat.parse(a), OperandFormat.parse(b)):
            check_products(design, oracle_of(design))


EIGHT = [
    "mbm8u_t0", "realm8s_m8t2", "tosam8u_h1t4", "ssm8s_m5", "ssm8u_m4q2", "cssm8s_m4u3", "loba8u_v1k3", "loba8u_v3k2",
]  # fmt: skip


def test_oracle_exhaustively_at_8_bits(eight_bit_label):
    design = multipliers.get(eight_bit_label)
    check_products(design, oracle_of(design))


@pytest.mark.parametrize("pair", ["12u 12u", "16u 16u", "16s 16s", "9s 16u", "31u 31u", "32s 32s"])
@pytest.mark.parametrize("family", ORACLES)
def test_oracle_at_operands_of_wide_formats(family, pair, spread):
    for design in spread(choices(family, *map(OperandFormat.parse, pair.split()))):
        check_products(design, oracle_of(design), max_pairs=200)


@pytest.mark.parametrize("family", ORACLES)
def test_contract(family):
    for a, b in [("3u", "3u"), ("5u", "4s"), ("16s", "16s"), ("31u", "31u")]:
        for design in choices(family, OperandFormat.parse(a), OperandFormat.parse(b))[-1:]:
            check_multiplier(design)


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("mbm8u_t7", "dropped_bits"),
        ("mbm32s_t30", "dropped_bits"),
        ("realm8u_m5t0", "segments"),
        ("realm8u_m32t0", "segments"),
        ("realm8u_m16t3", "dropped_bits"),
        ("realm4u_m16t0", "mantissas of at least 4 bits"),
        ("tosam8u_h16t3", "product_bits"),
        ("tosam8u_h0t8", "sum_bits"),
        ("ssm8u_m0", "segment_bits"),
        ("ssm8u_m4q4", "middle"),
        ("ssm8u_m7q1", "no middle segment"),
        ("cssm8x7u_m4u2", "one format"),
        ("cssm4s_m3u2", "at least 4 bits"),
        ("cssm8u_m2u2", "segment_bits"),
        ("cssm8s_m7u2", "segment_bits"),
        ("cssm8u_m4u1", "terms"),
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


def test_each_term_of_the_correction_reduces_the_error():
    errors = [np.abs(multipliers.get(f"{x}").table() - multipliers.get("exact8u").table()).mean()
              for x in ("ssm8u_m5", "cssm8u_m5u2", "cssm8u_m5u3")]  # fmt: skip
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


def test_dsm_is_another_name_of_loba0():
    assert multipliers.get("dsm8s_k4") == multipliers.get("loba8s_v0k4")
    with pytest.raises(ParameterError, match="dsm has no parameter 'v'; it takes k"):
        multipliers.get("dsm8u_v1k4")
