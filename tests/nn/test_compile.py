"""Compiled models: no graph breaks, one graph for all steps of training, the same integers."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

import surrogate
from multipliers import OperandFormat, TableMultiplier, get
from surrogate.nn import (
    ApproxConfig,
    ApproxConv1d,
    ApproxConv2d,
    ApproxConv3d,
    ApproxConvTranspose2d,
    ApproxLinear,
    ApproxMatmul,
    NotCalibratedError,
    QuantisationError,
    QuantiserConfig,
    approximate_,
    calibrate,
    mode,
)
from surrogate.nn.engines.additive import skipped_lanes
from surrogate.nn.engines.table import table_sums
from surrogate.nn.products.floats import float_convolution, float_product
from surrogate.nn.products.int8 import multiply
from surrogate.nn.quantisation.learned_step import positive_steps
from surrogate.nn.quantisation.observers import observed_range
from surrogate.nn.simulation.modes import SIMULATIONS
from tests.nn.conftest import asymmetric_table, configurations

# torch's own: it builds an instance of an autograd function while it traces one
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


def quick(names, *always):
    """Mark all but some cases as slow."""
    return [name if name in always else pytest.param(name, marks=pytest.mark.slow) for name in names]


def additive_multiplier():
    """Its surrogate has terms of one operand alone, and f(0, 0) is not 0."""
    generator = np.random.default_rng(3)
    a, b = OperandFormat(6), OperandFormat(5)
    g, h = generator.integers(-90, 90, a.size), generator.integers(1, 90, b.size)
    return TableMultiplier(a.values()[:, None] * b.values() + g[:, None] + h, a, b, name="additive")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))


def images(seed, batch=5):
    return torch.randn(batch, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


CONFIGS = dict(zip(("table", "int8", "float32"), configurations(asymmetric_table("8u", "8s")), strict=True)) | {
    "additive, skipping": ApproxConfig(multiplier=additive_multiplier(), skip_padding=True),
    "float factors": ApproxConfig(surrogate=surrogate.discover(get("mitchell8u"), method="lowrank", terms=2)),
    "clipping": ApproxConfig(
        multiplier="drum8u_k4",
        activation=QuantiserConfig(observer="percentile"),
        weight=QuantiserConfig(observer="mse", granularity="channel"),
    ),
    "learned step": ApproxConfig(
        multiplier="drum8u_k4", activation=QuantiserConfig(learned_step=True), weight=QuantiserConfig(learned_step=True)
    ),
}


def converted(config):
    model = network()
    approximate_(model, config)
    calibrate(model, [images(1)])
    return model


def compiled(model, backend="eager"):
    """A model compiled without graph breaks, and the counter of its graphs."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend(backend)
    return torch.compile(model, fullgraph=True, backend=counter), counter


def steps(model, twin, n=3):
    """Train two models alike; yield the outputs and the gradients of each step."""
    models = model, twin
    optimisers = [torch.optim.SGD(m.parameters(), lr=1e-3) for m in models]
    for seed in range(n):
        outputs = []
        for m, optimiser in zip(models, optimisers, strict=True):
            optimiser.zero_grad()
            y = m(images(seed + 2))
            (y**2).mean().backward()
            optimiser.step()
            outputs.append(y.detach())
        yield outputs, [[p.grad for p in m.parameters()] for m in models]


def check_equal_state(model, twin):
    for (name, value), other in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("name", quick(CONFIGS, "int8", "learned step"))
def test_training_is_one_graph_with_the_same_outputs_gradients_and_ranges_and_evaluation_another(name):
    model = converted(CONFIGS[name])
    twin = copy.deepcopy(model)
    run, counter = compiled(model.train(), "aot_eager" if name in ("table", "int8") else "eager")
    for outputs, gradients in steps(run, twin.train()):
        torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert counter.frame_count == 1
    check_equal_state(model, twin)
    model.eval()
    with torch.no_grad():
        assert torch.equal(run(images(7)), model(images(7)))
    assert counter.frame_count == 2


def test_training_from_the_first_batch_needs_no_calibration():
    model = network()
    approximate_(model, CONFIGS["int8"])
    twin = copy.deepcopy(model)
    run, counter = compiled(model)
    for outputs, _ in steps(run, twin):
        torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    assert counter.frame_count == 1
    check_equal_state(model, twin)
    assert model[0].calibrated


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # parts of torch that inductor imports
@pytest.mark.parametrize("name", ["int8", "table"])
def test_inductor_computes_the_same(name):
    model = converted(CONFIGS[name])
    twin = copy.deepcopy(model)
    run, _ = compiled(model.train(), "inductor")
    for outputs, gradients in steps(run, twin.train(), 2):
        torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(run(images(9)), model(images(9)), rtol=1e-5, atol=1e-5)


MODES = ("float", *SIMULATIONS)
LAYERS = {
    "conv1d": (lambda c: ApproxConv1d(2, 3, 3, padding="same", dilation=2, config=c), (4, 2, 9)),
    "conv2d": (lambda c: ApproxConv2d(4, 6, (3, 2), stride=2, groups=2, padding=1, config=c), (2, 4, 5, 6)),
    "conv2d, reflected": (lambda c: ApproxConv2d(2, 3, 3, padding=1, padding_mode="reflect", config=c), (2, 2, 5, 6)),
    "conv3d": (lambda c: ApproxConv3d(2, 2, 2, padding=1, config=c), (2, 2, 3, 3, 4)),
    "transposed": (lambda c: ApproxConvTranspose2d(2, 3, 3, stride=2, padding=1, config=c), (2, 2, 3, 4)),
    "linear": (lambda c: ApproxLinear(7, 5, config=c), (2, 3, 7)),
}


