"""Multi-head attention: in float it is torch's; else its parts are the oracle's products, in torch's arrangement."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from surrogate.nn import (
    ApproxConfig,
    ApproxMultiheadAttention,
    ConversionError,
    approximate_,
    approximate_layers,
    calibrate,
    discover_per_layer,
    mode,
    restore_,
)
from surrogate.nn.layers.operation import MODES
from tests.nn.conftest import asymmetric_table, configurations

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = ApproxConfig(multiplier="bam8s_h1v6")
PARTS = ("q_proj", "k_proj", "v_proj", "scores", "context", "out_proj")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def torch_attention(embed_dim=8, num_heads=2, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        attention = nn.MultiheadAttention(embed_dim, num_heads, **options)
        for parameter in attention.parameters():  # biases start as 0
            nn.init.normal_(parameter, std=0.5)
    return attention


def converted(attention, config=CONFIG, *, inputs=None, products=True):
    attention = copy.deepcopy(attention)
    approximate_(attention, config, products=products)
    if inputs is not None:
        calibrate(attention, [inputs], forward=lambda m, x: m(*x))
    return attention


def same(results, expected, **tolerance):
    for one, other in zip(results, expected, strict=True):
        if other is None:
            assert one is None
        else:
            torch.testing.assert_close(one, other, **tolerance)


@st.composite
def calls(draw):
    """Draw options of an attention, and inputs and masks of one call."""
    flags = {name: draw(st.booleans(), name) for name in ("bias", "add_bias_kv", "add_zero_attn", "batch_first")}
    kdim, vdim = draw(st.sampled_from([(None, None), (5, 3), (6, None)]), "kdim, vdim")
    heads = draw(st.sampled_from([1, 2, 3]), "heads")
    attention = torch_attention(6, heads, dropout=draw(st.sampled_from([0.0, 0.4])), kdim=kdim, vdim=vdim, **flags)
    batched, n, queries, keys = draw(st.booleans()), draw(st.integers(1, 3)), *draw(st.tuples(*[st.integers(1, 5)] * 2))
    widths = (6, kdim or 6, vdim or 6)
    inputs = [
        torch.randn(n, length, w, generator=generator(w))
        for w, length in zip(widths, (queries, keys, keys), strict=True)
    ]
    if kdim is None and queries == keys and draw(st.booleans(), "self-attention"):
        inputs = [inputs[0]] * 3
    if not batched:
        n, inputs = 1, [x[0] for x in inputs]
    elif not flags["batch_first"]:
        inputs = [x.transpose(0, 1) for x in inputs]
    masks = {}
    kind = draw(st.sampled_from([None, "bool", "float"]), "kind of mask")
    if kind is not None:
        shape = (queries, keys) if draw(st.booleans()) else (n * heads, queries, keys)
        mask = torch.rand(shape, generator=generator(1)) < 0.3
        mask[..., 0] = False  # where all keys are masked, torch itself is of two minds
        padding = torch.rand(n, keys, generator=generator(2)) < 0.3
        padding[:, 0] = False
        if kind == "float":
            mask, padding = (m * -1.5 for m in (mask, padding))
        if draw(st.booleans(), "attn_mask"):
            masks["attn_mask"] = mask
        if draw(st.booleans(), "key_padding_mask"):
            masks["key_padding_mask"] = padding if batched else padding[0]
    options = {name: draw(st.booleans(), name) for name in ("need_weights", "average_attn_weights")}
    return attention.train(draw(st.booleans(), "training")), inputs, {**masks, **options}


@settings(max_examples=40, deadline=None)
@given(call=calls(), products=st.booleans())
def test_float_mode_is_torchs_attention(call, products):
    attention, inputs, options = call
    results = []
    for one in (attention, converted(attention, products=products)):
        with mode(one, "float") if one is not attention else torch.enable_grad():
            torch.manual_seed(7)  # of dropout
            output, weights = one(*inputs, **options)
        (output.sum() + (0 if weights is None else (weights**2).sum())).backward()
        results.append((output, weights, {name: p.grad for name, p in one.named_parameters()}))
    same(results[1][:2], results[0][:2])
    assert results[0][2].keys() == results[1][2].keys()
    for name, gradient in results[0][2].items():
        torch.testing.assert_close(results[1][2][name], gradient, rtol=1e-4, atol=1e-5)


def test_causal_hint():
    attention, x = torch_attention(batch_first=True), torch.randn(2, 5, 8, generator=generator())
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    ours = converted(attention)
    for weights in (False, True):
        with mode(ours, "float"):
            found = ours(x, x, x, need_weights=weights, attn_mask=causal, is_causal=True)
        same(found, attention(x, x, x, need_weights=weights, attn_mask=causal, is_causal=True))


def table_matmul(product, table, x, y):
    """Multiply ``(..., m, k)`` by ``(..., k, n)`` entry by entry, in NumPy: integer sums, and rescaled."""
    codes = []
    for quantiser, v in zip(product.activations.values(), (x, y), strict=True):
        q = np.rint(v / float(quantiser.scale)) + int(quantiser.zero_point)
        codes.append(np.clip(q, quantiser.low, quantiser.high).astype(int))
    (zx, zy), (sx, sy) = (
        [conversion(getattr(q, name)) for q in product.activations.values()]
        for name, conversion in (("zero_point", int), ("scale", float))
    )
    a, b = codes[0][..., :, :, None], codes[1][..., None, :, :]
    swapped = product.config.activation_operand == "b"
    sums = (table(b, a) if swapped else table(*np.broadcast_arrays(a, b))).sum(axis=-2)
    return sums, sx * sy * (sums + (zx * zy - zx * b - zy * a).sum(axis=-2))


@pytest.mark.parametrize("role", ["a", "b"])
@pytest.mark.parametrize("options", [{}, {"kdim": 5, "vdim": 3}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_every_product_is_the_oracles(oracle, options, role):
    table = asymmetric_table("7u", "6u")
    attention = torch_attention(6, 2, dtype=torch.float64, batch_first=True, **options)  # so that no rounding differs
    widths = (6, attention.kdim, attention.vdim)
    inputs = [torch.randn(2, n, w, generator=generator(w)).double() for n, w in zip((3, 5, 5), widths, strict=True)]
    mask = torch.rand(3, 5, generator=generator(1)) < 0.3
    mask[:, 0] = False
    found = []
    for config in configurations(table, activation_operand=role):
        ours = converted(attention, config, inputs=inputs).eval()
        values = table.table()

        def linear(part, x, values=values):
            flat = np.asarray(x).reshape(-1, x.shape[-1], 1, 1)
            sums, y = oracle.convolution(flat, part, values, 0, 0, lambda x: x)
            np.testing.assert_array_equal(part.accumulate(torch.as_tensor(flat[..., 0, 0])), sums[..., 0, 0])
            return y.reshape(*x.shape[:-1], -1)

        def matmul(part, x, y):
            sums, z = table_matmul(part, table, x, y)
            np.testing.assert_array_equal(part.accumulate(*map(torch.as_tensor, (x, y))), sums)
            return z

        q, k, v = (linear(part, x) for part, x in zip((ours.q_proj, ours.k_proj, ours.v_proj), inputs, strict=True))
        added = 0
        if options.get("add_bias_kv"):
            k, v = (
                np.concatenate([x, np.repeat(b.detach().numpy(), 2, axis=0)], axis=1)
                for x, b in ((k, ours.bias_k), (v, ours.bias_v))
            )
            k, v = (np.concatenate([x, np.zeros((2, 1, 6))], axis=1) for x in (k, v))
            added = 2
        q, k, v = (x.reshape(2, -1, 2, 3).transpose(0, 2, 1, 3) for x in (q, k, v))
        scores = matmul(ours.scores, q / np.sqrt(3), k.swapaxes(-1, -2))
        scores[..., np.pad(mask.numpy(), ((0, 0), (0, added)))] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        expected = linear(ours.out_proj, matmul(ours.context, weights, v).transpose(0, 2, 1, 3).reshape(2, 3, 6))
        with torch.no_grad():
            y, w = ours(*inputs, attn_mask=mask)
        np.testing.assert_allclose(w, weights.mean(axis=1), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)
        found.append(y)
    for y in found[1:]:
        assert torch.equal(y, found[0])


def test_gradients_are_those_of_the_accurate_products_of_dequantised_operands():
    x = torch.randn(2, 4, 8, generator=generator())
    ours = converted(torch_attention(batch_first=True), ApproxConfig(multiplier="exact8s"), inputs=[x, x, x]).eval()

    def linear(part, x):
        return functional.linear(part.activation_quantiser(x)[0], part.weight_quantiser(part.weight)[0], part.bias)

    def matmul(part, x, y):
        return part.activation_quantiser(x)[0] @ part.second_quantiser(y)[0]

    def by_hand(x):
        heads = [linear(p, x).reshape(2, 4, 2, 4).transpose(1, 2) for p in (ours.q_proj, ours.k_proj, ours.v_proj)]
        q, k, v = heads
        z = matmul(ours.context, matmul(ours.scores, q / 2, k.mT).softmax(dim=-1), v)
        return linear(ours.out_proj, z.transpose(1, 2).flatten(-2))

    direction = torch.randn(2, 4, 8, generator=generator(1))
    leaves = [x.requires_grad_(), *ours.parameters()]
    results = [torch.autograd.grad((f(x) * direction).sum(), leaves) for f in (lambda x: ours(x, x, x)[0], by_hand)]
    for found, expected in zip(*results, strict=True):
        assert expected.abs().sum() > 0
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_every_mode_computes_its_own():
    x = torch.randn(2, 5, 8, generator=generator())
    ours = converted(torch_attention(batch_first=True), inputs=[x, x, x]).eval()
    results = {}
    for name in MODES:
        if name != "calibrate":
            torch.manual_seed(0)
            with mode(ours, name), torch.no_grad():
                results[name] = ours(x, x, x)[0]
    for name in ("exact", "surrogate", "table"):
        assert torch.equal(results[name], results["approximate"])
    different = [results[n] for n in ("float", "quantised", "approximate", "linear", "noise", "relative")]
    assert all(not torch.equal(one, other) for i, one in enumerate(different) for other in different[:i])


@pytest.mark.parametrize("options", [{}, {"kdim": 5, "vdim": 3, "bias": False}])
def test_converted_in_place_and_back(options):
    model = nn.ModuleDict({"attention": torch_attention(batch_first=True, **options)})
    attention, parameters = model["attention"], dict(model.named_parameters())
    keys = list(model.state_dict())
    names = tuple(f"attention.{part}" for part in PARTS)
    assert approximate_(model, CONFIG) == tuple(n for n in names if n.split(".")[1] not in ("scores", "context"))
    assert type(attention) is ApproxMultiheadAttention
    assert {n: id(p) for n, p in model.named_parameters()} == {n: id(p) for n, p in parameters.items()}
    assert [n for n in model.state_dict() if n in keys] == keys
    assert approximate_(model, CONFIG, products=True) == names
    assert len(list(approximate_layers(model))) == 4  # products of two activations are no layers
    assert restore_(model) == names
    assert type(attention) is nn.MultiheadAttention
    assert list(model.state_dict()) == keys
    assert repr(model) == repr(nn.ModuleDict({"attention": torch_attention(batch_first=True, **options)}))


def test_saved_copied_and_pickled():
    x = torch.randn(2, 5, 8, generator=generator())
    ours = converted(torch_attention(batch_first=True), inputs=[x, x, x]).eval()
    y = ours(x, x, x)[0]
    other = ApproxMultiheadAttention(8, 2, batch_first=True, config=CONFIG, products=True).eval()
    assert "not calibrated" in repr(other)
    other.load_state_dict(ours.state_dict())
    for copied in (other, copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301
        assert torch.equal(copied(x, x, x)[0], y)
        with torch.no_grad():
            copied.in_proj_weight.mul_(-2)  # its own, not that of the original
        assert not torch.equal(copied(x, x, x)[0], y)
    assert torch.equal(ours(x, x, x)[0], y)
    foreign = ApproxMultiheadAttention(8, 2, config=ApproxConfig(multiplier="exact8s"))
    with pytest.raises(ConversionError, match="saved for another multiplier than 'exact8s'"):
        foreign.load_state_dict(ours.state_dict(), strict=False)


def test_patterns_decide_for_parts_and_for_the_whole():
    def model():
        return nn.ModuleDict({"first": torch_attention(), "second": torch_attention(), "last": nn.Linear(8, 8)})

    other = ApproxConfig(multiplier="exact8s")
    mixed = model()
    names = approximate_(mixed, {"first": CONFIG, "first.k_proj": other, "re:.*out_proj": None, "sec*": other})
    assert names == tuple(f"first.{p}_proj" for p in ("q", "k", "v", "out")) + tuple(f"second.{p}_proj" for p in "qkv")
    bam, exact = CONFIG.name, "exact8s"
    assert [layer.config.name for _, layer in approximate_layers(mixed)] == [bam, exact, bam, bam, *[exact] * 3]
    x = torch.randn(3, 2, 8, generator=generator())
    calibrate(mixed["first"], [x], forward=lambda m, x: m(x, x, x))
    assert mixed["first"](x, x, x)[0].shape == x.shape
    none = model()
    approximate_(none, {"*": None, "last": CONFIG})
    assert type(none["first"]) is nn.MultiheadAttention
    only = model()
    assert approximate_(only, CONFIG, lambda _, name: name == "second.scores") == ("second.scores",)
    assert type(only["first"]) is nn.MultiheadAttention
    with pytest.raises(ConversionError, match=r"'third' decides for no selected layer; layers: 'first.q_proj', "):
        approximate_(model(), {"third": CONFIG})
    with pytest.raises(ConversionError, match=r"'\*.scores' decides for no selected layer; .*; products of two activ"):
        approximate_(model(), {"*.scores": CONFIG})
    assert approximate_(model(), {"*.scores": CONFIG}, products=True) == ("first.scores", "second.scores")


def test_a_failure_leaves_attention_as_it_was():
    model = nn.Sequential(torch_attention(), nn.Bilinear(2, 2, 2))
    with pytest.raises(ConversionError, match="'1' is a Bilinear"):
        approximate_(model, CONFIG)
    assert type(model[0]) is nn.MultiheadAttention
    assert approximate_(model, {"1": None, "_default": CONFIG})[0] == "0.q_proj"


class Subclass(nn.MultiheadAttention):
    """One that may do anything."""


def test_products_are_made_where_the_attention_is():
    """On device meta, which is always there."""
    attention = torch_attention(batch_first=True).to("meta")
    assert approximate_(attention, CONFIG, lambda _, name: name in ("scores", "context")) == ("scores", "context")
    for product in (attention.scores, attention.context):
        assert {buffer.device.type for buffer in product.buffers()} == {"meta"}


def test_subclasses_are_refused():
    model = nn.Sequential(Subclass(4, 2))
    with pytest.raises(ConversionError, match=r"'0.out_proj' is the output projection of '0', a Subclass"):
        approximate_(model, CONFIG)
    with pytest.raises(ConversionError, match="the model is the output projection of a MultiheadAttention"):
        approximate_(torch_attention().out_proj, CONFIG)


def test_queries_without_keys_attend_to_nothing():
    x = torch.randn(2, 3, 8, generator=generator())
    ours = converted(torch_attention(batch_first=True), inputs=[x, x, x])
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[1] = True
    y, weights = ours(x, x, x, attn_mask=mask)
    assert not weights[:, 1].any()
    assert torch.isfinite(y).all()
    y.sum().backward()
    assert torch.isfinite(ours.in_proj_weight.grad).all()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch.compile itself
@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIG, ApproxConfig(multiplier="bam8s_h1v6", backend="table")])
def test_compiled_without_graph_breaks_and_exported(config):
    x = torch.randn(2, 5, 8, generator=generator())
    ours = converted(torch_attention(batch_first=True), config, inputs=[x, x, x]).eval()
    torch._dynamo.reset()
    compiled = torch.compile(ours, backend="eager", fullgraph=True)
    y, weights = ours(x, x, x)
    same(compiled(x, x, x), (y, weights), rtol=0, atol=0)
    with torch.no_grad():
        exported = torch.export.export(ours, (x, x, x)).module()
        torch.testing.assert_close(exported(x, x, x)[0], y)


def test_per_layer_surrogates_of_projections():
    x = torch.randn(2, 5, 8, generator=generator())
    model = torch_attention(batch_first=True)
    found = discover_per_layer(model, [x], "mitchell6u", products=2, forward=lambda m, x: m(x, x, x))
    assert tuple(found) == tuple(part for part in PARTS if part not in ("scores", "context"))
    assert approximate_(model, found) == tuple(found)
    assert model.q_proj.config.surrogate is found["q_proj"].surrogate


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_datatypes(dtype):
    x = torch.randn(2, 5, 8, generator=generator())
    ours = converted(torch_attention(batch_first=True), inputs=[x, x, x]).eval()
    y = ours(x, x, x)[0]
    with torch.autocast("cpu", dtype=dtype):
        automatic = ours(x, x, x)[0]
    cast = ours.to(dtype)(*[x.to(dtype)] * 3)[0]
    assert cast.dtype == dtype
    for narrow in (automatic, cast):
        torch.testing.assert_close(narrow.float(), y, rtol=0.1, atol=0.2)


def test_bad_inputs():
    ours = converted(torch_attention(batch_first=True))
    x = torch.zeros(2, 3, 8)
    causal = torch.zeros(3, 3, dtype=torch.bool)
    for arguments, options, message in (
        ((x, x[:1], x[:1]), {}, r"got \(2, 3, 8\), \(1, 3, 8\), \(1, 3, 8\)"),
        ((x, x, x[:, :2]), {}, "with key and value of one length"),
        ((x[0], x, x), {}, "or all without batch"),
        ((x, x[..., :5], x), {}, r"expected a float tensor of shape \(..., 8\)"),
        ((x, x, x), {"is_causal": True}, "give attn_mask, too"),
        ((x, x, x), {"attn_mask": causal[:2]}, r"must be bool or float, of shape \(3, 3\) or \(4, 3, 3\)"),
        ((x, x, x), {"attn_mask": causal.long()}, r"got torch.int64, \(3, 3\)"),
        ((x, x, x), {"key_padding_mask": causal}, r"key_padding_mask must be bool or float, of shape \(2, 3\)"),
    ):  # fmt: skip
        with pytest.raises(ConversionError, match=message), mode(ours, "calibrate"):
            ours(*arguments, **options)


def test_nested_tensors_are_refused():
    ours = converted(torch_attention(batch_first=True))
    nested = torch.nested.nested_tensor([torch.zeros(2, 8), torch.zeros(3, 8)], layout=torch.jagged)
    with pytest.raises(ConversionError, match="no nested tensors; pad them"):
        ours(nested, nested, nested)
