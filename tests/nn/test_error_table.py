"""Accurate products plus lookups of errors, and low-rank products, against the table lane by lane."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import multipliers
from multipliers import OperandFormat, TableMultiplier
from surrogate import ExactnessError
from surrogate.nn import (
    ApproxConfig,
    ApproxConv2d,
    ApproxLinear,
    ConversionError,
    approximate_,
    calibrate,
    export_model,
)
from surrogate.nn.engines.error_table import ErrorTableEngine, ErrorTableWeights, errors_are_shorter
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.geometry import Convolution
from surrogate.nn.native import active_kernel, available_kernels, library
from tests.nn.conftest import FORMATS, asymmetric_table, check_against_oracle, image
from tests.nn.test_engine import GEOMETRIES, expected_sums, operands

FORMS = ("table", "error_table")


def with_errors(a, b, low=-90, high=120, seed=0):
    """Accurate products with noise, which are not symmetric and not 0 at (0, 0)."""
    a, b = OperandFormat.parse(a), OperandFormat.parse(b)
    errors = np.random.default_rng(seed).integers(low, high + 1, (a.size, b.size))
    errors[-a.minimum, -b.minimum] = high
    return TableMultiplier(np.multiply.outer(a.values(), b.values()) + errors, a, b, name=f"noisy{a}x{b}")


def check(engine, multiplier, role, geometry, seed=1):
    shape_x, shape_w, convolution = geometry
    table = multiplier.table() if role == "a" else multiplier.table().T
    x, w = operands(shape_x, shape_w, *table.shape, seed=seed)
    prepared = engine.prepare(w, convolution.groups)
    assert isinstance(prepared, ErrorTableWeights)
    sums = engine.sums(x, prepared, convolution)
    np.testing.assert_array_equal(sums.numpy().astype(np.int64), expected_sums(table, x, w, convolution))
    return sums


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
@pytest.mark.parametrize("role", ["a", "b"])
def test_sums_are_those_of_the_table(geometry, formats, role):
    multiplier = with_errors(*formats)
    engine = ErrorTableEngine(multiplier, role)
    assert engine.exact
    assert engine.native() is None
    assert engine.compiled_table() is None
    check(engine, multiplier, role, GEOMETRIES[geometry])


@settings(max_examples=60, deadline=None)
@given(
    formats=st.tuples(*[st.builds("{}{}".format, st.integers(2, 8), st.sampled_from("us"))] * 2),
    groups=st.integers(1, 3),
    sizes=st.tuples(*[st.integers(1, 4)] * 3),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    largest=st.sampled_from([1, 1 << 8, 1 << 20, 1 << 33]),
    role=st.sampled_from(["a", "b"]),
    seed=st.integers(0, 99),
)
def test_any_errors_operands_and_shapes(formats, groups, sizes, kernel, largest, role, seed):
    images, per_group, out = sizes
    multiplier = with_errors(*formats, -largest, largest, seed)
    shape_x = images, kernel[0] + 2, kernel[1] + 1, groups * per_group
    geometry = shape_x, (groups * out, *kernel, per_group), Convolution(kernel, groups=groups)
    check(ErrorTableEngine(multiplier, role), multiplier, role, geometry, seed)


@pytest.mark.parametrize("geometry", ["grouped", "pointwise"])
@pytest.mark.parametrize("role", ["a", "b"])
def test_operands_of_twelve_bits(geometry, role):
    multiplier = with_errors("12u", "10s", -5000, 300)
    check(ErrorTableEngine(multiplier, role), multiplier, role, GEOMETRIES[geometry])


def test_sums_beyond_int32_and_float64():
    multiplier = with_errors("4s", "3u", -(1 << 30), 1 << 30)
    sums = check(ErrorTableEngine(multiplier), multiplier, "a", GEOMETRIES["plain"])
    assert sums.dtype == torch.float64
    huge = ErrorTableEngine(with_errors("2u", "2u", -(1 << 52), 1 << 52))
    x, w = torch.zeros(1, 1, 1, 3, dtype=torch.int32), torch.zeros(1, 1, 1, 3, dtype=torch.int64)
    with pytest.raises(ExactnessError, match="could exceed"):
        huge.sums(x, huge.prepare(w, 1), Convolution((1, 1)))
    with pytest.raises(ConversionError, match="more than 2\\*\\*24 entries"):
        ErrorTableEngine(multipliers.get("exact16s"))


@pytest.mark.parametrize("role", ["a", "b"])
@pytest.mark.parametrize("formats", [("8u", "8s"), ("8s", "7u")], ids=" x ".join)
def test_layers_give_the_same_digits_whatever_the_form(oracle, formats, role):
    multiplier, x = asymmetric_table(*formats), image(2, 4, 5, 6)
    torch.manual_seed(0)
    parts = ApproxConv2d(4, 6, (3, 2), stride=2, groups=2, padding=1, config=ApproxConfig(multiplier=multiplier))
    layers = []
    for backend in ("table", "error_table", "lowrank"):
        config = ApproxConfig(multiplier=multiplier, backend=backend, activation_operand=role)
        layer = ApproxConv2d(4, 6, (3, 2), stride=2, groups=2, padding=1, config=config)
        layer.load_state_dict({n: v for n, v in parts.state_dict().items() if n in ("weight", "bias")}, strict=False)
        assert layer.exact
        assert backend == "table" or layer.engine.native() is None
        layers.append(layer)
    pad = [(0, 0), (0, 0), (1, 1), (1, 1)]
    check_against_oracle(layers, oracle, x, lambda v: np.pad(v, pad))
    assert "by error table" in repr(layers[1])
    assert "by exact surrogate" in repr(layers[2])


def test_states_are_those_of_tables_and_copies_compute_the_same():
    multiplier, x = with_errors("8s", "8s"), torch.randn(7, 9)
    table, errors = (ApproxLinear(9, 5, config=ApproxConfig(multiplier=multiplier, backend=b)) for b in FORMS)
    calibrate(table, [x])
    errors.load_state_dict(table.state_dict())
    y = table.eval()(x)
    for layer in (errors, copy.deepcopy(errors), pickle.loads(pickle.dumps(errors))):  # noqa: S301  # our own bytes
        assert torch.equal(layer.eval()(x), y)
    half = errors.half()(x.half())
    assert half.dtype == torch.float16
    assert torch.equal(half, table.half()(x.half()))
    errors.to("meta")
    assert {part.table.device.type for part in (errors.engine, errors.engine._parts[1])} == {"meta"}


@pytest.mark.parametrize("backend", FORMS)
def test_graphs_of_compilers_and_exports_compute_the_same(monkeypatch, backend):
    if "avx2" in available_kernels():  # where tables offer both ways
        monkeypatch.setenv(library.VARIABLE, "avx2")
    layer, x = nn.Conv2d(2, 3, 3, padding=1), torch.randn(3, 2, 6, 5)
    approximate_(layer, ApproxConfig(multiplier=with_errors("8u", "8s"), backend=backend))
    calibrate(layer, [x])
    program = export_model(layer, x).module()
    with torch.no_grad():
        y = layer.eval()(x)
        assert torch.equal(program(x), y)
        assert torch.equal(torch.compile(layer, backend="eager", fullgraph=True)(x), y)


def test_errors_are_looked_up_instead_where_that_may_be_faster(monkeypatch):
    short, long = with_errors("8s", "8s"), multipliers.get("mitchell8u")
    assert errors_are_shorter(short)
    assert not errors_are_shorter(long)
    assert type(ApproxConfig(multiplier=long, backend="table").engine()) is TableEngine
    engine = ApproxConfig(multiplier=short, backend="table").engine()
    assert engine.table.equal(TableEngine(short).table)
    planes = {"avx2": ("avx2", 2, 1), "neon": ("neon", 2, 1)}  # others read as many bytes, or do not gain
    for kernel in available_kernels():
        monkeypatch.setenv(library.VARIABLE, kernel)
        assert engine.ways == planes.get(kernel)
        weights = engine.prepare(torch.zeros(1, 1, 1, 3, dtype=torch.int64), 1)
        assert isinstance(weights, ErrorTableWeights) == (kernel in planes)
    wider = ApproxConfig(multiplier=with_errors("8u", "8u", -9000, 9000), backend="table").engine()
    monkeypatch.delenv(library.VARIABLE)
    if active_kernel() == "avx512-vbmi":
        assert wider.ways == ("avx512-vbmi", 3, 2)


@pytest.mark.skipif("avx2" not in available_kernels(), reason="the processor has no AVX2, or there is no library")
@pytest.mark.parametrize("role", ["a", "b"])
def test_the_choice_changes_no_bit(monkeypatch, role):
    monkeypatch.setenv(library.VARIABLE, "avx2")
    layer, x = nn.Conv2d(4, 6, 3, padding=1, groups=2), torch.randn(2, 4, 9, 7)
    approximate_(layer, ApproxConfig(multiplier=with_errors("8s", "8u"), backend="table", activation_operand=role))
    calibrate(layer, [x])
    results = []
    for chosen in ("table", "products"):
        monkeypatch.setattr("surrogate.nn.layers.layer.fastest", lambda ways, _, chosen=chosen: ways[chosen]())
        leaf = x.clone().requires_grad_()
        layer.zero_grad()
        y = layer(leaf)
        y.square().sum().backward()
        results.append((y.detach(), leaf.grad, layer.weight.grad.clone(), layer.bias.grad.clone()))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
