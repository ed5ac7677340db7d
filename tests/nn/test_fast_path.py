"""torch's transformers: their fused kernels never bypass an approximate layer."""

import copy
import pickle

import pytest
import torch
from torch import nn

from surrogate.nn import ApproxConfig, approximate_, calibrate, mode, restore_

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage"),
]

CONFIG = ApproxConfig(multiplier="bam8s_h1v6")
X = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))
PADDING = torch.tensor([[False, False, False, True], [False, False, True, True], [False] * 4])


def encoder(**options):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2).eval()


@pytest.mark.parametrize("selected", ["linear1", "linear2", "self_attn", "layers.1.", ""])
@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}], ids=["post", "pre"])
def test_approximate_layers_are_run_with_and_without_gradients(selected, options):
    model = encoder(**options)
    names = approximate_(model, CONFIG, lambda m, name: isinstance(m, nn.Linear) and selected in name, products=True)
    assert names
    calibrate(model, [X])
    called = []
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    slow = model(X)
    assert sorted(called) == sorted(names)
    for hooks in (m._forward_hooks for m in model.modules()):  # which keep the fast path off, too
        hooks.clear()
    with torch.no_grad():
        found, padded = model(X), model(X, src_key_padding_mask=PADDING)
        with mode(model, "float"):
            accurate, accurate_padded = model(X), model(X, src_key_padding_mask=PADDING)
        error = (slow - accurate).abs().mean()
        assert (found - slow).abs().mean() < 0.02 * error  # attention that is left accurate rounds in its own ways
        assert (padded - accurate_padded)[~PADDING].abs().mean() > 0.3 * error
        restore_(model)
        torch.testing.assert_close(model(X), accurate)
        torch.testing.assert_close(model(X, src_key_padding_mask=PADDING)[~PADDING], accurate_padded[~PADDING])


def test_restored_transformers_are_fast_again():
    model, untouched = encoder(), encoder()
    approximate_(model, {"layers.1.linear1": CONFIG})
    assert [layer.activation_relu_or_gelu for layer in model.layers] == [1, 0]
    assert not model.use_nested_tensor
    clone = copy.deepcopy(model)
    for one in (model, clone):
        approximate_(one, CONFIG)  # again: what was noted first is kept
        restore_(one)
        assert [vars(m).keys() for m in one.modules()] == [vars(m).keys() for m in untouched.modules()]
        assert one.use_nested_tensor
        with torch.no_grad():
            fast = untouched(X, src_key_padding_mask=PADDING)
            assert torch.equal(one(X, src_key_padding_mask=PADDING), fast)
            assert not fast[PADDING].any()  # nested tensors leave no trace of padding


@pytest.mark.parametrize("name", ["linear1", "self_attn"])
def test_what_is_made_approximate_by_itself_is_run(name):
    model = encoder()
    layer = model.layers[1]
    part = layer.get_submodule(name)
    approximate_(part, CONFIG)
    approximate_(part, CONFIG)
    assert len(part._forward_pre_hooks) == 1
    calibrate(model, [X])
    slow = model(X)
    with torch.no_grad():
        with mode(model, "float"):
            error = (slow - model(X)).abs().mean()
        assert error > 0
        for one in (model, pickle.loads(pickle.dumps(model))):  # noqa: S301  # our own bytes
            assert (one(X) - slow).abs().mean() < 0.02 * error
    restore_(model)  # as part of the whole
    assert not part._forward_pre_hooks
    with torch.no_grad():
        assert torch.equal(model(X), encoder()(X))


def test_an_encoder_made_of_copies_of_an_approximate_layer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    approximate_(layer, CONFIG)
    with pytest.warns(UserWarning, match="activation_relu_or_gelu was not True"):
        model = nn.TransformerEncoder(layer, 2).eval()
    calibrate(model, [X])
    slow = model(X)
    with torch.no_grad():
        assert torch.equal(model(X), slow)


@pytest.mark.parametrize("batch_first", [False, True])
def test_encoder_and_decoder_train(batch_first):
    torch.manual_seed(1)
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.1, batch_first=batch_first)
    target = torch.randn(3, 4, 8)
    causal = nn.Transformer.generate_square_subsequent_mask(4 if batch_first else 3)
    expected = copy.deepcopy(model).eval()(X, target, tgt_mask=causal, tgt_is_causal=True)
    names = approximate_(model, CONFIG, products=True)
    assert len(names) == 3 * 6 + 4  # three attentions; two linear layers in each of encoder and decoder
    calibrate(model, [X], forward=lambda m, x: m(x, target, tgt_mask=causal, tgt_is_causal=True))
    y = model(X, target, tgt_mask=causal, tgt_is_causal=True)
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for n, p in model.named_parameters() if "norm" not in n)
    with mode(model.eval(), "float"):
        torch.testing.assert_close(model(X, target, tgt_mask=causal, tgt_is_causal=True), expected)
    assert restore_(model) == names
