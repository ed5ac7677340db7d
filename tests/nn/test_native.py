"""Every compiled table kernel against a lane-by-lane sum over the table."""

import copy
import itertools
import pickle
import platform
from functools import cache

import numpy as np
import pytest
import torch

from multipliers import OperandFormat, TableMultiplier
from surrogate import ExactnessError
from surrogate.nn import ConversionError
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.native import KERNELS, NativeWeights, active_kernel, available_kernels, library

FOREIGN = ("avx512-vbmi", "avx2") if platform.machine() in ("aarch64", "arm64") else ("neon",)
HERE = [name for name in KERNELS if name not in FOREIGN]  # test_native_processors.py has the others
COMPILED = [name for name in HERE if name != "torch"]


def force(kernel, monkeypatch):
    if kernel not in available_kernels():
        reason = "the processor lacks its instructions" if library.load_library() else "no compiled library"
        pytest.skip(f"kernel {kernel} cannot run here: {reason}")
    monkeypatch.setenv(library.VARIABLE, kernel)
    return kernel


@pytest.fixture(params=COMPILED)
def kernel(request, monkeypatch):
    """The name of a compiled kernel, which is forced."""
    return force(request.param, monkeypatch)


@pytest.fixture(params=HERE)
def any_kernel(request, monkeypatch):
    """The name of a kernel, compiled or not, which is forced."""
    return force(request.param, monkeypatch)


@cache
def random_multiplier(a, b, low, high):
    a, b = OperandFormat.parse(a), OperandFormat.parse(b)
    table = np.random.default_rng(0).integers(low, high, size=(a.size, b.size))
    return TableMultiplier(table, a, b, name="random")


@cache
def random_engine(a, b, low=-(1 << 15), high=1 << 15, role="a"):
    """An engine, and its table as [activation, weight]; one engine serves all kernels, one after another."""
    multiplier = random_multiplier(a, b, low, high)
    return TableEngine(multiplier, role), multiplier.table() if role == "a" else multiplier.table().T


def operands(shape_x, shape_w, table, skip=True, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, table.shape[0] + skip, shape_x, generator=generator, dtype=torch.int32)
    return x, torch.randint(0, table.shape[1], shape_w, generator=generator)


def expected_sums(table, x, w, convolution):
    """One product after another; an index one past the end of the table is skipped."""
    table = np.vstack([table, np.zeros((1, table.shape[1]), dtype=np.int64)])
    (stride_h, stride_w), (dilation_h, dilation_w) = convolution.stride, convolution.dilation
    out, kernel_h, kernel_w, per_group = w.shape
    out_h, out_w = convolution.output_size(*x.shape[1:3])
    result = np.zeros((len(x), out_h, out_w, out), dtype=np.int64)
    for c, p, q, k in itertools.product(range(out), range(kernel_h), range(kernel_w), range(per_group)):
        rows = slice(p * dilation_h, p * dilation_h + (out_h - 1) * stride_h + 1, stride_h)
        columns = slice(q * dilation_w, q * dilation_w + (out_w - 1) * stride_w + 1, stride_w)
        channel = c // (out // convolution.groups) * per_group + k
        result[..., c] += table[x[:, rows, columns, channel], w[c, p, q, k]]
    return result


def check(engine, table, x, w, convolution, expected=None):
    prepared = engine.prepare(w, convolution.groups)
    assert isinstance(prepared, NativeWeights) == (active_kernel() != "torch")
    sums = engine.sums(x, prepared, convolution)
    expected = expected_sums(table, x, w, convolution) if expected is None else expected
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected)
    return sums


GEOMETRIES = {
    "one product": ((1, 1, 1, 1), (1, 1, 1, 1), Convolution((1, 1))),
    "pointwise": ((5, 1, 1, 7), (6, 1, 1, 7), Convolution((1, 1))),
    "a block and one": ((257, 1, 1, 3), (2, 1, 1, 3), Convolution((1, 1))),
    "65 positions": ((65, 1, 1, 300), (3, 1, 1, 300), Convolution((1, 1))),
    "many channels": ((70, 1, 1, 5), (259, 1, 1, 5), Convolution((1, 1))),
    "pointwise strided": ((3, 6, 5, 4), (5, 1, 1, 4), Convolution((1, 1), (2, 1))),
    "pointwise grouped": ((2, 9, 9, 6), (4, 1, 1, 3), Convolution((1, 1), groups=2)),
    "plain": ((2, 6, 5, 3), (4, 3, 2, 3), Convolution((3, 2))),
    "wide rows": ((1, 4, 300, 2), (3, 3, 3, 2), Convolution((3, 3))),
    "more than 256 lanes": ((2, 12, 11, 40), (3, 3, 3, 40), Convolution((3, 3))),
    "strided dilated": ((3, 9, 8, 4), (5, 3, 2, 4), Convolution((3, 2), (2, 1), (1, 2))),
    "strided columns": ((3, 9, 19, 4), (5, 3, 2, 4), Convolution((3, 2), (1, 3), (2, 1))),
    "grouped": ((2, 7, 7, 6), (4, 3, 3, 3), Convolution((3, 3), (1, 2), (2, 1), groups=2)),
    "depthwise": ((2, 20, 20, 6), (6, 3, 3, 1), Convolution((3, 3), groups=6)),
    "depthwise multiplied": ((2, 5, 5, 3), (6, 2, 2, 1), Convolution((2, 2), groups=3)),
    "one image": ((1, 3, 3, 1), (1, 3, 3, 1), Convolution((3, 3))),
}
FORMATS = [("8s", "8s"), ("8u", "8s"), ("8u", "4u"), ("7u", "7s"), ("6s", "8u"), ("5u", "3s"), ("1u", "8s")]


