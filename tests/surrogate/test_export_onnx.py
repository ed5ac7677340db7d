"""ONNX graphs: standard operators, shapes, wide operands, and layers with given weights; by onnxruntime."""

import importlib.util
import itertools

import numpy as np
import onnx
import onnxruntime
import pytest

import multipliers
from multipliers import OperandFormat, TableMultiplier
from surrogate import MultiplierReference, Provenance, Surrogate, SurrogateError, Term, discover
from surrogate import basis as bf
from surrogate.export import TARGETS, Target, export, export_bytes
from surrogate.export.onnx import read_onnx, to_onnx
from surrogate.export.onnx_graph import OPSET
from surrogate.export.onnx_layer import to_onnx_layer


def run(model, **inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (product,) = session.run(None, inputs)
    return product


def surrogate_of(terms, a, b):
    a, b = OperandFormat.parse(a), OperandFormat.parse(b)
    identified_by = "table" if a.size * b.size <= 1 << 24 else "sample"
    return Surrogate(terms, MultiplierReference("m", a, b, "0" * 64, identified_by), Provenance("hand"))


FUNCTIONS = [
    bf.Identity(),
    bf.Mod(32),
    bf.Mod(31),
    bf.Bit(31),
    bf.Truncate(17),
    bf.AllBits(0x80000001),
    bf.NearestPower(True),
    *(bf.LeadingOneTruncate(n, u) for n, u in itertools.product((1, 5, 32), (False, True))),
    bf.LeadingOneTable([3, 1, -7, 5], scale=3),
    bf.LeadingOneTable(np.linspace(-0.5, 0.5, 8)),
    bf.Odd(bf.Mod(20)),
    bf.Window(bf.Identity(), low=9, high=31),
    bf.Window(bf.LeadingOneTable([0.75]), low=9),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=repr)
@pytest.mark.parametrize("operand", ["32u", "32s", "31s", "12u", "2s"])
def test_wide_operands(operand, function):
    """Edges and powers of two with their neighbours, and a random sample."""
    s = surrogate_of([Term(1, function, bf.Constant())], operand, "1u")
    powers = [sign * (1 << k) + d for k in range(33) for d in (-1, 0, 1) for sign in (1, -1)]
    drawn = np.random.default_rng(3).integers(s.a.minimum, s.a.maximum + 1, 2000).tolist()
    chosen = [x for x in (s.a.minimum, s.a.maximum, 0, *powers, *drawn) if s.a.minimum <= x <= s.a.maximum]
    a, b = np.array(chosen)[:, None], np.array([[0, 1]])
    expected = s(a, b)
    for got in (run(to_onnx(s), a=a, b=b), read_onnx(export_bytes(s, "onnx"))(a, b)):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("rank", [0, 1, 2, 4])
def test_shapes_broadcast(rank):
    s = discover(multipliers.get("bam4u_h0v2"))
    a = np.arange(16).reshape((1,) * (rank - 1) + (-1,)) if rank else np.array(7)
    b = a.swapaxes(0, -1) if rank > 1 else a
    np.testing.assert_array_equal(run(to_onnx(s, rank), a=a, b=b), s(a, b))


@pytest.mark.parametrize(
    "terms",
    [
        [],
        [Term(5, bf.Constant(), bf.Constant())],
        [Term(2, bf.Bit(0), bf.Constant())],
        [Term(0.5, bf.Constant(), bf.Mod(2))],
    ],
    ids=["zero", "constant", "of-a", "of-b"],
)
def test_products_have_the_shape_of_both_operands(terms):
    s = surrogate_of(terms, "3s", "2u")
    a, b = s.a.values()[:, None], s.b.values()[None]
    got = run(to_onnx(s), a=a, b=b)
    assert (got.shape, got.dtype) == ((8, 4), s(a, b).dtype)
    np.testing.assert_array_equal(got, s(a, b))


def test_standard_operators_of_the_stated_set_and_equal_bytes():
    s = discover(multipliers.get("mitchell6u"))
    model = to_onnx(s)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    assert "a from 0 to 63; b from 0 to 63" in model.graph.doc_string
    assert export_bytes(s, "onnx") == export_bytes(s, "onnx")


def test_common_parts_are_computed_once():
    s = surrogate_of([Term(1, bf.Mod(2), bf.Mod(2)), Term(3, bf.Mod(2), bf.Identity())], "8u", "8u")
    operators = [node.op_type for node in to_onnx(s).graph.node]
    assert operators.count("Mod") == 2


def test_graph_can_be_merged_into_another():
    s = discover(multipliers.get("trunc4u_t1"))
    square = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["p", "p"], ["q"])],
        "square",
        [onnx.helper.make_tensor_value_info("p", onnx.TensorProto.INT64, ["n", "m"])],
        [onnx.helper.make_tensor_value_info("q", onnx.TensorProto.INT64, ["n", "m"])],
    )
    other = onnx.helper.make_model(square, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8)
    merged = onnx.compose.merge_models(to_onnx(s), other, io_map=[("product", "p")])
    a, b = np.array([[3, 15]]), np.array([[9], [2]])
    np.testing.assert_array_equal(run(merged, a=a, b=b), s(a, b) ** 2)


