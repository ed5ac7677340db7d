import pytest
import torch
from torch import nn

import surrogate
from multipliers import get
from surrogate.nn import (
    ApproxConfig,
    ApproxConv2d,
    ApproxLinear,
    ConversionError,
    QuantisationError,
    QuantiserConfig,
    approximate_,
    approximate_layers,
    calibrate,
    mode,
    restore_,
)

CONFIG = ApproxConfig(multiplier="bam8s_h0v4")
OTHER = ApproxConfig(multiplier="exact8s", backend="table")


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4)),
        nn.Flatten(),
        nn.Linear(4 * 16, 5),
    )


X = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def test_layers_are_swapped_in_place_and_back():
    model = network().eval()
    before, parameters, layer = model(X), dict(model.named_parameters()), model[0][0]
    assert approximate_(model, CONFIG) == ("0.0", "0.3", "2")
    assert model[0][0] is layer
    assert isinstance(layer, ApproxConv2d)
    assert isinstance(layer, nn.Conv2d)
    assert isinstance(model[2], ApproxLinear)
    assert {name: id(p) for name, p in model.named_parameters()} == {name: id(p) for name, p in parameters.items()}
    calibrate(model, [X])
    assert not torch.equal(model(X), before)
    assert restore_(model) == ("0.0", "0.3", "2")
    assert type(layer) is nn.Conv2d
    assert torch.equal(model(X), before)
    assert dict(model.state_dict()).keys() == dict(network().state_dict()).keys()
    assert restore_(model) == ()


def test_an_optimiser_made_before_conversion_trains_the_converted_model():
    model = network()
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    approximate_(model, CONFIG)
    weight = model[0][0].weight.detach().clone()
    model.train()(X).square().mean().backward()
    optimiser.step()
    assert not torch.equal(model[0][0].weight, weight)


def test_filter_function_selects():
    model = network()
    assert approximate_(model, CONFIG, filter_fn=lambda layer, name: isinstance(layer, nn.Linear)) == ("2",)
    assert type(model[0][0]) is nn.Conv2d


def test_patterns_assign_layer_by_layer():
    model = network()
    names = approximate_(model, {"0.3": None, "re:0\\..*": OTHER, "_default": CONFIG})
    assert names == ("0.0", "2")
    assert model[0][0].config.name == "exact8s"
    assert model[2].config.name == "bam8s_h0v4"
    assert type(model[0][3]) is nn.Conv2d
    fresh = network()
    assert approximate_(fresh, {"0.*": CONFIG}) == ("0.0", "0.3")
    assert type(fresh[2]) is nn.Linear


def test_an_exact_name_wins_over_earlier_patterns():
    model = network()
    approximate_(model, {"*": CONFIG, "2": OTHER})
    assert (model[0][0].config.name, model[2].config.name) == ("bam8s_h0v4", "exact8s")


def test_approximate_layers_are_reconfigured():
    model = network()
    approximate_(model, CONFIG)
    calibrate(model, [X])
    scale = model[2].activation_quantiser.scale.clone()
    approximate_(model, OTHER)
    assert {layer.config.name for _, layer in approximate_layers(model)} == {"exact8s"}
    assert all(layer.calibrated for _, layer in approximate_layers(model))  # the same quantisation
    assert torch.equal(model[2].activation_quantiser.scale, scale)
    approximate_(model, ApproxConfig(multiplier="exact8u"))
    assert not any(layer.calibrated for _, layer in approximate_layers(model))


def test_a_single_layer_and_shared_layers():
    layer = nn.Linear(3, 2)
    assert approximate_(layer, CONFIG) == ("",)
    assert isinstance(layer, ApproxLinear)
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert approximate_(model, CONFIG) == ("0", "2")
    assert model[0] is model[2]
    assert restore_(model) == ("0", "2")
    assert type(shared) is nn.Linear


def test_hooks_survive():
    model, seen = network(), []
    model[2].register_forward_hook(lambda *_: seen.append(1))
    approximate_(model, CONFIG)
    model.train()(X)
    assert seen == [1]


def test_nothing_to_replace_is_an_error():
    with pytest.raises(ConversionError, match=r"no layer to make approximate.*'0'"):
        approximate_(nn.Sequential(nn.ReLU()), CONFIG)
    with pytest.raises(ConversionError, match="no layer"):
        approximate_(network(), CONFIG, filter_fn=lambda *_: False)
    with pytest.raises(ConversionError, match=r"'3.*' decides for no selected layer; layers: '0.0'"):
        approximate_(network(), {"3.*": CONFIG})
    with pytest.raises(ConversionError, match="mapping of patterns"):
        approximate_(network(), "exact8s")
    with pytest.raises(ConversionError, match="must map to an ApproxConfig or None"):
        approximate_(network(), {"2": "exact8s"})


