"""What layers compute in each mode, against plain NumPy and the multiplier's own statistics."""

import math

import numpy as np
import pytest
import torch

import surrogate
from multipliers import OperandFormat, get
from multipliers.metrics import error_metrics
from surrogate.nn import ApproxConfig, ConversionError
from surrogate.nn.geometry import POINTWISE, Convolution
from surrogate.nn.simulation.modes import SIMULATIONS, simulation_engine
from surrogate.nn.simulation.products import accurate_product, linear_regression

LABELS = ["drum8u_k4", "bam8s_h3v7", "bam8x6u_h1v4", "bam12s_h2v6"]


def operands(config, rows, lanes, channels, seed=0):
    """Random (activations, weights) in the role's formats, and the values as indices for the engine."""
    rng = np.random.default_rng(seed)
    x_format, w_format = config.activation_format, config.weight_format
    x = rng.integers(x_format.minimum, x_format.maximum + 1, (rows, lanes))
    w = rng.integers(w_format.minimum, w_format.maximum + 1, (channels, lanes))
    x_index = torch.from_numpy(x - x_format.minimum).to(torch.int32).reshape(rows, 1, 1, lanes)
    w_index = torch.from_numpy(w - w_format.minimum).reshape(channels, 1, 1, lanes)
    return x, w, x_index, w_index


def sums(engine, x_index, w_index):
    prepared = engine.prepare(w_index, 1)
    return engine.sums(x_index, prepared, POINTWISE).reshape(x_index.shape[0], -1).double().numpy()


@pytest.mark.parametrize("role", ["a", "b"])
@pytest.mark.parametrize("label", [*LABELS, "mitchell16u"])
def test_quantised_sums_are_those_of_accurate_products(label, role):
    config = ApproxConfig(multiplier=label, activation_operand=role)
    x, w, x_index, w_index = operands(config, 7, 90, 5)
    np.testing.assert_array_equal(sums(simulation_engine(config, "quantised"), x_index, w_index), x @ w.T)


def test_accurate_products_of_any_two_formats():
    product = accurate_product(OperandFormat(5), OperandFormat(9, True))
    assert product.is_exact
    assert (product.a, product.b) == (OperandFormat(5), OperandFormat(9, True))


@pytest.mark.parametrize("label", LABELS[:3])
def test_regression_is_the_least_squares_solution_over_all_pairs(label):
    multiplier = get(label)
    a, b = np.meshgrid(multiplier.a.values(), multiplier.b.values(), indexing="ij")
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    design = np.stack([a * b, a, b, a * a, b * b], axis=1)
    product = multiplier(a.astype(int), b.astype(int)).astype(float)
    expected, *_ = np.linalg.lstsq(design, product, rcond=1e-15)
    model = linear_regression(multiplier)
    np.testing.assert_allclose([t.coefficient for t in model.terms], expected, rtol=1e-6, atol=1e-9)
    residual = product - design @ expected
    assert model.certificate.rms_residual == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-9)
    assert np.abs(design.T @ residual / np.abs(design).max(axis=0)).max() < 1e-6 * np.abs(product).max() * len(a)


@pytest.mark.parametrize("role", ["a", "b"])
def test_linear_sums_are_those_of_the_regression(role):
    config = ApproxConfig(multiplier="bam8x6u_h1v4", activation_operand=role)
    x, w, x_index, w_index = operands(config, 6, 40, 3)
    model = linear_regression(config.multiplier)
    a, b = (x[:, None], w[None]) if role == "a" else (w[None], x[:, None])
    expected = model(*np.broadcast_arrays(a, b)).sum(axis=2)
    np.testing.assert_allclose(sums(simulation_engine(config, "linear"), x_index, w_index), expected, rtol=1e-5)


def test_a_regression_of_wide_operands_is_near_that_of_any_pairs():
    """Of 12-bit operands, on 2**18 random pairs that the regression has not seen."""
    multiplier = get("bam12s_h2v6")
    rng = np.random.default_rng(3)
    a, b = rng.integers(multiplier.a.minimum, multiplier.a.maximum + 1, (2, 1 << 18))
    product = multiplier(a, b)
    residual = product - linear_regression(multiplier)(a, b)
    x, y = a.astype(float), b.astype(float)
    design = np.stack([x * y, x, y, x * x, y * y], axis=1)
    best, *_ = np.linalg.lstsq(design, product, rcond=1e-15)
    assert np.sqrt(np.mean(residual**2)) <= 1.02 * np.sqrt(np.mean((product - design @ best) ** 2))


@pytest.mark.parametrize("label", LABELS[:3])
def test_noise_has_the_moments_of_the_multiplier_scaled_to_the_fan_in(label):
    """Over 40,000 draws: the mean within 4 standard errors, the SD within 2 per cent, a normal distribution."""
    torch.manual_seed(0)
    config = ApproxConfig(multiplier=label)
    metrics, lanes = error_metrics(get(label)), 50
    x, w, x_index, w_index = operands(config, 2000, lanes, 20)
    engine = simulation_engine(config, "noise")
    noise = sums(engine, x_index, w_index) - x @ w.T
    sd = math.sqrt(lanes) * metrics.sd
    assert abs(noise.mean() - lanes * metrics.mean_error) < 4 * sd / math.sqrt(noise.size)
    assert noise.std() == pytest.approx(sd, rel=0.02)
    z = (noise - noise.mean()) / noise.std()
    assert np.mean(np.abs(z) < 1) == pytest.approx(0.6827, abs=0.01)
    assert np.mean(z**4) == pytest.approx(3, abs=0.15)
    assert not np.array_equal(sums(engine, x_index, w_index) - x @ w.T, noise)  # drawn anew
    assert not engine.exact