@cache
def case(geometry, formats, role, skip):
    """An engine, its table, operands and the sums that any kernel must return."""
    shape_x, shape_w, convolution = GEOMETRIES[geometry]
    engine, table = random_engine(*formats, role=role)
    x, w = operands(shape_x, shape_w, table, skip)
    return engine, table, x, w, convolution, expected_sums(table, x, w, convolution)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
def test_any_shape_on_random_tables(any_kernel, geometry, formats):
    for role, skip in itertools.product("ab", (False, True)):
        check(*case(geometry, formats, role, skip))


RANGES = {
    "one byte": (0, 256),
    "one byte, signed": (-100, 156),
    "constant": (-3, -2),
    "zero": (0, 1),
    "two bytes": (0, 1 << 16),
    "three bytes": (-(1 << 22), 1 << 22),
    "four bytes": (-(1 << 23), 1 << 25),
    "far from zero": (1 << 20, (1 << 20) + 10),
    "far below zero": (-(1 << 20) - 10, -(1 << 20)),
}


@pytest.mark.parametrize("entries", RANGES)
@pytest.mark.parametrize("formats", [("8s", "8u"), ("7u", "8s"), ("4s", "5u")], ids=" x ".join)
def test_any_range_of_entries(kernel, entries, formats):
    engine, table = random_engine(*formats, *RANGES[entries])
    for skip in (False, True):
        x, w = operands((67, 1, 1, 50), (5, 1, 1, 50), table, skip)
        sums = check(engine, table, x, w, Convolution((1, 1)))
        fits = 50 * max(1, int(np.abs(table).max())) < 1 << 31
        assert sums.dtype == (torch.int32 if fits else torch.float64)


@pytest.mark.parametrize("extreme", [255, (1 << 16) - 1, -(1 << 16), (1 << 24) + 1])
@pytest.mark.parametrize("lanes", [255, 256, 257, 2049])
def test_accumulators_filled_to_the_brim(kernel, extreme, lanes):
    """Every byte of every entry at its largest, for as many lanes as an accumulator takes and one more."""
    table = np.zeros((256, 256), dtype=np.int64)
    table[1:, 1:] = extreme
    engine = TableEngine(TableMultiplier(table, "8u"))
    x, w = torch.full((70, 1, 1, lanes), 255, dtype=torch.int32), torch.full((2, 1, 1, lanes), 255)
    check(engine, table, x, w, Convolution((1, 1)))


def test_sums_beyond_int32_are_taken_in_pieces_or_refused(kernel):
    table = np.full((256, 256), (1 << 30) + 1)
    table[0, 0] = -5
    engine = TableEngine(TableMultiplier(table, "8u"))
    x, w = operands((3, 1, 1, 700), (2, 1, 1, 700), table)
    assert check(engine, table, x, w, Convolution((1, 1))).abs().max() > 1 << 31
    assert engine.native() is not None
    long = NativeWeights(torch.zeros((1, 1, 1), dtype=torch.uint8).expand(1, 1, 1 << 23))
    with pytest.raises(ExactnessError, match="rounded"):
        engine.sums(x, long, Convolution((1, 1)))


def test_larger_entries_and_wider_operands_run_without_the_kernel_unless_it_is_forced(kernel, monkeypatch):
    huge = TableEngine(TableMultiplier(np.full((4, 4), 1 << 31), "2u"))
    wide, table = random_engine("9u", "4u")
    for engine, message in ((huge, f"4 x 4, of products up to {1 << 31}"), (wide, "512 x 16")):
        with pytest.raises(ConversionError, match=f"is '{kernel}', which runs .*{message}"):
            engine.prepare(torch.zeros((2, 1, 1, 3)).long(), 1)
    monkeypatch.delenv(library.VARIABLE)
    for engine in (huge, wide):
        assert not isinstance(engine.prepare(torch.zeros((2, 1, 1, 3)).long(), 1), NativeWeights)
    x, w = operands((9, 1, 1, 5), (2, 1, 1, 5), table)
    sums = wide.sums(x, wide.prepare(w, 1), Convolution((1, 1)))
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(table, x, w, Convolution((1, 1))))