class Subclass(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("model", "filter_fn", "message"),
    [
        (
            nn.Sequential(nn.Bilinear(1, 1, 1)),
            lambda *_: True,
            "layer '0' is a Bilinear; supported are Linear, Conv1d, Conv2d, Conv3d, ConvTranspose1d",
        ),
        (nn.Sequential(Subclass(2, 2)), None, "layer '0' is a Subclass"),
        (nn.Sequential(nn.LazyLinear(2)), None, "layer '0' is a LazyLinear"),
        (nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), None, "layer '1' is a LSTM; .*; exclude it with filter_fn or"),
        (nn.Sequential(nn.GRUCell(2, 2)), None, "layer '0' is a GRUCell"),
        (nn.Sequential(nn.Linear(2, 2), nn.Bilinear(2, 2, 2)), None, "layer '1' is a Bilinear"),
        (nn.Sequential(nn.EmbeddingBag(3, 2)), lambda *_: True, "layer '0' is a EmbeddingBag"),
    ],
    ids=["type", "subclass", "lazy", "recurrent", "cell", "bilinear", "embedding"],
)
def test_unsupported_layers_are_refused_and_nothing_changes(model, filter_fn, message):
    kinds = [type(m) for m in model.modules()]
    with pytest.raises(ConversionError, match=message):
        approximate_(model, CONFIG, filter_fn)
    assert [type(m) for m in model.modules()] == kinds


def test_unsupported_layers_are_excluded_by_name():
    model = nn.Sequential(nn.Embedding(3, 2), nn.LSTM(2, 2), nn.Linear(2, 2))
    assert approximate_(model, {"1": None, "_default": CONFIG}) == ("2",)
    assert approximate_(model, {"2": CONFIG}) == ("2",)


def test_a_failure_half_way_leaves_the_model_as_it_was():
    model = network().eval()
    approximate_(model, {"0.0": CONFIG})
    calibrate(model, [X])
    before = model(X)
    bad = ApproxConfig(multiplier="exact8u", weight=QuantiserConfig(operand="8s"))
    with pytest.raises(QuantisationError):
        approximate_(model, {"2": bad, "_default": OTHER})
    assert [type(m).__name__ for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)] == [
        "ApproxConv2d",
        "Conv2d",
        "Linear",
    ]
    assert torch.equal(model(X), before)


def test_calibration_sees_all_batches_and_restores_modes():
    model = network()
    approximate_(model, CONFIG)
    model.train()
    model[0][1].eval()
    seen = []
    calibrate(model, [(X, None), [X * 3]], progress=seen.append)
    assert seen == [1, 2]
    assert float(model[0][0].activation_quantiser.maximum) == float((X * 3).max())
    assert model.training
    assert not model[0][1].training
    assert model[0][0].mode == "approximate"
    calibrate(model, [X])
    assert float(model[0][0].activation_quantiser.maximum) == float(X.max())


def test_calibration_errors():
    with pytest.raises(ConversionError, match="no approximate layer"):
        calibrate(network(), [X])
    model = network()
    approximate_(model, CONFIG)
    with pytest.raises(ConversionError, match="at least one batch"):
        calibrate(model, [])
    with pytest.raises(ConversionError, match="pass forward="):
        calibrate(model, [{"x": X}])
    with pytest.raises(ConversionError, match="never reached '2'"):
        calibrate(model, [{"x": X}], forward=lambda m, batch: m[0](batch["x"]))


def test_modes():
    model = network().eval()
    accurate = model(X)
    approximate_(model, CONFIG)
    calibrate(model, [X])
    approximate = model(X)
    with mode(model, "float"):
        assert torch.equal(model(X), accurate)
    assert torch.equal(model(X), approximate)
    with pytest.raises(ConversionError, match="mode must be one of"), mode(model, "fast"):
        pass


def test_an_approximate_surrogate_says_so():
    model = network()
    approximate_(model, ApproxConfig(surrogate=surrogate.discover(get("mitchell8s"), method="htp")))
    assert "multiplier=mitchell8s, by approximate surrogate, not calibrated" in repr(model)
