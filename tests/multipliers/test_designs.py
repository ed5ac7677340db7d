"""Every design against a slow scalar oracle in plain Python that shares no code with it, and the whole contract."""

import functools
import itertools
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, ParameterError, UnknownNameError
from multipliers.testing import check_multiplier, check_products

# ---------------------------------------------------------------- oracles: integers, digits and bit loops only


def bits_of(x, width):
    """Two's-complement bits of x, least significant first."""
    return [(x // 2**i) % 2 for i in range(width)]


def weights_of(form):
    weights = [2**i for i in range(form.bits)]
    if form.signed:
        weights[-1] = -weights[-1]
    return weights


def by_dots(kept):
    """Multiplier that adds the weighted partial-product dots (i, j) for which kept(i, j, **parameters)."""

    def oracle(x, y, a, b, **parameters):
        dots = itertools.product(enumerate(bits_of(x, a.bits)), enumerate(bits_of(y, b.bits)))
        wa, wb = weights_of(a), weights_of(b)
        return sum(wa[i] * wb[j] for (i, p), (j, q) in dots if p and q and kept(i, j, **parameters))

    return oracle


def by_magnitude(core):
    def oracle(x, y, a, b, **parameters):
        product = core(-x if x < 0 else x, -y if y < 0 else y, **parameters)
        return -product if (x < 0) is not (y < 0) else product

    return oracle


@functools.cache
def kulkarni(x, y, width=32):
    """The published recursion on power-of-two widths."""
    if width == 2:
        return 7 if x == y == 3 else x * y
    half = width // 2
    xh, xl, yh, yl = x // 2**half, x % 2**half, y // 2**half, y % 2**half
    return (
        kulkarni(xh, yh, half) * 4**half
        + (kulkarni(xh, yl, half) + kulkarni(xl, yh, half)) * 2**half
        + kulkarni(xl, yl, half)
    )


def drum(x, y, k):
    def segment(value):
        binary = f"{value:b}"
        if len(binary) <= k:
            return value
        return int(binary[: k - 1] + "1" + "0" * (len(binary) - k), 2)

    return segment(x) * segment(y)


def mitchell(x, y):
    if x == 0 or y == 0:
        return 0
    kx, ky = len(f"{x:b}") - 1, len(f"{y:b}") - 1
    scale = 64  # mantissas in units of 2**-64: exact
    mantissa = (x - 2**kx) * 2 ** (scale - kx) + (y - 2**ky) * 2 ** (scale - ky)
    carry, fraction = divmod(mantissa, 2**scale)
    product, remainder = divmod((2**scale + fraction) * 2 ** (kx + ky + carry), 2**scale)
    assert remainder == 0
    return product


def mitchell_w(x, y, w):
    """The published form: w - 1 truncated fraction bits, and a floor."""
    if x == 0 or y == 0:
        return 0
    f = w - 1
    kx, ky = len(f"{x:b}") - 1, len(f"{y:b}") - 1
    s = (x - 2**kx) * 2**f // 2**kx + (y - 2**ky) * 2**f // 2**ky
    if s < 2**f:
        return (2 ** (kx + ky) * (2**f + s)) // 2**f
    return (2 ** (kx + ky + 1) * s) // 2**f


def mitchw(x, y, a, b, w, c=None):
    if c != 1:
        return by_magnitude(mitchell_w)(x, y, a, b, w=w)
    if x == 0 or y == 0:
        return 0
    mx, my = (-v - 1 if v < 0 else v for v in (x, y))
    product = mitchell_w(mx or 1, my or 1, w)
    return -product - 1 if (x < 0) is not (y < 0) else product


ORACLES = {
    "exact": lambda x, y, a, b: x * y,
    "trunc": by_dots(lambda i, row, t: i >= t and row >= t),
    "bam": by_dots(lambda i, row, h, v: row >= h and i + row >= v),
    "ppp": by_dots(lambda i, row, j, k: not j <= row < j + k),
    "udm": by_magnitude(kulkarni),
    "drum": by_magnitude(drum),
    "mitchell": by_magnitude(mitchell),
    "mitchw": mitchw,
}


def oracle_of(design):
    parsed = multipliers.naming.parse_label(design.name)
    oracle = ORACLES[parsed.family]
    return lambda x, y: oracle(x, y, design.a, design.b, **parsed.parameters)


def label_choices(family, a, b):
    """Every parameter combination of a family that its definition allows, as keyword fields."""
    n, m = a.bits, b.bits
    rows = m - 1 if b.signed else m
    signed = a.signed or b.signed
    columns = min([n + m - 2] + [x.bits - 1 for x in (a, b) if x.signed])
    yield from {
        "exact": lambda: [{}],
        "udm": lambda: [{}],
        "mitchell": lambda: [{}],
        "trunc": lambda: [{"low_bits": t} for t in range(min(n, m))],
        "bam": lambda: [{"hbl": h, "vbl": v} for h in range(m) for v in range(columns + 1)],
        "ppp": lambda: [{"first_row": j, "n_rows": k} for j in range(rows + 1) for k in range(rows - j + 1)],
        "drum": lambda: [{"kept_bits": k} for k in range(1, max(n, m) + 1)],
        "mitchw": lambda: [
            {"kept_bits": w, "complement": c} for w in range(1, max(n, m) + 1) for c in ((1, 2) if signed else (None,))
        ],
    }[family]()


FAMILIES = sorted(ORACLES)
SMALL = [
    (OperandFormat(n, s), OperandFormat(m, t))
    for n, m in [(1, 1), (2, 2), (1, 3), (3, 2), (4, 4), (5, 3), (2, 6)]
    for s in (False, True)
    for t in (False, True)
]


def designs_of(family, a, b):
    return [multipliers.create(family, a, b, **fields) for fields in label_choices(family, a, b)]


def test_every_registered_family_is_compared_with_an_oracle():
    files = set(Path(__file__).parent.glob("test_*designs*.py")) - {
        Path(__file__).with_name("test_designs_published.py")
    }
    tests = "".join(file.read_text() for file in files)
    assert [family for family in multipliers.families() if not re.search(rf'"{family}["0-9]', tests)] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_oracle_exhaustively_at_small_widths(family):
    for a, b in SMALL:
        for design in designs_of(family, a, b):
            check_products(design, oracle_of(design))


EIGHT = [
    "trunc8u_t3", "bam8s_h0v7", "ppp8s_j0k5", "udm8u", "udm7u", "drum8u_k4", "drum8s_k3", "mitchell8u", "mitchell8s",
    "mitchw8u_w4", "mitchw8s_w4c1", "mitchw8s_w6c2", "drum8x5u_k4", "bam8sx5u_h1v4", "mitchw8ux6s_w4c1",
]  # fmt: skip


def test_oracle_exhaustively_at_8_bits(eight_bit_label):
    design = multipliers.get(eight_bit_label)
    check_products(design, oracle_of(design))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_oracle_at_operands_of_wide_formats(family, data):
    signed = data.draw(st.tuples(st.booleans(), st.booleans()))
    bits = data.draw(st.sampled_from([(12, 12), (16, 16), (9, 16), (16, 7), (13, 11), (31, 31), (20, 32)]))
    a, b = (OperandFormat(n, s) for n, s in zip(bits, signed, strict=True))
    design = multipliers.create(family, a, b, **data.draw(st.sampled_from(list(label_choices(family, a, b)))))
    check_products(design, oracle_of(design), max_pairs=40)


# ---------------------------------------------------------------- the contract

CONTRACT_FORMATS = ["1u", "1s", "2u", "2s", "3u", "3s", "5u", "8s"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("a", "b"),
    [(x, x) for x in CONTRACT_FORMATS] + [("1u", "4s"), ("3s", "2u"), ("8u", "3u"), ("4s", "6s"), ("16s", "16s")],
)
def test_contract(family, a, b):
    choices = designs_of(family, OperandFormat.parse(a), OperandFormat.parse(b))
    for design in {choices[0], choices[len(choices) // 2], choices[-1]}:
        check_multiplier(design)


@pytest.mark.parametrize("label", ["exact32sx31u", "drum32s_k6", "mitchell31ux32u", "mitchw32s_w6c1", "udm32s"])
def test_contract_at_the_widest_formats(label):
    check_multiplier(multipliers.get(label))


@pytest.mark.parametrize("label", [label for label in EIGHT if "x" not in label])
def test_table_is_fast(label):
    design = multipliers.get(label)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        design.table()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1  # a few milliseconds on an idle machine


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("trunc8u_t8", "low_bits"),
        ("trunc8x3u_t3", "low_bits"),
        ("bam8u_h8v0", "hbl"),
        ("bam8u_h0v15", "vbl"),
        ("bam8s_h0v8", "vbl"),
        ("bam8ux4s_h0v4", "vbl"),
        ("ppp8u_j9k0", "first_row"),
        ("ppp8u_j4k5", "n_rows"),
        ("ppp8s_j4k4", "n_rows"),
        ("drum8u_k0", "kept_bits"),
        ("drum8u_k9", "kept_bits"),
        ("mitchw8u_w0", "kept_bits"),
        ("mitchw8s_w9c1", "kept_bits"),
        ("mitchw8s_w4c3", "complement"),
        ("mitchw8s_w4c0", "complement"),
        ("mitchw8s_w4", "complement"),
        ("mitchw8u_w4c1", "complement"),
        ("mitchw8u_w4c2", "complement"),
    ],
)
def test_parameter_out_of_range_is_named(label, named):
    with pytest.raises(ParameterError, match=named):
        multipliers.get(label)


@pytest.mark.parametrize("value", [True, 4.0, "4", None, np.int64(4)])
def test_parameters_are_python_integers(value):
    with pytest.raises(ParameterError, match="kept_bits"):
        multipliers.create("drum", OperandFormat(8), OperandFormat(8), kept_bits=value)


@pytest.mark.parametrize("label", ["exact32u", "mitchell32u", "udm32u", "trunc32u_t3", "bam32u_h0v0", "ppp32u_j0k1"])
def test_products_beyond_int64_are_refused(label):
    with pytest.raises(ParameterError, match="do not fit int64"):
        multipliers.get(label)


def test_drum_refuses_what_its_rounding_up_takes_beyond_int64():
    with pytest.raises(ParameterError, match="do not fit int64"):
        multipliers.get("drum32s_k2")  # 2**31 becomes 1.5 * 2**31
    assert int(multipliers.get("drum32s_k3")(-(2**31), -(2**31))) == (5 * 2**29) ** 2


def test_label_prints_the_sign_rule_only_where_an_operand_is_signed():
    assert multipliers.get("mitchw8u_w4").name == "mitchw8u_w4"
    assert multipliers.get("mitchw8sx8u_w4c2").name == "mitchw8sx8u_w4c2"
    assert multipliers.get("mitchw8u_w4").complement is None


def test_unknown_family_and_parameter_are_explained():
    with pytest.raises(UnknownNameError, match="did you mean 'drum'"):
        multipliers.get("drun8u_k4")
    with pytest.raises(ParameterError, match="'z'; it takes k"):
        multipliers.get("drum8u_z4")


# ---------------------------------------------------------------- properties stated in the docstrings


@pytest.mark.parametrize("label", ["udm8u", "drum8u_k3", "mitchell8u", "mitchw8u_w4", "trunc8u_t2", "bam8u_h0v5"])
def test_commutative_and_zero_preserving(label):
    table = multipliers.get(label).table()
    np.testing.assert_array_equal(table, table.T)
    assert not table[0].any()


@pytest.mark.parametrize("label", ["udm8s", "drum8s_k3", "mitchell8s", "mitchw8s_w4c2"])
def test_magnitude_rule_is_odd(label):
    design = multipliers.get(label)
    x = np.arange(-127, 128)
    np.testing.assert_array_equal(design(-x[:, None], x), -design(x[:, None], x))


def test_mitchell_error_range_and_exactness_at_powers_of_two():
    design = multipliers.get("mitchell10u")
    x = np.arange(1, 1024)
    relative = design.error(x[:, None], x) / (x[:, None] * x)
    assert relative.max() == 0
    assert relative.min() == pytest.approx(-1 / 9)
    powers = 2 ** np.arange(10)
    np.testing.assert_array_equal(design(powers[:, None], x), powers[:, None] * x)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_drum_error_range(k):
    design = multipliers.get(f"drum10u_k{k}")
    x = np.arange(1, 1024)
    relative = design.error(x[:, None], x) / (x[:, None] * x)
    assert relative.max() == pytest.approx((1 + 2.0 ** -(k - 1)) ** 2 - 1)
    q = 2 ** (k - 1)
    assert ((q + 1) / (q + 2)) ** 2 - 1 < relative.min()
    assert relative.min() < ((q + 1) / (q + 1.95)) ** 2 - 1


@pytest.mark.parametrize("w", [2, 4, 6])
def test_mitchw_error_range(w):
    design = multipliers.get(f"mitchw10u_w{w}")
    x = np.arange(1, 1024)
    relative = design.error(x[:, None], x) / (x[:, None] * x)
    assert relative.max() == 0
    assert relative.min() > 8 / 9 * (1 + 2.0 ** (1 - w)) ** -2 - 1
    small = np.arange(2**w)
    np.testing.assert_array_equal(design(small[:, None], small), multipliers.get("mitchell10u")(small[:, None], small))


@pytest.mark.parametrize("v", range(8))
def test_bam_worst_case_is_the_sum_of_the_omitted_dots(v):
    for sign in "us":
        error = multipliers.get(f"bam8{sign}_h0v{v}").table() - multipliers.get(f"exact8{sign}").table()
        assert error.max() == 0
        assert error.min() == -((v - 1) * 2**v + 1)


@pytest.mark.parametrize("t", range(8))
def test_truncation_worst_case(t):
    design = multipliers.get(f"trunc8x9u_t{t}")
    error = design.table() - multipliers.get("exact8x9u").table()
    assert -error.min() == (2**t - 1) * (2**8 + 2**9 - 2**t - 1)


@pytest.mark.parametrize(("j", "k"), [(0, 1), (0, 3), (2, 2), (5, 3)])
def test_ppp_nmed(j, k):
    error = multipliers.get(f"ppp8u_j{j}k{k}").table() - multipliers.get("exact8u").table()
    assert np.abs(error).mean() / 255**2 == pytest.approx(2**j * (2**k - 1) / (4 * 255))


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_udm_nmed_is_one_72nd_at_every_even_width(bits):
    error = multipliers.get(f"udm{bits}u").table() - multipliers.get(f"exact{bits}u").table()
    assert np.abs(error).mean() / (2**bits - 1) ** 2 == pytest.approx(1 / 72)
    x = np.arange(1, 2**bits)
    assert (error[1:, 1:] / (x[:, None] * x)).min() == pytest.approx(-2 / 9)