LAYERS = {  # by the datatype that holds their sums
    "integers in float32": ("bam4s_h0v2", {"method": "exact"}),
    "integers in float64": ("bam12s_h0v2", {"method": "exact"}),
    "low rank": ("mitchell6sx7u", {"method": "lowrank"}),
    "additive": ("mitchell8u", {"method": "htp", "basis": "mod"}),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("rank", [1, 3])
def test_layers(name, rank):
    label, options = LAYERS[name]
    s = discover(multipliers.get(label), **options)
    rng = np.random.default_rng(4)
    a = rng.integers(s.a.minimum, s.a.maximum + 1, size=(3, 5, 37)[3 - rank :])
    weights = rng.integers(s.b.minimum, s.b.maximum + 1, size=(37, 11))
    model = to_onnx_layer(s, weights, rank)
    assert (s.factors().additive_a is not None) == (name == "additive")
    got, expected = run(model, a=a), s(a[..., :, None], weights).sum(axis=-2)
    if s.is_integer:
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-9 * np.abs(expected).max())
    kinds = {onnx.TensorProto.DataType.Name(t.data_type) for t in model.graph.initializer}
    assert kinds - {"INT64"} == {"FLOAT" if name == "integers in float32" else "DOUBLE"}


@pytest.mark.parametrize("terms", [[], [Term(3, bf.Constant(), bf.Constant())], [Term(2, bf.Bit(0), bf.Constant())]])
def test_layers_without_products(terms):
    s = surrogate_of(terms, "3s", "2u")
    a, weights = np.array([[1, -4, 0], [-1, 3, 2]]), np.array([[0, 3], [1, 2], [3, 3]])
    np.testing.assert_array_equal(run(to_onnx_layer(s, weights), a=a), s(a[..., None], weights).sum(axis=1))


def test_layers_of_additive_terms_and_of_large_integers():
    s = surrogate_of(
        [
            Term(1, bf.Identity(), bf.Identity()),
            Term(-(1 << 20), bf.Truncate(1), bf.Bit(0)),
            Term(3, bf.Mod(2), bf.Constant()),
            Term(1 << 44, bf.Constant(), bf.Identity()),
        ],
        "8s",
        "9u",
    )
    rng = np.random.default_rng(5)
    a, weights = rng.integers(-128, 128, size=(6, 20)), rng.integers(0, 512, size=(20, 3))
    model = to_onnx_layer(s, weights)
    assert {t.data_type for t in model.graph.initializer} == {onnx.TensorProto.INT64}
    np.testing.assert_array_equal(run(model, a=a), s(a[..., None], weights).sum(axis=1))


def test_refusals(tmp_path, monkeypatch):
    s = discover(multipliers.get("exact4u"))
    with pytest.raises(SurrogateError, match="rank must be 0"):
        to_onnx(s, -1)
    with pytest.raises(SurrogateError, match="rank must be 1"):
        to_onnx_layer(s, [[1]], 0)
    with pytest.raises(SurrogateError, match=r"shape \(K, N\), got an array of shape \(3,\)"):
        to_onnx_layer(s, [1, 2, 3])
    with pytest.raises(multipliers.OperandRangeError):
        to_onnx_layer(s, [[16]])
    with pytest.raises(SurrogateError, match="too wide for tables"):
        to_onnx_layer(surrogate_of([Term(1, bf.Identity(), bf.Identity())], "32u", "4u"), [[1]])
    with pytest.raises(SurrogateError, match="beyond int64; split the layer"):
        to_onnx_layer(surrogate_of([Term(1 << 61, bf.Bit(0), bf.Bit(0))], "1u", "1u"), np.ones((8, 1), int))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SurrogateError, match=r"pip install 'axsurrogate\[onnx\]'"):
        export(s, "onnx", tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_verification_finds_one_wrong_entry(tmp_path, monkeypatch):
    right = TableMultiplier(np.random.default_rng(0).integers(0, 99, (8, 8)), "3u")
    wrong = np.array(right.table())
    wrong[5, 2] += 1
    data = export_bytes(discover(TableMultiplier(wrong, "3u")), "onnx")
    monkeypatch.setitem(TARGETS, "onnx", Target("onnx", ".onnx", lambda s: data, read_onnx, is_text=False))
    with pytest.raises(SurrogateError, match="the export to 'onnx' is not faithful: at a = 5, b = 2 it gives"):
        export(discover(right), "onnx", tmp_path / "m.onnx", verify=True)
    assert not list(tmp_path.iterdir())