def test_noise_leaves_skipped_lanes_out():
    """Two groups of a convolution, one image with all lanes of the second row of the kernel skipped."""
    torch.manual_seed(1)
    config = ApproxConfig(multiplier="drum8u_k4")
    metrics, geometry = error_metrics(get("drum8u_k4")), Convolution((2, 1), groups=2)
    engine = simulation_engine(config, "noise")
    x = torch.zeros((2, 2, 4000, 4), dtype=torch.int32)
    x[1, 1] = config.activation_format.size
    prepared = engine.prepare(torch.zeros((6, 2, 1, 2), dtype=torch.int64), 2)
    result = engine.sums(x, prepared, geometry)
    for image, lanes in ((0, 4), (1, 2)):
        part = result[image]
        sd = math.sqrt(lanes) * metrics.sd
        assert float(part.std()) == pytest.approx(sd, rel=0.03)
        assert abs(float(part.mean()) - lanes * metrics.mean_error) < 4 * sd / math.sqrt(part.numel())


@pytest.mark.parametrize("label", ["drum8u_k4", "bam8s_h1v4"])
def test_relative_errors_of_weights_have_the_moments_of_the_multiplier(label):
    torch.manual_seed(0)
    config = ApproxConfig(multiplier=label)
    metrics = error_metrics(get(label))
    channels, lanes = 200, 100
    _, w, _, w_index = operands(config, 1, lanes, channels)
    engine = simulation_engine(config, "relative")
    one = torch.eye(lanes, dtype=torch.int32).reshape(lanes, 1, 1, lanes) - config.activation_format.minimum
    weights = sums(engine, one, w_index).T  # the weights that the layer multiplies with
    error = (weights / np.where(w == 0, 1, w) - 1)[w != 0]
    assert abs(error.mean() - metrics.relative_bias) < 4 * metrics.relative_sd / math.sqrt(error.size)
    assert error.std() == pytest.approx(metrics.relative_sd, rel=0.03)
    assert np.all(weights[w == 0] == 0)
    np.testing.assert_array_equal(sums(engine, one, w_index).T, weights)  # one matrix for the layer
    np.testing.assert_allclose(sums(engine, one, w_index.flip(0) * 0 + w_index), weights.T)


def test_relative_sums_in_groups_with_skipped_lanes():
    torch.manual_seed(0)
    config = ApproxConfig(multiplier="drum8u_k4")
    engine = simulation_engine(config, "relative")
    geometry = Convolution((2, 2), groups=2)
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.integers(0, 257, (2, 4, 4, 4))).to(torch.int32)  # 256 is skipped
    w = torch.from_numpy(rng.integers(0, 256, (6, 2, 2, 2)))
    y = engine.sums(x, engine.prepare(w, 2), geometry)
    values = torch.where(x == 256, 0, x).permute(0, 3, 1, 2).double()
    kernels = (w * engine.factors(w)).permute(0, 3, 1, 2).double()
    expected = torch.conv2d(values, kernels, groups=2).permute(0, 2, 3, 1)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("simulation", ["exact", "table", "surrogate"])
def test_the_multipliers_own_products(simulation):
    config = ApproxConfig(multiplier="bam8s_h3v7")
    x, w, x_index, w_index = operands(config, 5, 30, 4)
    expected = get("bam8s_h3v7")(x[:, None], w[None]).sum(axis=2)
    np.testing.assert_array_equal(sums(simulation_engine(config, simulation), x_index, w_index), expected)


def test_an_exact_surrogate_stands_for_its_multiplier():
    model = surrogate.discover(get("bam8s_h3v7"))
    config, full = ApproxConfig(surrogate=model), ApproxConfig(multiplier="bam8s_h3v7")
    _, _, x_index, w_index = operands(full, 5, 30, 4)
    for simulation in ("exact", "table", "linear"):
        one, other = (sums(simulation_engine(c, simulation), x_index, w_index) for c in (config, full))
        np.testing.assert_array_equal(one, other)


def test_exact_mode_ignores_an_approximate_surrogate():
    model = surrogate.discover(get("bam8s_h3v7"), method="lowrank", terms=1)
    config = ApproxConfig(multiplier="bam8s_h3v7", surrogate=model)
    assert not simulation_engine(config, "surrogate").exact
    assert simulation_engine(config, "exact").exact


def test_what_the_configuration_lacks_is_named():
    model = surrogate.discover(get("bam8s_h3v7"), method="lowrank", terms=1)
    only = ApproxConfig(surrogate=model)
    for simulation in ("exact", "table", "linear", "noise", "relative"):
        with pytest.raises(ConversionError, match=f"mode '{simulation}' needs the multiplier itself.*bam8s_h3v7"):
            simulation_engine(only, simulation)
    with pytest.raises(ConversionError, match="needs a surrogate"):
        simulation_engine(ApproxConfig(multiplier="mitchell8u"), "surrogate")
    with pytest.raises(ConversionError, match="simulation must be one of"):
        simulation_engine(only, "gaussian")
    assert {"quantised", "linear", "noise", "relative"} <= set(SIMULATIONS)
