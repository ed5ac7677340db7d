"""Floating-point formats and multipliers against scalar oracles: `struct`, strings of bits and exact fractions."""

import math
import pickle
import struct
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers import OperandFormat, OperandRangeError, OperandTypeError, ParameterError, TableError, UnknownNameError
from multipliers.floating import FloatFormat, FloatMultiplier, get
from multipliers.multiplier import sample_pairs
from multipliers.readers.mantissa import MantissaTable, read_mantissa
from multipliers.table import TableMultiplier
from multipliers.writers.mantissa import write_mantissa

# ---------------------------------------------------------------- oracles


def fields_of(x, e_bits, f_bits):
    """Sign, exponent field and mantissa of a Python float truncated to a format, from its exact value."""
    sign, bias, top = int(math.copysign(1, x) < 0), 2 ** (e_bits - 1) - 1, 2**e_bits - 1
    if math.isnan(x):
        return 0, top, 2 ** (f_bits - 1)
    if math.isinf(x):
        return sign, top, 0
    if x == 0:
        return sign, 0, 0
    size, exponent = Fraction(abs(x)), 0
    while size >= 2:
        size, exponent = size / 2, exponent + 1
    while size < 1:
        size, exponent = size * 2, exponent - 1
    if exponent + bias <= 0:
        return sign, 0, 0
    if exponent + bias >= top:
        return sign, top - 1, 2**f_bits - 1
    return sign, exponent + bias, floor((size - 1) * 2**f_bits)


def packed(sign, field, mantissa, e_bits, f_bits):
    return sign << (e_bits + f_bits) | field << f_bits | mantissa


def mit(i, j, f_bits):
    total = Fraction(i + j, 2**f_bits)
    return 1 + total if total < 1 else 2 * total


def afm(i, j, f_bits):
    """The steps of ApproxTrain's functional model on a grid of 23 bits, in integers."""
    one, correction = 1 << 23, (1 << 19) + (1 << 17)
    total = ((i | 1) << (23 - f_bits)) + ((j | 1) << (23 - f_bits))
    carry = total >= one
    corrected = total % one + (correction >> carry)
    if carry and corrected >= one:
        corrected = total % one
    return Fraction((one + corrected) << carry, one)


def rtz(i, j, f_bits):
    return (1 + Fraction(i, 2**f_bits)) * (1 + Fraction(j, 2**f_bits))


def cfpu2(i, j, f_bits):
    first = f"{j:0{f_bits}b}"[:2]
    return (1 + Fraction(i, 2**f_bits)) * {"00": 1, "11": 2}.get(first, 1 + Fraction(j, 2**f_bits))


CORES = {"mitchell{n}u": mit, "afm{n}u": afm, "exact{n}u": rtz, "cfpu{n}u_n2": cfpu2}


