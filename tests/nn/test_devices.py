"""GPUs that are asked for where there are none."""

import copy
from functools import partial

import pytest
import torch

import multipliers
import surrogate
from surrogate.nn import ApproxConfig, ConversionError, approximate_, calibrate, measure_costs
from surrogate.nn.devices import require_device
from tests.pages import run_page

MULTIPLIER = multipliers.get("drum8s_k4")
CONFIGURATIONS = {
    "table": lambda: ApproxConfig(multiplier=MULTIPLIER, backend="table"),
    "surrogate": lambda: ApproxConfig(surrogate=surrogate.discover(MULTIPLIER)),
}
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@pytest.mark.parametrize(
    ("built", "available", "device", "words"),
    [
        (None, False, "cuda", "built without CUDA; install a build with it"),
        ("13.0", False, "cuda:0", "recent enough for CUDA 13.0"),
        ("13.0", True, "cuda:2", "the last GPU here is 'cuda:1'"),
        ("13.0", True, "gpu", "'gpu' names no device"),
    ],
)
def test_what_is_missing(monkeypatch, built, available, device, words):
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 * available)
    with pytest.raises(ConversionError, match=words):
        require_device(device)
    with pytest.raises(ConversionError, match=words):
        measure_costs(device=device)


def test_devices_that_are_there(monkeypatch):
    assert require_device(torch.device("cpu")) == require_device("cpu") == torch.device("cpu")
    assert require_device("meta").type == "meta"
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert require_device("cuda:1") == torch.device("cuda", 1)
    assert require_device("cuda") == torch.device("cuda")


@NO_GPU
@pytest.mark.parametrize("backend", CONFIGURATIONS)
def test_a_model_that_cannot_be_moved_stays_as_it_was(backend):
    """The error is torch's own, and nothing of the model has moved."""
    torch.manual_seed(0)
    x = torch.randn(3, 2, 6, 6)
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.Flatten(), torch.nn.Linear(64, 3)).eval()
    approximate_(model, CONFIGURATIONS[backend]())
    calibrate(model, [x])
    before, expected = copy.deepcopy(model.state_dict()), model(x)
    with pytest.raises((AssertionError, RuntimeError), match="CUDA"):
        model.to("cuda")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize("backend", CONFIGURATIONS)
def test_everything_of_a_layer_moves(backend):
    """To device meta, which is always there."""
    layer = torch.nn.Sequential(torch.nn.Linear(4, 3))
    approximate_(layer, CONFIGURATIONS[backend]())
    assert len(list(layer[0].engine.buffers())) > 0
    layer.to("meta")
    assert {each.device.type for each in (*layer.parameters(), *layer.buffers())} == {"meta"}
    with pytest.raises(ConversionError, match="meta"):
        layer(torch.zeros((2, 4), device="meta"))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, while tracing
def test_the_examples_of_the_page_run(monkeypatch):
    """Traced as they stand; without generating code, which takes most of the time."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    assert "compiled" in run_page("how-to/gpu.md")
