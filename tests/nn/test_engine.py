"""Every engine against a lane-by-lane sum over the table."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
import surrogate
from multipliers import OperandFormat, TableMultiplier
from surrogate import ExactnessError
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term
from surrogate.nn import ConversionError
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.products import int8 as int8_products
from surrogate.nn.products.precision import full_precision


def random_table(a, b, rank=None, seed=0, largest=40):
    generator = np.random.default_rng(seed)
    a, b = OperandFormat.parse(a), OperandFormat.parse(b)
    if rank is None:
        table = generator.integers(-(1 << 15), 1 << 15, size=(a.size, b.size))
    else:
        left = generator.integers(-largest, largest, size=(a.size, rank))
        right = generator.integers(-largest, largest, size=(rank, b.size))
        table = left @ right
    table[-a.minimum, -b.minimum] += 17  # f(0, 0) != 0
    return TableMultiplier(table, a, b, name="random")


def expected_sums(table, x, w, convolution):
    """``x`` (n, h, w, c) and ``w`` (out, kh, kw, c / groups) are indices; one past the end of ``x`` is skipped."""
    table = np.vstack([table, np.zeros((1, table.shape[1]), dtype=np.int64)])
    n, height, width, _ = x.shape
    out, kernel_h, kernel_w, per_group = w.shape
    out_h, out_w = convolution.output_size(height, width)
    result = np.zeros((n, out_h, out_w, out), dtype=np.int64)
    rows, columns = (np.arange(size) * step for size, step in zip((out_h, out_w), convolution.stride, strict=True))
    for c, p, q, k in itertools.product(range(out), range(kernel_h), range(kernel_w), range(per_group)):
        first = c // (out // convolution.groups) * per_group
        row, column = rows[:, None] + p * convolution.dilation[0], columns + q * convolution.dilation[1]
        result[..., c] += table[x[:, row, column, first + k], w[c, p, q, k]]
    return result


GEOMETRIES = {
    "pointwise": ((5, 1, 1, 7), (6, 1, 1, 7), Convolution((1, 1))),
    "many rows": ((300, 1, 1, 9), (5, 1, 1, 9), Convolution((1, 1))),
    "plain": ((2, 6, 5, 3), (4, 3, 2, 3), Convolution((3, 2))),
    "strided dilated": ((3, 9, 8, 4), (5, 3, 2, 4), Convolution((3, 2), (2, 1), (1, 2))),
    "grouped": ((2, 7, 7, 6), (4, 3, 3, 3), Convolution((3, 3), (1, 2), (2, 1), groups=2)),
    "depthwise": ((2, 20, 20, 6), (6, 3, 3, 1), Convolution((3, 3), groups=6)),
    "depthwise multiplied": ((2, 5, 5, 3), (6, 2, 2, 1), Convolution((2, 2), groups=3)),
    "one image": ((1, 3, 3, 1), (1, 3, 3, 1), Convolution((3, 3))),
}

FORMATS = [("8s", "8s"), ("8u", "8u"), ("8u", "4u"), ("7u", "7u"), ("8s", "4u"), ("3u", "8s")]


def operands(shape_x, shape_w, size_x, size_w, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, size_x + 1, shape_x, generator=generator, dtype=torch.int32)
    return x, torch.randint(0, size_w, shape_w, generator=generator)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
@pytest.mark.parametrize("role", ["a", "b"])
def test_table_engine_on_random_tables(geometry, formats, role):
    shape_x, shape_w, convolution = GEOMETRIES[geometry]
    multiplier = random_table(*formats)
    table = multiplier.table() if role == "a" else multiplier.table().T
    x, w = operands(shape_x, shape_w, *table.shape)
    engine = TableEngine(multiplier, role)
    sums = engine.sums(x, engine.prepare(w, convolution.groups), convolution)
    assert engine.exact
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(table, x, w, convolution))


@pytest.mark.parametrize("arithmetic", ["auto", "int8", "float32", "float64"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
@pytest.mark.parametrize("role", ["a", "b"])
def test_surrogate_engine_on_random_low_rank_tables(arithmetic, geometry, formats, role):
    shape_x, shape_w, convolution = GEOMETRIES[geometry]
    rank = 3 if role == "a" else 5
    multiplier = random_table(*formats, rank=rank)
    model = low_rank_surrogate(multiplier, rank)
    assert model.is_exact
    table = multiplier.table() if role == "a" else multiplier.table().T
    x, w = operands(shape_x, shape_w, *table.shape)
    engine = SurrogateEngine(model, role, arithmetic)
    sums = engine.sums(x, engine.prepare(w, convolution.groups), convolution)
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(table, x, w, convolution))


def low_rank_surrogate(multiplier, rank):
    """The planted factors of `random_table`, with its point change, so that they fit int8."""
    generator = np.random.default_rng(0)
    left = generator.integers(-40, 40, size=(multiplier.a.size, rank))
    right = generator.integers(-40, 40, size=(rank, multiplier.b.size))
    point_a = np.arange(multiplier.a.size) == -multiplier.a.minimum
    point_b = np.arange(multiplier.b.size) == -multiplier.b.minimum
    tables = [*zip(left.T, right, strict=True), (17 * point_a.astype(np.int64), point_b.astype(np.int64))]
    terms = [Term(1, surrogate.basis.Table(multiplier.a, g), surrogate.basis.Table(multiplier.b, h)) for g, h in tables]
    model = Surrogate(terms, MultiplierReference.of(multiplier), Provenance("planted"))
    return surrogate.certify(model, multiplier)


@pytest.mark.parametrize("arithmetic", ["auto", "float32", "float64"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("parts", ["a", "b", "constant", "all"])
@pytest.mark.parametrize("role", ["a", "b"])
def test_terms_with_a_constant_factor(arithmetic, geometry, parts, role):
    shape_x, shape_w, convolution = GEOMETRIES[geometry]
    a, b = OperandFormat.parse("5s"), OperandFormat.parse("6u")
    generator = np.random.default_rng(3)
    left, right = generator.integers(-40, 40, size=(a.size, 2)), generator.integers(-40, 40, size=(b.size, 2))
    of_a, of_b = generator.integers(-1000, 1000, size=a.size), generator.integers(-1000, 1000, size=b.size)
    one, table = surrogate.basis.Constant(), surrogate.basis.Table
    terms = [Term(1, table(a, g), table(b, h)) for g, h in zip(left.T, right.T, strict=True)]
    products = left @ right.T
    if parts in ("a", "all"):
        terms.append(Term(3, table(a, of_a), one))
        products = products + 3 * of_a[:, None]
    if parts in ("b", "all"):
        terms.append(Term(1, one, table(b, of_b)))
        products = products + of_b
    if parts in ("constant", "all"):
        terms.append(Term(-77, one, one))
        products = products - 77
    multiplier = TableMultiplier(products, a, b, name="additive")
    model = Surrogate(terms, MultiplierReference.of(multiplier), Provenance("planted"))
    model = surrogate.certify(model, multiplier)
    assert model.is_exact
    assert model.n_products == 2
    expected = products if role == "a" else products.T
    x, w = operands(shape_x, shape_w, *expected.shape)
    engine = SurrogateEngine(model, role, arithmetic)
    sums = engine.sums(x, engine.prepare(w, convolution.groups), convolution)
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(expected, x, w, convolution))
    x = x.clamp(max=len(expected) - 1)  # no lane is skipped
    sums = engine.sums(x, engine.prepare(w, convolution.groups), convolution)
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(expected, x, w, convolution))


def test_a_model_of_additive_terms_alone():
    form = OperandFormat(3)
    products = np.add.outer(np.arange(8) ** 2, -3 * np.arange(8))
    multiplier = TableMultiplier(products, form)
    one, table = surrogate.basis.Constant(), surrogate.basis.Table
    terms = [Term(1, table(form, np.arange(8) ** 2), one), Term(-3, one, surrogate.basis.Identity())]
    reference = MultiplierReference.of(multiplier)
    model = surrogate.certify(Surrogate(terms, reference, Provenance("planted")), multiplier)
    assert model.n_products == 0
    x, w = operands((2, 4, 4, 3), (2, 3, 3, 3), 8, 8)
    engine = SurrogateEngine(model)
    sums = engine.sums(x, engine.prepare(w, 1), Convolution((3, 3)))
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(products, x, w, Convolution((3, 3))))


@settings(deadline=None, max_examples=25)
@given(
    label=st.sampled_from(["bam8s_h0v4", "bam8u_h1v3", "drum8s_k4", "udm4u", "trunc8s_t3", "exact8u", "bam8x4u_h0v3"]),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.integers(1, 3),
    channels=st.integers(1, 4),
    out=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_table_and_surrogate_agree_on_any_shape(label, kernel, groups, channels, out, seed):
    multiplier = multipliers.get(label)
    convolution = Convolution(kernel, (1, 2), (2, 1), groups)
    x, w = operands(
        (2, 6, 6, groups * channels), (groups * out, *kernel, channels), multiplier.a.size, multiplier.b.size, seed
    )
    engines = [TableEngine(multiplier), SurrogateEngine(surrogate.discover(multiplier))]
    first, second = (e.sums(x, e.prepare(w, groups), convolution).to(torch.int64) for e in engines)
    assert torch.equal(first, second)


@pytest.mark.parametrize("shape", list(itertools.product((1, 2, 3, 24), (1, 2, 5), (1, 2, 7))), ids=str)
def test_int8_products_of_any_shape_and_stride(shape):
    m, k, n = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (m, k), generator=generator, dtype=torch.int8)
    w = torch.randint(-128, 128, (k, n), generator=generator, dtype=torch.int8)
    strange = [w, w.T.contiguous().T, w.T.contiguous().T.contiguous()]
    for right in strange:
        for left in (x, x.T.contiguous().T):
            assert torch.equal(int8_products.multiply(left, right).long(), x.long() @ w.long())


def test_int8_runs_whatever_the_width_of_integer_factors():
    cpu = torch.device("cpu")
    fits = SurrogateEngine(surrogate.discover(multipliers.get("exact8u")))  # 0..255, shifted by 128
    assert fits.choose(64, 9, 1, cpu) == ("int8", 64)
    digits = SurrogateEngine(surrogate.discover(multipliers.get("drum8s_k4")))  # spans -144..120
    assert digits.choose(64, 9, 1, cpu)[0] == "int8"
    grouped = SurrogateEngine(surrogate.discover(multipliers.get("exact8u")))
    assert grouped.choose(1, 9, 64, cpu) == ("float32", 1)  # depthwise
    floats = surrogate.discover(multipliers.get("mitchell8u"), method="lowrank", terms=3)
    with pytest.raises(ExactnessError, match="int8 cannot hold"):
        SurrogateEngine(floats, arithmetic="int8")


def test_long_sums_are_split_widened_or_refused():
    cpu = torch.device("cpu")
    engine = SurrogateEngine(surrogate.discover(multipliers.get("exact8u")), arithmetic="float32")
    bound = 255 * 255 + 1
    arithmetic, channels = engine.choose(1024, 1, 1, cpu)
    assert arithmetic == "float32"
    assert channels * bound < 1 << 24
    ten_bits = SurrogateEngine(surrogate.discover(multipliers.get("exact10u")), arithmetic="float32")
    assert ten_bits.choose(16, 1, 1, cpu) == ("float32", 16)  # 16 * 1023**2 < 2**24
    assert ten_bits.choose(17, 1, 1, cpu) == ("float32", 16)  # in two pieces
    wide = SurrogateEngine(surrogate.discover(multipliers.get("exact16s")))
    arithmetic, channels = wide.choose(1 << 18, 1, 1, cpu)
    assert arithmetic == "int8"
    assert channels < 1 << 17  # 2**31 / 2**14, less the shifts
    assert wide.choose(1, 9, 64, cpu) == ("digits", 1)
    with pytest.raises(ExactnessError, match="rounded"):
        wide.choose(1 << 22, 9, 1, cpu)
    with pytest.raises(ExactnessError, match="rounded"):
        SurrogateEngine(surrogate.discover(multipliers.get("exact12s")), arithmetic="float32").choose(8, 9, 1, cpu)


def test_sums_beyond_float32_stay_exact():
    """All-ones operands of 8-bit unsigned layers reach 2**24 at 258 lanes; every path must keep the odd integers."""
    multiplier = multipliers.get("exact8u")
    model = surrogate.discover(multiplier)
    for lanes in (257, 258, 1021, 4097):
        x = torch.full((300, 1, 1, lanes), 255, dtype=torch.int32)
        x[:, 0, 0, 0] = 254
        w = torch.full((5, 1, 1, lanes), 255)
        expected = 255 * 255 * lanes - 255
        for engine in (
            TableEngine(multiplier),
            SurrogateEngine(model),
            SurrogateEngine(model, arithmetic="float32"),
            SurrogateEngine(model, arithmetic="float64"),
        ):
            sums = engine.sums(x, engine.prepare(w, 1), Convolution((1, 1)))
            assert sums.to(torch.int64).unique().tolist() == [expected]


@pytest.mark.parametrize("label", ["bam12s_h0v4", "drum12u_k6", "trunc16s_t5", "exact16x8u"])
def test_wide_operands_without_a_table(label):
    multiplier = multipliers.get(label)
    model = surrogate.discover(multiplier)
    engine = SurrogateEngine(model)
    convolution = Convolution((3, 3))
    x, w = operands((2, 5, 5, 4), (3, 3, 3, 4), multiplier.a.size - 1, multiplier.b.size)
    sums = engine.sums(x, engine.prepare(w, 1), convolution).to(torch.int64).numpy()
    patches = convolution.patches(x.contiguous()).numpy().astype(np.int64) + multiplier.a.minimum
    expected = [
        multiplier(patches, (w[c].numpy() + multiplier.b.minimum)[None, None, None]).sum(axis=(3, 4, 5))
        for c in range(3)
    ]
    np.testing.assert_array_equal(sums, np.stack(expected, axis=-1))


def test_reduced_float_precision_outside_does_not_reach_the_sums():
    multiplier = multipliers.get("drum12s_k6")
    model = surrogate.discover(multiplier)
    engine = SurrogateEngine(model)
    x, w = operands((256, 1, 1, 64), (64, 1, 1, 64), multiplier.a.size - 1, multiplier.b.size)
    expected = engine.sums(x, engine.prepare(w, 1), Convolution((1, 1)))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(engine.sums(x, engine.prepare(w, 1), Convolution((1, 1))), expected)
    finally:
        torch.set_float32_matmul_precision(before)


def test_full_precision_restores_what_was_set():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with full_precision(torch.device("cpu")):
            x = torch.full((512, 512), 257.0)
            assert torch.equal(x @ x, torch.full((512, 512), 257.0 * 257 * 512))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_uncertified_surrogates_and_unknown_arithmetic_are_refused():
    model = surrogate.discover(multipliers.get("exact8s"))
    with pytest.raises(ConversionError, match="certif"):
        SurrogateEngine(model.with_certificate(None))
    with pytest.raises(ConversionError, match="arithmetic"):
        SurrogateEngine(model, arithmetic="int4")


def test_tables_too_large_are_refused():
    with pytest.raises(ConversionError, match="exact surrogate"):
        TableEngine(multipliers.get("exact16s"))
    huge = TableMultiplier(np.full((2, 2), 1 << 60), "1u")
    with pytest.raises(ExactnessError, match="2\\*\\*53"):
        TableEngine(huge)
    large = TableEngine(TableMultiplier(np.full((2, 2), 1 << 50), "1u"))
    with pytest.raises(ExactnessError, match="rounded"):
        large.sums(
            torch.zeros((1, 1, 1, 8), dtype=torch.int32),
            large.prepare(torch.zeros((1, 1, 1, 8)).long(), 1),
            Convolution((1, 1)),
        )


def test_approximate_surrogates_sum_their_own_products():
    multiplier = multipliers.get("mitchell8u")
    model = surrogate.discover(multiplier, method="lowrank", terms=3)
    engine = SurrogateEngine(model)
    assert not engine.exact
    x, w = operands((4, 5, 5, 3), (2, 3, 3, 3), multiplier.a.size - 1, multiplier.b.size)
    sums = engine.sums(x, engine.prepare(w, 1), Convolution((3, 3))).numpy()
    a, b = multiplier.a.values(), multiplier.b.values()
    expected = expected_sums(np.rint(model(a[:, None], b[None]) * 1024).astype(np.int64), x, w, Convolution((3, 3)))
    np.testing.assert_allclose(sums, expected / 1024, rtol=1e-5, atol=0.1)


def test_the_best_products_with_their_additive_part_sum_their_own_products():
    multiplier = multipliers.get("mitchell8u")
    model = surrogate.discover(multiplier, method="lowrank", products=3)
    engine = SurrogateEngine(model)
    x, w = operands((4, 5, 5, 3), (2, 3, 3, 3), multiplier.a.size, multiplier.b.size)
    sums = engine.sums(x, engine.prepare(w, 1), Convolution((3, 3))).numpy()
    a, b = multiplier.a.values(), multiplier.b.values()
    expected = expected_sums(np.rint(model(a[:, None], b[None]) * 1024).astype(np.int64), x, w, Convolution((3, 3)))
    np.testing.assert_allclose(sums, expected / 1024, rtol=1e-5, atol=0.1)