def product_code(a, b, e_bits, f_bits, core):
    """Product of two codes by the rules stated in the docstring, ``core`` giving the product of significands."""
    bias, top = 2 ** (e_bits - 1) - 1, 2**e_bits - 1
    infinity, nan = packed(0, top, 0, e_bits, f_bits), packed(0, top, 2 ** (f_bits - 1), e_bits, f_bits)
    words = (f"{code:0{1 + e_bits + f_bits}b}" for code in (a, b))
    (sa, ea, i), (sb, eb, j) = ((w[0], int(w[1 : 1 + e_bits], 2), int(w[1 + e_bits :], 2)) for w in words)
    sign = int(sa != sb)
    if (ea == top and i) or (eb == top and j) or (ea == top and eb == 0) or (eb == top and ea == 0):
        return nan
    if top in (ea, eb):
        return packed(sign, top, 0, e_bits, f_bits)
    if ea == 0 or eb == 0 or ea + eb <= bias:
        return 0
    value, exponent = core(i, j, f_bits), ea + eb - bias
    if value == 0:
        return 0
    if value < 0:
        sign, value = 1 - sign, -value
    while value >= 2:
        value, exponent = value / 2, exponent + 1
    while value < 1:
        value, exponent = value * 2, exponent - 1
    if exponent >= top:
        return infinity
    return packed(sign, exponent, floor((value - 1) * 2**f_bits), e_bits, f_bits) if exponent >= 1 else 0


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize("label", ["e2m1", "e3m2", "e4m3", "e5m2", "e5m10", "e8m7"])
def test_codes_round_trip(label):
    form = FloatFormat.parse(label)
    codes = form.codes.values()
    sign, field, mantissa = form.split(codes)
    numbers = form.decode(codes)
    expected = np.where(field == 0, codes & ~((1 << form.mantissa_bits) - 1), codes)
    expected = np.where((field == form.top) & (mantissa != 0), form.nan, expected)
    np.testing.assert_array_equal(form.encode(numbers), expected)
    np.testing.assert_array_equal(form.encode(numbers.astype(np.float64)), expected)
    np.testing.assert_array_equal(np.signbit(numbers[field == 0]), sign[field == 0] == 1)
    finite = field < form.top
    size = np.where(field == 0, 0, np.ldexp(1 + mantissa / 2**form.mantissa_bits, field - form.bias))
    np.testing.assert_array_equal(np.abs(numbers[finite]), size[finite])
    assert (form.smallest, form.largest) == (size[size > 0].min(), size[finite].max())


def test_float32_is_itself_but_for_subnormal_numbers():
    words, _ = sample_pairs(OperandFormat(32), OperandFormat(32), 1 << 16)
    numbers = words.astype(np.uint32).view(np.float32)
    normal = np.isfinite(numbers) & (np.abs(numbers) >= np.finfo(np.float32).tiny)
    form = FloatFormat.parse("float32")
    np.testing.assert_array_equal(form.encode(numbers[normal]), words[normal])
    np.testing.assert_array_equal(form.decode(words[normal]), numbers[normal])


@settings(max_examples=300)
@given(x=st.floats(), label=st.sampled_from(["e2m1", "e4m3", "e5m10", "e6m9", "e8m7", "e8m23"]))
def test_encoding_truncates_towards_zero(x, label):
    form = FloatFormat.parse(label)
    sizes = (form.exponent_bits, form.mantissa_bits)
    assert int(form.encode(x)) == packed(*fields_of(x, *sizes), *sizes)


def test_wider_numbers_are_cut_directly_and_of_any_byte_order():
    """Rounded to float32 on the way, the first would become 2."""
    form = FloatFormat(8, 7)
    just_below = np.array([math.nextafter(2, 0), -math.nextafter(1, 0)])
    np.testing.assert_array_equal(form.truncate(just_below), [2 - 2.0**-7, -(1 - 2.0**-8)])
    np.testing.assert_array_equal(form.encode(just_below.astype(">f8")), form.encode(just_below))
    np.testing.assert_array_equal(form.truncate(np.float16([1.5, 6e-8])), np.float32([1.5, np.float16(6e-8)]))


def test_names_and_labels_of_formats():
    assert FloatFormat.parse("float16") == FloatFormat.parse("e5m10") == FloatFormat(5, 10)
    assert str(FloatFormat.parse("tf32")) == "e8m10"
    with pytest.raises(UnknownNameError, match="did you mean 'bfloat16'"):
        FloatFormat.parse("bfloat")
    for fields, named in [((1, 3), "exponent_bits"), ((9, 3), "exponent_bits"), ((5, 0), "mantissa"), ((5, 24), "24")]:
        with pytest.raises(ParameterError, match=named):
            FloatFormat(*fields)
    for wrong in (1.5, True):
        with pytest.raises(ParameterError, match="must be an integer"):
            FloatFormat(8, wrong)


# ---------------------------------------------------------------- products


