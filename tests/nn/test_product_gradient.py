"""Gradients by smoothed differences, of the table and of a surrogate's factors, against a loop over every product."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import multipliers
import surrogate
from multipliers import OperandFormat, TableMultiplier
from surrogate.nn import (
    ApproxConfig,
    ApproxConv1d,
    ApproxConv2d,
    ApproxConv3d,
    ApproxConvTranspose1d,
    ApproxConvTranspose2d,
    ApproxConvTranspose3d,
    ApproxLinear,
    ApproxMatmul,
    ConversionError,
    QuantiserConfig,
    approximate_,
    calibrate,
    mode,
    restore_,
)
from surrogate.nn.gradients.choice import product_gradient
from surrogate.nn.simulation.products import accurate_product
from tests.nn.conftest import asymmetric_table, exact_surrogate, image
from tests.nn.gradient_oracle import Operand, differences, gradients, layer_lanes, matmul_lanes, regressions

pytestmark = pytest.mark.usefixtures("one_thread")

FORMATS = [("5u", "4u"), ("4s", "5u"), ("5s", "4s")]
HALF_WINDOW = 2
LAYERS = {
    "linear": (ApproxLinear, (6, 5), {}, (20, 6)),
    "linear of few rows": (ApproxLinear, (6, 3), {}, (2, 3, 6)),
    "conv1d": (ApproxConv1d, (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, (3, 4, 11)),
    "conv2d": (ApproxConv2d, (3, 5, (2, 3)), {}, (2, 3, 6, 5)),
    "strided": (ApproxConv2d, (2, 4, 3), {"stride": (2, 1), "padding": (2, 1)}, (2, 2, 6, 5)),
    "dilated": (ApproxConv2d, (2, 4, 2), {"dilation": (2, 3), "padding": 2}, (2, 2, 5, 6)),
    "grouped": (ApproxConv2d, (4, 8, 3), {"groups": 2, "padding": 1}, (2, 4, 4, 5)),
    "depthwise": (ApproxConv2d, (3, 3, 3), {"groups": 3, "padding": 1, "stride": 2}, (2, 3, 5, 4)),
    "reflected": (ApproxConv2d, (2, 3, 3), {"padding": (2, 1), "padding_mode": "reflect"}, (2, 2, 4, 4)),
    "pointwise": (ApproxConv2d, (3, 5, 1), {"bias": False}, (2, 3, 4, 5)),
    "conv3d": (ApproxConv3d, (2, 4, (2, 1, 2)), {"padding": (1, 0, 1), "groups": 2}, (2, 2, 3, 3, 2)),
    "transposed1d": (ApproxConvTranspose1d, (2, 4, 3), {"stride": 2, "padding": 1}, (2, 2, 5)),
    "transposed2d": (
        ApproxConvTranspose2d,
        (4, 4, (3, 2)),
        {"stride": 2, "padding": (2, 0), "output_padding": 1, "groups": 2},
        (2, 4, 3, 3),
    ),
    "transposed3d": (ApproxConvTranspose3d, (1, 4, 2), {"stride": (1, 2, 1), "dilation": (1, 1, 2)}, (1, 1, 2, 3, 2)),
}


def configuration(formats, gradient, **options):
    table = asymmetric_table(*formats)
    by_table = gradient == "difference" or (gradient == "regression" and options.get("activation_operand") == "b")
    source = {"backend": "table"} if by_table else {"surrogate": exact_surrogate(table)}
    smoothing = {} if gradient == "regression" else {"gradient_smoothing": HALF_WINDOW}
    return ApproxConfig(multiplier=table, gradient=gradient, **smoothing, **source, **options)


def slopes_of(config, table):
    return regressions(table) if config.gradient == "regression" else differences(table, HALF_WINDOW)


def oriented(config):
    """Table by (activation, weight), and the smallest values of both."""
    table = config.multiplier.table()
    minima = config.activation_format.minimum, config.weight_format.minimum
    return (table.T if config.activation_operand == "b" else table), minima


def run(module, *inputs, seed=4):
    """Output, and the gradients of its product with a random direction."""
    leaves = [v.clone().requires_grad_() for v in inputs]
    module.zero_grad()
    y = module(*leaves)
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=y.dtype)
    y.backward(direction)
    return direction.numpy(), [leaf.grad for leaf in leaves]


def build(case, config, seed=1):
    kind, sizes, options, shape = LAYERS[case] if isinstance(case, str) else case
    torch.manual_seed(seed)
    layer = kind(*sizes, **options, config=config).double()
    x = torch.from_numpy(image(*shape)).double() + 0.3
    calibrate(layer, [x])
    return layer.eval(), 1.3 * x  # some values are clamped


def check_layer(case, config):
    layer, x = build(case, config)
    direction, (of_x,) = run(layer, x)
    weight, channel_axis = layer.weight.detach().numpy(), 1 if getattr(layer, "transposed", False) else 0
    if channel_axis == 1 and layer.groups > 1:  # torch lays output channels of groups out as (in, out / groups)
        scales = [layer.weight_quantiser.scale, layer.weight_quantiser.zero_point]
        assert all(v.numel() == 1 for v in scales), "per tensor only"
    shape = tuple(-1 if i == channel_axis else 1 for i in range(weight.ndim))
    xs, ws = Operand.of(x.numpy(), layer.activation_quantiser), Operand.of(weight, layer.weight_quantiser, shape)
    lanes = list(layer_lanes(layer, x.shape, direction.shape))
    table, minima = oriented(config)
    expected = gradients(lanes, xs, ws, table, minima, slopes_of(config, table), direction)
    assert not xs.inside.all()
    assert xs.zero_point.any() or config.activation_format.signed
    found = [of_x, layer.weight.grad]
    for quantiser in (layer.activation_quantiser, layer.weight_quantiser):
        found.append(quantiser.scale.grad if isinstance(quantiser.scale, nn.Parameter) else None)
    for one, other in zip(found, expected, strict=True):
        if one is not None:
            np.testing.assert_allclose(one.numpy(), other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("role", ["a", "b"])
@pytest.mark.parametrize("gradient", ["difference", "factored", "regression"])
@pytest.mark.parametrize("case", LAYERS)
def test_layers(case, gradient, role):
    formats = FORMATS[list(LAYERS).index(case) % len(FORMATS)]
    weight = QuantiserConfig(granularity="tensor" if case == "transposed2d" else "channel")
    check_layer(case, configuration(formats, gradient, activation_operand=role, weight=weight))


small = st.integers(1, 3)


@given(
    st.sampled_from(["difference", "factored", "regression"]),
    st.sampled_from(FORMATS),
    st.tuples(small, small),
    st.tuples(small, small),
    st.tuples(small, small),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(small, small, st.integers(1, 4)),
    st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_convolutions_of_any_geometry(gradient, formats, kernel, stride, dilation, padding, channels, skip):
    groups, per_group, out_per_group = channels
    sizes = (groups * per_group, groups * out_per_group, kernel)
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    case = ApproxConv2d, sizes, options, (2, groups * per_group, 8, 7)
    check_layer(case, configuration(formats, gradient, skip_padding=skip, weight=QuantiserConfig()))


@pytest.mark.parametrize("gradient", ["difference", "factored", "regression"])
@pytest.mark.parametrize("case", ["strided", "depthwise", "conv3d", "transposed1d", "transposed2d"])
def test_lanes_that_the_hardware_skips_or_does_not(case, gradient):
    options = {"skip_inserted": False} if case.startswith("transposed") else {"skip_padding": True}
    weight = QuantiserConfig(granularity="tensor")
    check_layer(case, configuration(FORMATS[0], gradient, weight=weight, **options))


@pytest.mark.parametrize("gradient", ["difference", "factored", "regression"])
@pytest.mark.parametrize("case", ["linear", "grouped", "strided", "transposed1d"])
def test_learned_steps(case, gradient):
    learned = {
        "activation": QuantiserConfig(learned_step=True),
        "weight": QuantiserConfig(learned_step=True, granularity="channel"),
    }
    check_layer(case, configuration(FORMATS[0], gradient, skip_padding=case == "strided", **learned))


@pytest.mark.parametrize("gradient", ["difference", "factored"])
def test_an_affine_weight_per_channel_with_a_learned_step_of_the_activation_only(gradient):
    config = configuration(
        ("5s", "4s"),
        gradient,
        activation=QuantiserConfig(scheme="affine", learned_step=True),
        weight=QuantiserConfig(scheme="affine", granularity="channel"),
    )
    check_layer("conv2d", config)


@pytest.mark.parametrize("role", ["a", "b"])
@pytest.mark.parametrize("gradient", ["difference", "factored", "regression"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((40, 5), (5, 6)),
        ((3, 2, 5), (3, 5, 4)),
        ((2, 3, 4, 5), (5, 2)),
        ((4, 5), (3, 5, 2)),
        ((2, 1, 3, 4), (3, 4, 2)),
        ((5,), (5,)),
        ((5,), (2, 5, 3)),
        ((2, 3, 5), (5,)),
    ],
    ids=str,
)
def test_products_of_two_activations(shapes, gradient, role):
    step = QuantiserConfig(learned_step=True)
    config = configuration(FORMATS[0], gradient, activation_operand=role, activation=step, weight=step)
    product = ApproxMatmul(config)
    x, y = (torch.from_numpy(image(*shape, seed=i)).double() + 0.2 for i, shape in enumerate(shapes))
    calibrate(product, [x], forward=lambda p, first: p(first, y))
    product.eval()
    direction, found = run(product, 1.2 * x, 1.2 * y)
    rows, columns = (x[None] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
    operands = [
        Operand.of(1.2 * v.numpy(), q) for v, q in zip((rows, columns), product.activations.values(), strict=True)
    ]
    table, minima = oriented(config)
    lanes = matmul_lanes(x.shape, y.shape)
    expected = gradients(lanes, *operands, table, minima, slopes_of(config, table), direction)
    found += [quantiser.scale.grad for quantiser in product.activations.values()]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.reshape(one.shape), rtol=1e-5, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize(
    ("gradient", "smoothing"),
    [*((gradient, h) for gradient in ("difference", "factored") for h in (0, 7, None)), ("regression", None)],
)
@pytest.mark.parametrize("label", ["exact8u", "exact8s"])
def test_of_an_accurate_multiplier_they_are_the_straight_through_gradient(label, gradient, smoothing):
    for case in ("linear", "grouped", "transposed1d"):
        found = []
        for options in ({}, {"gradient": gradient, "gradient_smoothing": smoothing}):
            layer, x = build(case, ApproxConfig(multiplier=label, **options))
            found.append([*run(layer, x)[1], layer.weight.grad.clone()])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_a_constant_product_leaves_the_zero_points_alone():
    """A surrogate without any product: of ``f = 7``, only the corrections by zero points have gradients."""
    constant = TableMultiplier(np.full((32, 16), 7), "5u", "4u", name="constant")
    model = surrogate.discover(constant)
    assert model.n_products == 0
    found = []
    for gradient in ("difference", "factored", "regression"):
        layer, x = build("strided", ApproxConfig(surrogate=model, gradient=gradient))
        found.append([*run(layer, x)[1], layer.weight.grad.clone()])
    for one, *others in zip(*found, strict=True):
        assert one.abs().sum() > 0
        for other in others:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("label", ["bam8u_h1v6", "drum8u_k4", "bam8s_h0v5", "bam8x6u_h1v4"])
def test_factors_of_an_exact_surrogate_give_the_gradient_of_the_table(label):
    """In float32, at full operand width, through specialised tables."""
    found = []
    for gradient in ("difference", "factored"):
        torch.manual_seed(0)
        model = surrogate.discover(multipliers.get(label))
        assert model.is_exact
        config = ApproxConfig(multiplier=multipliers.get(label), surrogate=model, gradient=gradient)
        layer = ApproxConv2d(4, 6, 3, padding=1, config=config).train()
        found.append([*run(layer, torch.from_numpy(image(8, 4, 7, 7)))[1], layer.weight.grad.clone()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))
    straight = ApproxConfig(multiplier=multipliers.get(label))
    torch.manual_seed(0)
    layer = ApproxConv2d(4, 6, 3, padding=1, config=straight).train()
    (of_x,) = run(layer, torch.from_numpy(image(8, 4, 7, 7)))[1]
    assert not torch.allclose(of_x, found[0][0], rtol=1e-2)


def test_images_are_done_in_blocks(monkeypatch):
    import surrogate.nn.gradients.difference as by_table
    import surrogate.nn.gradients.factored as by_factors

    for gradient, case in (("difference", "grouped"), ("difference", "depthwise"), ("factored", "strided")):
        layer, x = build(case, configuration(FORMATS[0], gradient, skip_padding=True))
        whole = [*run(layer, x)[1], layer.weight.grad.clone()]
        with monkeypatch.context() as patch:
            patch.setattr(by_table, "_BLOCK_LANES", 1)
            patch.setattr(by_table, "_BLOCK_ENTRIES", 1)
            patch.setattr(by_table, "_BLOCK_PRODUCTS", 1)
            patch.setattr(by_factors, "_BLOCK_VALUES", 1)
            for one, other in zip(whole, [*run(layer, x)[1], layer.weight.grad], strict=True):
                torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("gradient", ["difference", "factored"])
def test_an_empty_batch(gradient):
    for case in ("linear", "grouped", "depthwise", "conv3d", "transposed1d"):
        layer, x = build(case, configuration(FORMATS[0], gradient))
        (of_x,) = run(layer, x[:0])[1]
        assert of_x.shape == x[:0].shape
        assert layer.weight.grad.abs().sum() == 0
    product = ApproxMatmul(configuration(FORMATS[0], gradient))
    x, y = torch.randn(3, 4), torch.randn(4, 2)
    calibrate(product, [x], forward=lambda p, first: p(first, y))
    assert [v.abs().sum() for v in run(product, x[:0], y)[1]] == [0, 0]


@pytest.mark.parametrize("gradient", ["difference", "factored"])
def test_only_what_needs_a_gradient_gets_one(gradient):
    layer, x = build("conv2d", configuration(FORMATS[0], gradient))
    (both,) = run(layer, x)[1]
    of_weight = layer.weight.grad.clone()
    layer.weight.requires_grad_(False)
    layer.zero_grad()
    assert torch.equal(run(layer, x)[1][0], both)
    assert layer.weight.grad is None
    layer.weight.requires_grad_(True)
    layer.zero_grad()
    y = layer(x)
    y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(4), dtype=y.dtype))
    assert torch.equal(layer.weight.grad, of_weight)


@pytest.mark.parametrize("gradient", ["difference", "factored"])
def test_ranges_observed_between_forward_and_backward_change_nothing(gradient):
    grads = []
    for again in (False, True):
        layer, x = build("strided", configuration(FORMATS[0], gradient))
        layer.train()
        leaf = x.clone().requires_grad_()
        y = layer(leaf)
        if again:
            layer(5 * x - 1)
        y.sum().backward()
        grads.append([leaf.grad, layer.weight.grad])
    for one, other in zip(*grads, strict=True):
        assert torch.equal(one, other)


def test_an_output_size_asked_for_in_one_call_holds_in_its_backward_pass():
    layer = ApproxConvTranspose2d(2, 4, 3, stride=2, config=configuration(FORMATS[0], "difference"))
    x = torch.from_numpy(image(2, 2, 4, 3)).requires_grad_()
    calibrate(layer, [x])
    found = torch.autograd.grad(layer(x, output_size=(10, 8)).sum(), x)[0]
    layer.output_padding = (1, 1)
    assert torch.equal(found, torch.autograd.grad(layer(x).sum(), x)[0])


@pytest.mark.parametrize("gradient", ["difference", "factored"])
def test_activations_are_kept_as_bytes(gradient):
    kept = []
    config = ApproxConfig(multiplier="bam8u_h1v6", gradient=gradient)
    layer = ApproxConv2d(3, 4, 3, padding=1, config=config).train()
    x = torch.from_numpy(image(4, 3, 9, 9)).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda v: kept.append(v) or v, lambda v: v):
        layer(x)
    assert {v.dtype for v in kept if v.numel() >= x.numel()} == {torch.uint8, torch.bool}  # integers, clamped or not


def test_modes_of_accurate_products_and_baselines_are_straight_through():
    layer, x = build("conv2d", ApproxConfig(multiplier="bam8u_h1v6", gradient="difference"))
    plain, _ = build("conv2d", ApproxConfig(multiplier="bam8u_h1v6"))
    straight, own = run(plain, x)[1][0], run(layer, x)[1][0]
    assert not torch.allclose(straight, own, rtol=1e-3)
    for name, expected in (("quantised", straight), ("linear", straight), ("table", own), ("exact", own)):
        with mode(layer, name):
            torch.testing.assert_close(run(layer, x)[1][0], expected, rtol=1e-10, atol=1e-10)


def test_the_model_keeps_its_state_and_its_gradient():
    config = ApproxConfig(multiplier="bam8u_h1v6", gradient="difference")
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    keys = set(model.state_dict())
    approximate_(model, ApproxConfig(multiplier="bam8u_h1v6"))
    plain = set(model.state_dict())
    approximate_(model, config)
    assert set(model.state_dict()) == plain
    x = torch.from_numpy(image(3, 2, 4, 4))
    calibrate(model, [x])
    assert "gradient=difference" in str(model[0])
    (found,) = run(model, x)[1]
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert torch.equal(run(twin, x)[1][0], found)
    assert model.half()[0].product_gradient.by_weight.dtype == torch.float32
    assert run(model, x.half())[1][0].dtype == torch.float16
    restore_(model)
    assert set(model.state_dict()) == keys
    assert not hasattr(model[0], "product_gradient")


def test_operands_too_wide_for_a_table_have_factors():
    wide = accurate_product(OperandFormat(16), OperandFormat(16))
    layer = ApproxLinear(4, 3, config=ApproxConfig(surrogate=wide, gradient="factored")).train()
    plain = ApproxLinear(4, 3, config=ApproxConfig(surrogate=wide)).train()
    plain.load_state_dict(layer.state_dict())
    x = torch.from_numpy(image(5, 4))
    torch.testing.assert_close(run(layer, x)[1][0], run(plain, x)[1][0])
    with pytest.raises(ConversionError, match=r"more than 2\*\*24 entries; use gradient='factored'"):
        ApproxLinear(4, 3, config=ApproxConfig(surrogate=wide, gradient="difference"))


def test_bad_configurations_are_refused():
    noise = TableMultiplier(np.random.default_rng(0).integers(0, 1 << 16, (256, 256)), "8u", name="noise")
    with pytest.raises(ConversionError, match="has no exact one of few terms"):
        product_gradient(ApproxConfig(multiplier=noise, backend="table", gradient="factored"))
    assert product_gradient(ApproxConfig(multiplier=noise, gradient="difference")) is not None
    with pytest.raises(ConversionError, match="gradient must be one of"):
        ApproxConfig(multiplier="exact8u", gradient="numeric")
    for smoothing in (-1, 2.0, True):
        with pytest.raises(ConversionError, match="gradient_smoothing must be None or a whole number"):
            ApproxConfig(multiplier="exact8u", gradient="difference", gradient_smoothing=smoothing)
    with pytest.raises(ConversionError, match="gradient='regression' smooths nothing"):
        ApproxConfig(multiplier="exact8u", gradient="regression", gradient_smoothing=3)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, while tracing
@pytest.mark.parametrize("gradient", ["difference", "factored"])
def test_compiled_layers_have_them_without_graph_breaks(gradient):
    torch._dynamo.reset()
    layer, x = build("strided", configuration(FORMATS[0], gradient))
    (of_x,), of_w = run(layer, x)[1], layer.weight.grad.clone()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(run(compiled, x)[1][0], of_x)
    torch.testing.assert_close(layer.weight.grad, of_w)