@pytest.mark.parametrize("geometry", ["pointwise", "many channels", "depthwise", "more than 256 lanes"])
def test_threads_share_the_work(kernel, geometry, monkeypatch):
    from surrogate.nn.native import sums

    shape_x, shape_w, convolution = GEOMETRIES[geometry]
    engine, table = random_engine("8s", "8s")
    monkeypatch.setattr(sums, "_PRODUCTS_PER_THREAD", 1)
    before = torch.get_num_threads()
    try:
        for threads in (2, 3, 7):
            torch.set_num_threads(threads)
            check(engine, table, *operands(shape_x, shape_w, table), convolution)
    finally:
        torch.set_num_threads(before)


def test_no_rows_at_all(kernel):
    engine, table = random_engine("8s", "8s")
    x, w = operands((0, 5, 5, 3), (2, 3, 3, 3), table)
    assert engine.sums(x, engine.prepare(w, 1), Convolution((3, 3))).shape == (0, 3, 3, 2)


def test_strided_and_wider_input(kernel):
    engine, table = random_engine("8s", "8s")
    x, w = operands((2, 3, 6, 5), (4, 3, 2, 3), table)
    strided = x.permute(0, 3, 2, 1)
    check(engine, table, strided, w, Convolution((3, 2)))
    check(engine, table, strided.long(), w, Convolution((3, 2)))


@pytest.mark.parametrize("index", [-1, 257, 1 << 16, -(1 << 31)])
def test_indices_outside_the_table_do_not_wrap(kernel, index):
    engine, table = random_engine("8s", "8s")
    x, w = operands((40, 1, 1, 20), (2, 1, 1, 20), table)
    prepared = engine.prepare(w, 1)
    x[33, 0, 0, 17] = index
    with pytest.raises(ConversionError, match=r"activation indices must be in \[0, 256\]"):
        engine.sums(x, prepared, Convolution((1, 1)))
    w[1, 0, 0, 19] = max(index, -(1 << 31))
    with pytest.raises(ConversionError, match=r"weight indices must be in \[0, 255\]"):
        engine.prepare(w, 1)


def test_copies_and_pickles_leave_the_kernel_behind(kernel, monkeypatch):
    engine, table = random_engine("8s", "8s")
    x, w = operands((9, 1, 1, 5), (2, 1, 1, 5), table)
    check(engine, table, x, w, Convolution((1, 1)))
    for copied in (copy.deepcopy(engine), pickle.loads(pickle.dumps(engine))):  # noqa: S301
        assert copied._native_table._native is None
        check(copied, table, x, w, Convolution((1, 1)))
    prepared = engine.prepare(w, 1)
    for other in (*available_kernels(), "torch"):  # prepared by one kernel, run by another
        monkeypatch.setenv(library.VARIABLE, other)
        sums = engine.sums(x, prepared, Convolution((1, 1)))
        np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(table, x, w, Convolution((1, 1))))


def test_the_variable_names_the_kernel(monkeypatch):
    monkeypatch.delenv(library.VARIABLE, raising=False)
    assert active_kernel() == available_kernels()[0]
    monkeypatch.setenv(library.VARIABLE, "torch")
    assert active_kernel() == "torch"
    engine, _ = random_engine("4u", "4u")
    assert not isinstance(engine.prepare(torch.zeros((2, 1, 1, 3)).long(), 1), NativeWeights)
    monkeypatch.setenv(library.VARIABLE, "sse2")
    with pytest.raises(ConversionError, match="must be one of"):
        active_kernel()


def test_without_a_library_torch_does_the_sums(monkeypatch):
    monkeypatch.delenv(library.VARIABLE, raising=False)
    monkeypatch.setattr(library, "load_library", lambda: None)
    assert available_kernels() == ("torch",)
    engine, table = random_engine("8s", "8s")
    x, w = operands((9, 1, 1, 5), (2, 1, 1, 5), table)
    sums = engine.sums(x, engine.prepare(w, 1), Convolution((1, 1)))
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(table, x, w, Convolution((1, 1))))
    monkeypatch.setenv(library.VARIABLE, "portable")
    with pytest.raises(ConversionError, match="cannot run here"):
        active_kernel()
    with pytest.raises(ConversionError, match="doctor"):
        library.require_library()