@pytest.mark.parametrize("f_bits", [2, 3, 5, 7])
@pytest.mark.parametrize("core", CORES)
def test_products_of_all_mantissas(core, f_bits):
    m = get(f"e8m{f_bits}_" + core.format(n=f_bits + 1))
    mantissas = OperandFormat(f_bits).values()
    codes = 127 << f_bits | mantissas
    pairs = [(int(a), int(b)) for a in codes for b in codes]
    expected = [product_code(a, b, 8, f_bits, CORES[core]) for a, b in pairs]
    products = m.multiply_codes(codes[:, None], codes)
    np.testing.assert_array_equal(products.ravel(), expected)
    np.testing.assert_array_equal(m.format.decode(products), m.mantissa_product(mantissas[:, None], mantissas))


@pytest.mark.parametrize(("e_bits", "f_bits"), [(2, 2), (3, 3), (4, 2)])
@pytest.mark.parametrize("core", CORES)
def test_products_of_all_codes_of_a_small_format(core, e_bits, f_bits):
    """Signs, zeros, subnormal codes, overflow, underflow, infinities and NaN."""
    m = get(f"e{e_bits}m{f_bits}_" + core.format(n=f_bits + 1))
    codes = m.format.codes.values()
    expected = [[product_code(a, b, e_bits, f_bits, CORES[core]) for b in codes.tolist()] for a in codes.tolist()]
    np.testing.assert_array_equal(m.multiply_codes(codes[:, None], codes), expected)


@pytest.mark.parametrize("name", ["noise", "realm4u_m4t0", "drum4u_k3", "bam4u_h2v5", "trunc4u_t3"])
def test_any_core_is_normalised(name):
    """Products of 0, of more than a carry, below 1, and negative ones."""
    rng = np.random.default_rng(3)
    noise = TableMultiplier(rng.integers(-4, 4, (16, 16)) ** rng.integers(1, 5, (16, 16)) * 9, "4u", name="noise")
    core = noise if name == "noise" else multipliers.get(name)
    m = FloatMultiplier(FloatFormat(3, 3), core)
    table = core.table().tolist()

    def value(i, j, f_bits):
        return Fraction(table[8 + i][8 + j], 64)

    codes = m.format.codes.values()
    expected = [[product_code(a, b, 3, 3, value) for b in codes.tolist()] for a in codes.tolist()]
    np.testing.assert_array_equal(m.multiply_codes(codes[:, None], codes), expected)


def simulator(x, y, table, f_bits):
    """ApproxTrain's simulator of float32 operands with a mantissa table: words in, word out."""
    (a,), (b,) = (struct.unpack("<I", struct.pack("<f", v)) for v in (x, y))
    code = table[(a & 0x7FFFFF) >> (23 - f_bits)][(b & 0x7FFFFF) >> (23 - f_bits)]
    total = (a >> 23 & 0xFF) + (b >> 23 & 0xFF)
    if total <= 127 or not a & 0x7F800000 or not b & 0x7F800000:
        return 0.0
    if total >= 384:
        return math.inf
    word = ((a ^ b) & 0x80000000) + ((total - 127 + (code >> 7)) << 23) + ((code & 0x7F) << (23 - f_bits))
    return struct.unpack("<f", struct.pack("<I", word & 0xFFFFFFFF))[0]


TABLES = {f_bits: get(f"e8m{f_bits}_afm{f_bits + 1}u").mantissa_table().codes.tolist() for f_bits in (3, 7)}


@pytest.mark.parametrize("f_bits", TABLES)
@settings(max_examples=300)
@given(data=st.data())
def test_published_simulator(f_bits, data):
    """Equal but where the simulator's exponent overflows into the sign bit, where this one returns infinity."""
    e = data.draw(st.integers(-127, 127))
    near_an_end = (st.integers(end - 3 - e, end + 3 - e) for end in (-127, 128))
    other = st.one_of(st.integers(-127, 127), *near_an_end).filter(lambda v: abs(v) <= 127)
    exponents = e, data.draw(other)
    x, y = (math.ldexp(data.draw(st.floats(-2, 2, width=32).filter(lambda v: abs(v) < 2)), e) for e in exponents)
    m = get(f"e8m{f_bits}_afm{f_bits + 1}u")
    product = float(m(np.float32(x), np.float32(y)))
    total = sum(struct.unpack("<I", struct.pack("<f", v))[0] >> 23 & 0xFF for v in (x, y))
    published = simulator(x, y, TABLES[f_bits], f_bits)
    if 381 <= total < 384 and product == math.inf:
        assert not math.isfinite(published) or abs(published) < 1e-30
    else:
        assert struct.pack("<f", product) == struct.pack("<f", published)


