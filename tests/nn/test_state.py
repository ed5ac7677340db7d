"""Saving, loading, copying and moving converted models."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

import surrogate
from multipliers import get
from surrogate.nn import ApproxConfig, ConversionError, approximate_, calibrate

X = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(1))
MODEL = surrogate.discover(get("bam8u_h1v5"))
CONFIGS = {
    "surrogate": ApproxConfig(surrogate=MODEL),
    "table": ApproxConfig(multiplier=get("bam8u_h1v5"), backend="table"),
    "float factors": ApproxConfig(surrogate=surrogate.discover(get("mitchell8u"), method="lowrank", terms=2)),
}


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.fixture
def model(config):
    model = network()
    approximate_(model, config)
    calibrate(model, [X])
    return model.eval()


def test_state_dict_round_trip(model, config):
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    other = network(seed=7)
    approximate_(other, config)
    other.load_state_dict(state)
    assert torch.equal(other.eval()(X), model(X))


def test_everything_that_decides_the_output_is_in_the_state(model):
    keys = set(model.state_dict())
    for part in ("weight", "bias", "fingerprint", "activation_quantiser.scale", "activation_quantiser.zero_point"):
        assert f"0.{part}" in keys
    assert {"0.engine.table"} <= keys or {"0.engine.left", "0.engine.right"} <= keys


def test_parameter_names_are_those_of_the_plain_model(model):
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in network().named_parameters()]


def test_copies_and_pickles_compute_the_same(model):
    expected = model(X)
    for clone in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301  # our own bytes
        assert torch.equal(clone(X), expected)
        with torch.no_grad():
            clone[0].weight.zero_()
    assert torch.equal(model(X), expected)


def test_a_whole_model_saved_and_loaded(model):
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)(X), model(X))


def test_the_state_of_another_multiplier_is_refused(model):
    other = network()
    approximate_(other, ApproxConfig(multiplier="exact8u"))
    with pytest.raises(ConversionError, match="saved for another multiplier than 'exact8u'"):
        other.load_state_dict(model.state_dict())


def test_the_state_of_another_surrogate_of_the_multiplier_is_refused():
    first, second = network(), network()
    approximate_(first, ApproxConfig(surrogate=MODEL))
    approximate_(second, ApproxConfig(surrogate=surrogate.discover(get("bam8u_h1v5"), method="htp")))
    with pytest.raises(ConversionError, match="saved with another surrogate"):
        second.load_state_dict(first.state_dict())


def test_state_moves_between_engines_of_one_multiplier():
    """Quantisers and parameters, not the tables of the engine, carry over from surrogate to table."""
    first, second = network(), network(seed=3)
    approximate_(first, CONFIGS["surrogate"])
    approximate_(second, CONFIGS["table"])
    calibrate(first, [X])
    state = {k: v for k, v in first.state_dict().items() if ".engine." not in k}
    missing, unexpected = second.load_state_dict(state, strict=False)
    assert unexpected == []
    assert set(missing) == {"0.engine.table", "3.engine.table"}
    assert torch.equal(first.eval()(X), second.eval()(X))


def test_moving_takes_every_tensor_along(model):
    moved = copy.deepcopy(model).to("meta")
    tensors = dict(moved.named_parameters()) | dict(moved.named_buffers())
    assert {t.device.type for t in tensors.values()} == {"meta"}
    assert tensors.keys() >= {"0.fingerprint", "0.weight_quantiser.scale"}


def test_casting_leaves_integers_and_scales_alone(model):
    before = {name: b.dtype for name, b in model.named_buffers()}
    model.half()
    assert {name: b.dtype for name, b in model.named_buffers()} == before
    assert model(X.half()).dtype == torch.float16