@pytest.mark.parametrize("kind", quick(LAYERS, "conv2d", "transposed", "linear"))
@pytest.mark.parametrize("name", quick(("table", "int8", "float32", "additive, skipping"), "table", "int8"))
def test_sums_of_every_layer_are_the_same_integers(kind, name):
    build, shape = LAYERS[kind]
    torch.manual_seed(0)
    layer, x = build(CONFIGS[name]), torch.randn(shape)
    calibrate(layer, [x])
    run, _ = compiled(layer.eval().accumulate)
    assert torch.equal(run(x), layer.accumulate(x))


def test_products_of_two_activations():
    product = ApproxMatmul(CONFIGS["int8"])
    x, y = torch.randn(2, 5, 7, requires_grad=True), torch.randn(7, 3, requires_grad=True)
    calibrate(product, [x], forward=lambda product, x: product(x, y))
    run, _ = compiled(product.eval())
    expected = torch.autograd.grad((product(x, y) ** 2).sum(), (x, y))
    z = run(x, y)
    assert torch.equal(z, product(x, y))
    torch.testing.assert_close(torch.autograd.grad((z**2).sum(), (x, y)), expected)


@pytest.mark.parametrize("name", quick(MODES, "quantised"))
def test_modes_switch_between_graphs(name):
    layer, x = ApproxLinear(7, 5, config=ApproxConfig(multiplier=asymmetric_table("8u", "8s"))), torch.randn(4, 7)
    calibrate(layer, [x])
    run, _ = compiled(layer.eval())
    with torch.no_grad():
        before = run(x)
        with mode(layer, name):
            torch.manual_seed(1)
            expected = layer(x)  # draws the errors of mode "relative" once for all calls
            torch.manual_seed(1)
            assert torch.equal(run(x), expected)
        assert torch.equal(run(x), before)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["difference", "factored"])
def test_gradients_of_the_approximate_product(gradient):
    config = ApproxConfig(multiplier="bam8u_h1v5", gradient=gradient)
    layer, x = ApproxConv2d(2, 4, 3, padding=1, config=config), images(1)
    calibrate(layer, [x])
    run, _ = compiled(layer, "aot_eager")
    found, expected = (torch.autograd.grad((f(x) ** 2).sum(), layer.weight)[0] for f in (run, layer))
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_transformers():
    torch.manual_seed(0)
    model, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(2, 5, 8)
    approximate_(model, CONFIGS["int8"])
    calibrate(model, [x])
    run, _ = compiled(model.eval())
    with torch.no_grad():
        assert torch.equal(run(x), model(x))


def test_activations_that_are_not_finite_stop_a_compiled_step():
    run, _ = compiled(converted(CONFIGS["int8"]).train())
    run(images(1))
    # a compiled graph that is left by an error leaves the gradient mode as it was at that place: torch's own doing
    with pytest.raises(QuantisationError, match="NaN or infinity"), torch.enable_grad():
        run(images(1) / 0)


def test_a_step_that_is_not_positive_stops_a_compiled_step():
    model = converted(CONFIGS["learned step"])
    run, _ = compiled(model)
    run(images(1))
    with torch.no_grad():
        model[0].activation_quantiser.scale.neg_()
    with pytest.raises(QuantisationError, match="not positive"):
        run(images(1))


def test_layers_without_a_range_are_refused():
    model = network()
    approximate_(model, CONFIGS["int8"])
    run, _ = compiled(model.eval())
    with pytest.raises((NotCalibratedError, torch._dynamo.exc.Unsupported, torch._dynamo.exc.ObservedException)) as e:
        run(images(1))
    assert "surrogate.nn.calibrate" in str(e.value)


def test_a_loaded_range_is_known_to_compiled_graphs():
    state = converted(CONFIGS["int8"]).state_dict()
    model = network()
    approximate_(model, CONFIGS["int8"])
    untouched = copy.deepcopy(model.state_dict())
    model.load_state_dict(state)
    run, _ = compiled(model.eval())
    assert torch.equal(run(images(4)), model(images(4)))
    model.load_state_dict(untouched)
    with pytest.raises(NotCalibratedError):
        model(images(4))


@pytest.mark.filterwarnings("ignore:.*was not decorated with:UserWarning")
def test_operators_pass_torchs_own_check():
    integers = torch.Generator().manual_seed(0)

    def random(*shape, high=16, dtype=torch.int64):
        return torch.randint(0, high, shape, generator=integers).to(dtype)

    x, table, w = random(2, 5, 6, 4, dtype=torch.int32), random(16, 16, high=99), random(2, 3, 12)
    calls = {
        "table_sums": (x, table, w, 98, [3, 2], [1, 2], [1, 1]),
        "int8_product": (random(20, 8, dtype=torch.int8), random(8, 3, dtype=torch.int8)),
        "float_product": (torch.randn(3, 4, 5), torch.randn(3, 5, 2)),
        "float_convolution": (torch.randn(2, 4, 5, 5), torch.randn(6, 2, 3, 3), [2, 1], [1, 1], 2),
        "skipped_lanes": (x == 3, -random(2, 12, 3).double(), [3, 2], [1, 2], [1, 1]),
        "positive_steps": (torch.rand(3) + 0.1,),
        **{f"observed_range {o}": (torch.randn(3, 40), "it holds", o, 99.0, "8u", False) for o in ("minmax", "mse")},
    }
    functions = (table_sums, multiply, float_product, float_convolution, skipped_lanes, positive_steps)
    for (name, arguments), function in zip(calls.items(), (*functions, *[observed_range] * 2), strict=True):
        operator = getattr(torch.ops.axsurrogate, name.split()[0])
        torch.library.opcheck(operator, arguments)
        torch.testing.assert_close(operator(*arguments), function(*arguments))