FINITE = st.floats(min_value=2.0**-20, max_value=2.0**20, width=32)
LABELS = ["e8m7_mitchell8u", "e8m7_afm8u", "e8m7_exact8u", "e8m23_mbm24u_t0", "e8m7_cfpu8u_n3", "e8m5_bam6u_h1v3"]


@given(label=st.sampled_from(LABELS), x=FINITE, y=FINITE, i=st.integers(-20, 20), j=st.integers(-20, 20))
def test_signs_and_powers_of_two_pass_through(label, x, y, i, j):
    m = get(label)
    product = float(m(x, y))
    assert float(m(-x, y)) == float(m(x, -y)) == -product
    assert float(m(-x, -y)) == product
    assert float(m(math.ldexp(x, i), math.ldexp(y, j))) == math.ldexp(product, i + j)


@given(label=st.sampled_from(LABELS[:4]), x=st.floats(allow_nan=False), y=st.floats(allow_nan=False))
def test_symmetric_cores_commute(label, x, y):
    m = get(label)
    np.testing.assert_array_equal(m(x, y), m(y, x))


@settings(max_examples=200)
@given(x=FINITE, y=FINITE)
def test_truncated_product_is_the_largest_number_not_above(x, y):
    product = Fraction(float(get("e8m7_exact8u")(x, y)))
    exact = Fraction(float(FloatFormat(8, 7).truncate(x))) * Fraction(float(FloatFormat(8, 7).truncate(y)))
    assert product <= exact < product * Fraction(129, 128)


def test_special_operands():
    m = get("bfloat16_afm8u")
    inf, nan = math.inf, math.nan
    x = np.array([nan, inf, inf, inf, -inf, -inf, 0.0, -3.0, 1e-39, 1e38, -1e38, 1e-30, -0.0])
    y = np.array([1.0, nan, 0.0, 2.0, 3.0, -inf, -inf, -0.0, 1e38, 1e38, 1e38, -1e-30, 5.0])
    products = m(x, y)
    np.testing.assert_array_equal(products, [nan, nan, nan, inf, -inf, inf, nan, 0, 0, inf, inf, 0, 0])
    assert not np.signbit(products[products == 0]).any()
    assert products.dtype == np.float32
    assert m.name == "e8m7_afm8u"


def test_operands_broadcast_and_are_checked():
    m = get("e8m7_mitchell8u")
    x = np.linspace(-4, 4, 7, dtype=np.float32)
    grid = m(x[:, None], x)
    assert grid.shape == (7, 7)
    assert all(grid[i, j] == m(float(x[i]), float(x[j])) for i in range(7) for j in range(7))
    assert m(np.zeros((0, 3)), 1.0).shape == (0, 3)
    for wrong in (1, True, "1", 1j, np.longdouble(1), None):
        with pytest.raises(OperandTypeError, match="float32"):
            m(wrong, 1.0)
    with pytest.raises(OperandRangeError, match="operand b: 65536"):
        m.multiply_codes(0, 65536)
    with pytest.raises(OperandRangeError, match="operand j: 128"):
        m.mantissa_product(0, 128)


# ---------------------------------------------------------------- identity


@pytest.mark.parametrize("label", [*LABELS, "e5m10_drum11u_k6"])
def test_label_repr_and_copies(label):
    m = get(label)
    assert (m.name, get(m.name), hash(get(label))) == (label, m, hash(m))
    assert pickle.loads(pickle.dumps(m)) == m  # noqa: S301 - bytes of our own
    assert m.sample_fingerprint() == get(label).sample_fingerprint() != get("e4m3_exact4u").sample_fingerprint()
    with pytest.raises(AttributeError):
        m.format = FloatFormat(8, 7)


