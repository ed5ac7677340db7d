"""Booth designs, rounded weights and the error-tolerant multiplier against slow scalar oracles, bit by bit."""

import numpy as np
import pytest

import multipliers
from multipliers import OperandFormat, ParameterError
from multipliers.metrics import error_metrics
from multipliers.testing import check_multiplier, check_products

# ---------------------------------------------------------------- oracles


def bit(x, i):
    return x // 2**i % 2 if i >= 0 else 0


def rows(y, b):
    return [(2 * i, bit(y, 2 * i + 1), bit(y, 2 * i), bit(y, 2 * i - 1)) for i in range((b.bits + 1) // 2)]


def r4abm(x, y, a, b, e, p):
    total = 0
    for column, b2, b1, b0 in rows(y, b):
        for j in range(a.bits + 1):
            source = bit(x, j) if b1 != b0 else bit(x, j - 1) if b2 != b1 else b2
            dot = 1 if b2 != source else 0
            if column + j < p and j < a.bits:
                dot = 1 if b2 != bit(x, j) and (e == 2 or b1 != b0) else 0
            total += dot * 2 ** (column + j) * (-1 if j == a.bits else 1)
        negate = b2 == 1 and (b1 != b0 if column < p else (b1, b0) != (1, 1))
        total += 2**column if negate else 0
    return total


def bbm(x, y, a, b, k, v):
    total = 0
    for column, b2, b1, b0 in rows(y, b):
        digit = {(0, 0, 0): 0, (0, 0, 1): 1, (0, 1, 0): 1, (0, 1, 1): 2,
                 (1, 0, 0): -2, (1, 0, 1): -1, (1, 1, 0): -1, (1, 1, 1): 0}[b2, b1, b0]  # fmt: skip
        row = digit * x * 2**column
        if k == 0 or digit >= 0:
            total += row // 2**v * 2**v
        else:
            ones_complement = -(-digit * x) - 1
            total += ones_complement * 2**column // 2**v * 2**v
            total += 2**column if column >= v else 0
    return total


def rad(x, y, a, b, k):
    low = y % 2**k
    low -= 2**k if low >= 2 ** (k - 1) else 0
    size, unit = abs(low), 2 ** (k - 5)
    candidates = [0, 2 * unit, 4 * unit, 8 * unit, 16 * unit]
    nearest = max(candidates, key=lambda v: (-abs(v - size), v))
    return x * (y - low + (nearest if low >= 0 else -nearest))


SUPPORTED = {
    1: [0, 1, 2, 4, 8],
    2: [0, 1, 2, 3, 4, 6, 8, 12],
    4: [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14],
}


def quartet(x, y, a, b, n):
    left, width = abs(y), b.bits - b.signed
    result, place, carry = 0, 1, 0
    while width > 0:
        last = width <= 4
        digit = (left if last else left % 16) + carry
        allowed = [v for v in SUPPORTED[n] if v < 2**width] if last else [*SUPPORTED[n], 16]
        digit = max(allowed, key=lambda v: (-abs(v - digit), v))
        carry, digit = divmod(digit, 16)
        result += digit * place
        left, width, place = left // 16, width - 4, place * 16
    return x * (-result if y < 0 else result)


def pnam(x, y, a, b, p, z):
    return x * (y - y % 2**z + p * (2**z - 1))


def cv(x, y, a, b, z):
    return (x - x % 2**z) * y


def etm(x, y, a, b):
    n = a.bits
    u, v = abs(x), abs(y)
    h = 2 ** (n // 2)
    if u < h and v < h:
        product = u * v
    else:
        product, seen = (u // h) * (v // h) * 2**n, False
        for i in reversed(range(n // 2)):
            seen = seen or bit(u, i) == 1 or bit(v, i) == 1
            product += 2 ** (n // 2 + i) if seen else 0
        product += h - 1 if seen else 0
    return -product if (x < 0) is not (y < 0) else product


ORACLES = {
    "r4abm": r4abm,
    "bbm": bbm,
    "rad": rad,
    "asm": quartet,
    "pnam": pnam,
    "cv": cv,
    "etm": etm,
}


def oracle_of(design):
    parsed = multipliers.naming.parse_label(design.name)
    return lambda x, y: ORACLES[parsed.family](x, y, design.a, design.b, **parsed.parameters)


def choices(family, a, b):
    n, m = a.bits, b.bits
    fields = {
        "r4abm": [{"encoder": e, "columns": p} for e in (1, 2) for p in range(n + m)],
        "bbm": [{"kind": k, "vbl": v} for k in (0, 1) for v in range(n + 1)],
        "rad": [{"radix_bits": k} for k in range(5, m + 1)],
        "asm": [{"alphabets": s} for s in (1, 2, 4)],
        "pnam": [{"positive": p, "low_bits": z} for p in (0, 1) for z in range(1, min(3, m) + 1)],
        "cv": [{"low_bits": z} for z in range(n - a.signed + 1)],
        "etm": [{}],
    }[family]
    return [multipliers.create(family, a, b, **choice) for choice in fields]


SMALL = {
    "r4abm": ["1s 2s", "3s 4s", "4s 3s"],
    "bbm": ["1s 2s", "3s 4s", "4s 3s"],
    "rad": ["2s 5s", "4s 7s"],
    "asm": ["1u 2s", "3s 5u", "2s 6s"],
    "pnam": ["1s 1u", "3u 4s", "4s 3u"],
    "cv": ["1s 1u", "3u 4s", "4s 3u"],
    "etm": ["2u 2u", "4s 4s", "4u 4s", "6u 6u"],
}


@pytest.mark.parametrize("family", ORACLES)
def test_oracle_exhaustively_at_small_widths(family):
    for pair in SMALL[family]:
        for design in choices(family, *map(OperandFormat.parse, pair.split())):
            check_products(design, oracle_of(design))


EIGHT = ["r4abm8s_e2p8", "bbm8s_k1v6", "rad8s_k6", "asm8s_n1", "asm8u_n4", "pnam8s_p1z3", "cv8s_z3", "etm8u", "etm8s"]


def test_oracle_exhaustively_at_8_bits(eight_bit_label):
    design = multipliers.get(eight_bit_label)
    check_products(design, oracle_of(design))


@pytest.mark.parametrize("pair", ["12s 12s", "16s 16s", "32s 32s"])
@pytest.mark.parametrize("family", ORACLES)
def test_oracle_at_operands_of_wide_formats(family, pair, spread):
    for design in spread(choices(family, *map(OperandFormat.parse, pair.split()))):
        check_products(design, oracle_of(design), max_pairs=200)


@pytest.mark.parametrize("family", ORACLES)
def test_contract(family):
    for pair in [*SMALL[family], "16s 16s", "32s 32s"]:
        check_multiplier(choices(family, *map(OperandFormat.parse, pair.split()))[-1])


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("r4abm8u_e1p4", "two's-complement"),
        ("r4abm8s_e3p4", "encoder"),
        ("r4abm8s_e1p16", "columns"),
        ("bbm8s_k2v4", "kind"),
        ("bbm8s_k0v9", "vbl"),
        ("rad8s_k4", "radix_bits"),
        ("rad8s_k9", "radix_bits"),
        ("rad4s_k5", "at least 5 bits"),
        ("asm8s_n3", "alphabets"),
        ("asm8ux1s_n1", "magnitude"),
        ("pnam8u_p2z1", "positive"),
        ("pnam8u_p0z4", "low_bits"),
        ("cv8u_z9", "low_bits"),
        ("cv8s_z8", "low_bits"),
        ("etm7u", "even width"),
        ("etm8x6u", "even width"),
        ("etm32u", "do not fit int64"),
    ],
)
def test_parameter_out_of_range_is_named(label, named):
    with pytest.raises(ParameterError, match=named):
        multipliers.get(label)


# ---------------------------------------------------------------- properties and figures


@pytest.mark.parametrize("label", ["r4abm8s_e1p0", "r4abm8s_e2p0", "bbm8s_k0v0", "bbm8s_k1v0"])
def test_booth_without_approximation_is_exact(label):
    assert multipliers.get(label).fingerprint() == multipliers.get("exact8s").fingerprint()


def test_booth_products_of_a_zero_operand():
    for encoder, of_multiplicand, of_multiplier in ((1, 512, False), (2, 684, True)):
        design = multipliers.get(f"r4abm8s_e{encoder}p8")
        assert np.abs(design(0, design.b.values())).max() == of_multiplicand
        assert design(design.a.values(), 0).any() == of_multiplier
    assert multipliers.get("bbm8s_k1v6")(0, np.arange(-128, 128)).any()
    assert not multipliers.get("bbm8s_k0v6")(0, np.arange(-128, 128)).any()


@pytest.mark.parametrize(("n", "mean"), [(1, "20.1"), (2, "6.06"), (4, "0.73")])
def test_mean_error_of_alphabet_set_weights(n, mean):
    w = np.arange(1, 128)
    error = np.abs(multipliers.get(f"asm8s_n{n}")(1, w) - w) / w
    decimals = len(mean.partition(".")[2])
    assert round(100 * error.mean(), decimals) == float(mean)


def test_broken_column_of_booth_is_that_of_the_array():
    assert multipliers.get("bbm8s_k0v1").fingerprint() == multipliers.get("bam8s_h0v1").fingerprint()


def test_pnam_errors_have_one_sign():
    assert error_metrics(multipliers.get("pnam8u_p0z2")).max_error == 0
    assert error_metrics(multipliers.get("pnam8u_p1z2")).min_error == 0


@pytest.mark.parametrize(("k", "mre"), [(6, "0.080"), (8, "0.28"), (10, "0.93")])
def test_mean_relative_error_of_high_radix(k, mre):
    """Exact over all pairs: the relative error depends on b alone."""
    design = multipliers.get(f"rad16s_k{k}")
    b = design.b.values()
    relative = np.abs(design.error(1, b)[b != 0] / b[b != 0])
    assert f"{100 * relative.mean():.{len(mre) - 2}f}" == mre
    if k == 10:
        nmed = np.abs(design.error(1, b)).mean() * np.abs(design.a.values()).mean() / 2**30
        assert f"{nmed:.1e}" == "6.7e-04"