@pytest.mark.parametrize(
    ("label", "error", "message"),
    [
        ("mitchell8u", ParameterError, "<format>_<multiplier>"),
        ("e8m6_mitchell8u", ParameterError, "significands of e8m6 are 7u.*mitchell8u multiplies 8u x 8u"),
        ("e8m7_mitchell8s", ParameterError, "are 8u"),
        ("e8m7_mitchell8x7u", ParameterError, "are 8u"),
        ("e8m7_mitchel8u", UnknownNameError, "did you mean 'mitchell'"),
        ("e9m7_mitchell8u", ParameterError, "exponent_bits"),
        ("float8_mitchell8u", UnknownNameError, "float"),
    ],
)
def test_wrong_labels(label, error, message):
    with pytest.raises(error, match=message):
        get(label)


# ---------------------------------------------------------------- mantissa tables


@pytest.mark.parametrize("f_bits", range(1, 8))
@pytest.mark.parametrize("core", ["mitchell{n}u", "afm{n}u"])
def test_table_of_the_products_is_the_core(core, f_bits, tmp_path):
    """A table extended to all integers is the design: its products depend on the mantissas alone."""
    m = get(f"e8m{f_bits}_" + core.format(n=f_bits + 1))
    path = write_mantissa(m.mantissa_table(), tmp_path / f"table_{f_bits}.bin")
    read = FloatMultiplier.from_table(read_mantissa(path))
    assert read.significand.fingerprint() == m.significand.fingerprint()
    assert read.sample_fingerprint() == m.sample_fingerprint()


@pytest.mark.parametrize("f_bits", range(1, 8))
def test_table_of_the_exact_products(f_bits):
    m = get(f"e8m{f_bits}_exact{f_bits + 1}u")
    assert m.mantissa_table() == MantissaTable.exact(f_bits)
    read = FloatMultiplier.from_table(MantissaTable.exact(f_bits), 5)
    assert read.format == FloatFormat(5, f_bits)
    assert read.mantissa_table() == m.mantissa_table()


@pytest.mark.parametrize("worst", [1 << 53, -(1 << 53), -(1 << 63)])
def test_cores_of_absurd_products_are_refused(worst):
    m = FloatMultiplier(FloatFormat(8, 1), TableMultiplier(np.full((4, 4), worst), "2u", name="huge"))
    with pytest.raises(ParameterError, match=f"huge multiplies significands of e8m1 to {abs(worst)}"):
        m(1.0, 1.0)


def test_published_table_of_three_bits():
    """The highest row and column of ApproxTrain's MBM_3.bin, and its first row."""
    codes = get("e8m3_afm4u").mantissa_table().codes
    assert codes[7].tolist() == codes[:, 7].tolist() == [0x80, 0x80, 0x82, 0x82, 0x84, 0x84, 0x86, 0x86]
    assert codes[0].tolist() == [2, 2, 4, 4, 6, 6, 0x80, 0x80]


def test_noise_is_its_own_table():
    rng = np.random.default_rng(5)
    table = MantissaTable(rng.integers(0, 8, (8, 8)) | rng.integers(0, 2, (8, 8)) << 7, "noise")
    assert FloatMultiplier.from_table(table).mantissa_table() == table
    core = table.significand_multiplier()
    assert core.name == "noise"
    products = core.table()
    assert not products[0].any()
    assert not products[:, 0].any()
    np.testing.assert_array_equal(products[2, 8:], products[8, 8:] // 4)


def test_products_that_no_table_holds():
    with pytest.raises(ParameterError, match="e8m10_exact11u has 10"):
        get("e8m10_exact11u").mantissa_table()
    with pytest.raises(TableError, match=r"mantissas 0 and 0 to 0\.5"):
        FloatMultiplier(FloatFormat(8, 1), TableMultiplier(np.full((4, 4), 2), "2u")).mantissa_table()
