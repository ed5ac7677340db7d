"""Products of two activations against a loop over every entry, and their gradients."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from multipliers import get
from surrogate.nn import (
    ApproxConfig,
    ApproxMatmul,
    ConversionError,
    NotCalibratedError,
    QuantisationError,
    QuantiserConfig,
    calibrate,
    mode,
)
from surrogate.nn.compiled.matmul import compiled_matmul
from surrogate.nn.layers.operation import MODES
from surrogate.nn.native import active_kernel, library
from tests.nn.conftest import asymmetric_table, configurations, exact_surrogate, image

COMPUTING = [name for name in MODES if name != "calibrate"]
SHAPES = {
    "matrices": ((3, 5), (5, 4)),
    "bmm": ((3, 2, 5), (3, 5, 4)),
    "attention": ((2, 3, 4, 5), (2, 3, 5, 4)),
    "many groups": ((6, 1, 3), (6, 3, 2)),
    "one second matrix": ((2, 3, 4, 5), (5, 2)),
    "one first matrix": ((4, 5), (3, 5, 2)),
    "broadcast": ((2, 1, 3, 4), (3, 4, 2)),
    "vectors": ((5,), (5,)),
    "vector and batch": ((5,), (2, 5, 3)),
    "matrix and vector": ((2, 3, 5), (5,)),
}


def operands(shapes):
    return torch.from_numpy(image(*shapes[0], seed=1) + 0.3), torch.from_numpy(image(*shapes[1], seed=2) - 0.2)


def calibrated(config, x, y):
    product = ApproxMatmul(config)
    calibrate(product, [x], forward=lambda p, first: p(first, y))
    return product.eval()


def expected_product(product, table, x, y):
    """Integers by quantisation in NumPy, products from the table one by one, sums by ``matmul``'s own broadcasting."""
    first, second = product.activation_quantiser, product.second_quantiser

    def codes(v, quantiser):
        scale = np.float32(quantiser.scale[0])
        q = np.rint(v.numpy() / scale) + int(quantiser.zero_point[0])
        return np.clip(q, quantiser.low, quantiser.high).astype(int), float(scale), int(quantiser.zero_point[0])

    (xq, sx, zx), (yq, sy, zy) = codes(x, first), codes(y, second)
    swapped = product.config.activation_operand == "b"

    def dot(row, column):
        pairs = zip(row.tolist(), column.tolist(), strict=True)
        total = 0
        for a, b in pairs:
            f = int(table(b, a)) if swapped else int(table(a, b))
            total += f - zx * b - zy * a + zx * zy
        return sx * sy * total

    return np.vectorize(dot, signature="(k),(k)->()")(
        xq if x.ndim == 1 else xq[..., :, None, :] if y.ndim > 1 else xq,
        yq if y.ndim == 1 else (yq.swapaxes(-1, -2) if x.ndim == 1 else yq.swapaxes(-1, -2)[..., None, :, :]),
    )


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("role", ["a", "b"])
def test_products_equal_a_loop_over_every_entry(case, role):
    x, y = operands(SHAPES[case])
    table, found = asymmetric_table("7u", "6u"), []
    forms = [ApproxConfig(multiplier=table, backend=b, activation_operand=role) for b in ("lowrank", "error_table")]
    for config in [*configurations(table, activation_operand=role), *forms]:
        product = calibrated(config, x, y)
        assert product.activation_quantiser.zero_point.all()
        z = product(x, y)
        assert z.shape == torch.matmul(x, y).shape
        np.testing.assert_allclose(z, expected_product(product, table, x, y), rtol=1e-5, atol=1e-4)
        found.append(z)
    assert all(torch.equal(z, found[0]) for z in found)  # to the digit, whatever the engine


@pytest.mark.parametrize("role", ["a", "b"])
def test_accumulated_sums_are_those_of_the_table_as_integers(role):
    x, y = operands(SHAPES["broadcast"])
    table = asymmetric_table("7u", "6u")
    values = table.table()
    for config in configurations(table, activation_operand=role):
        product = calibrated(config, x, y)
        i, j = (q.integers(v).long().numpy() for q, v in zip(product.activations.values(), (x, y), strict=True))
        i, j = i[..., :, :, None], j[..., None, :, :]
        expected = (values[i, j] if role == "a" else values[j, i]).sum(axis=-2)
        found = product.accumulate(x, y)
        assert found.dtype == torch.int64
        np.testing.assert_array_equal(found.numpy(), expected)
    for case in ("vectors", "vector and batch", "matrix and vector"):
        assert product.accumulate(*operands(SHAPES[case])).shape == torch.matmul(*operands(SHAPES[case])).shape
    with mode(product, "noise"), pytest.raises(ConversionError, match="sums are not integers"):
        product.accumulate(x, y)


def test_modes_compute_as_those_of_layers_do():
    x, y = operands(SHAPES["attention"])
    config = ApproxConfig(multiplier="drum8u_k4")
    product, results = calibrated(config, x, y), {}
    for name in COMPUTING:
        torch.manual_seed(5)
        with mode(product, name):
            results[name] = product(x, y)
    assert torch.equal(results["float"], torch.matmul(x, y))
    x_hat, y_hat = (quantiser(v)[0] for quantiser, v in zip(product.activations.values(), (x, y), strict=True))
    torch.testing.assert_close(results["quantised"], torch.matmul(x_hat, y_hat), rtol=1e-5, atol=1e-5)
    exact = ApproxMatmul(ApproxConfig(multiplier="exact8u"))
    exact.activation_quantiser, exact.second_quantiser = product.activations.values()
    assert torch.equal(exact.eval()(x, y), results["quantised"])
    for name in ("exact", "surrogate", "table"):
        assert torch.equal(results[name], results["approximate"])
    different = [results[n] for n in ("float", "quantised", "approximate", "linear", "noise", "relative")]
    assert all(not torch.equal(one, other) for i, one in enumerate(different) for other in different[:i])


@settings(max_examples=40, deadline=None)
@given(
    batch=st.lists(st.integers(1, 3), max_size=3),
    sides=st.tuples(*[st.integers(1, 9)] * 3),
    single=st.booleans(),
    label=st.sampled_from(["bam8s_h1v6", "drum8u_k4", "bam8x6u_h1v4", "mitchell8s"]),
    by_surrogate=st.booleans(),
    role=st.sampled_from(["a", "b"]),
    seed=st.integers(0, 99),
)
def test_compiled_code_multiplies_to_the_digit_as_step_by_step(batch, sides, single, label, by_surrogate, role, seed):
    m, inner, n = sides
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*batch, m, inner, generator=generator)
    y = torch.randn(*(() if single else batch), inner, n, generator=generator).mT.contiguous().mT
    low_rank = by_surrogate and label != "mitchell8s"
    model = exact_surrogate(get(label)) if low_rank else None
    config = ApproxConfig(multiplier=label, surrogate=model, activation_operand=role)
    product = calibrated(config, x / 2, y / 2)  # some are clamped
    assert product.config.backend == ("surrogate" if low_rank else "table")
    arguments = (*product.activations.values(), product.engine, product.config)
    compiled = compiled_matmul(x, y, *arguments)
    if compiled is None:
        assert active_kernel() == "torch"
        return
    expected = product.double()(x.double(), y.double())  # float64 is not compiled
    torch.testing.assert_close(compiled.double(), expected, rtol=1e-6, atol=0)
    x_hat = x.requires_grad_()
    assert torch.equal(product(x_hat, y), compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(library.VARIABLE, "torch")
        assert compiled_matmul(x, y, *arguments) is None
        assert torch.equal(product(x, y), compiled)


def test_backend_auto_is_the_table_where_operands_are_narrow_and_no_surrogate_is_given():
    multiplier = asymmetric_table("7u", "6u")
    assert ApproxMatmul(ApproxConfig(multiplier=multiplier)).config.backend == "table"
    given_ = ApproxConfig(multiplier=multiplier, surrogate=exact_surrogate(multiplier))
    assert ApproxMatmul(given_).config.backend == "surrogate"
    assert ApproxMatmul(ApproxConfig(multiplier="bam12s_h2v6")).config.backend == "surrogate"


@pytest.mark.parametrize("case", SHAPES)
def test_gradients_are_those_of_the_accurate_product_of_dequantised_operands(case):
    x, y = operands(SHAPES[case])
    product = calibrated(ApproxConfig(multiplier="exact8s"), x, y)
    x.requires_grad_()
    y.requires_grad_()
    z = product(x, y)
    direction = torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
    found = torch.autograd.grad((z * direction).sum(), [x, y])
    x_hat, y_hat = product.activation_quantiser(x)[0], product.second_quantiser(y)[0]
    accurate = torch.matmul(x_hat, y_hat)
    torch.testing.assert_close(z, accurate, rtol=1e-5, atol=1e-5)
    for one, other in zip(found, torch.autograd.grad((accurate * direction).sum(), [x, y]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        assert one.abs().sum() > 0


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.scores, self.mixed = ApproxMatmul(config), ApproxMatmul(config)

    def forward(self, x):
        return self.mixed(self.scores(x, x.mT).softmax(dim=-1), x)


def test_a_model_is_calibrated_saved_copied_and_switched():
    config = ApproxConfig(multiplier="bam8u_h1v5", weight=QuantiserConfig(granularity="channel"))
    model, x = Attention(config).eval(), torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    assert "not calibrated" in repr(model)
    with pytest.raises(NotCalibratedError):
        model(x)
    calibrate(model, [x])
    z = model(x)
    with mode(model, "float"):
        accurate = model(x)
        torch.testing.assert_close(accurate, (x @ x.mT).softmax(dim=-1) @ x)
    assert not torch.equal(z, accurate)
    assert torch.equal(copy.deepcopy(model)(x), z)
    other = Attention(config).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), z)
    with pytest.raises(ConversionError, match="saved for another multiplier than 'exact8u'"):
        Attention(ApproxConfig(multiplier="exact8u")).load_state_dict(model.state_dict())
    before = model.scores.second_quantiser.maximum.clone()
    model.train()(3 * x)
    assert model.scores.second_quantiser.maximum > before
    assert model.half().eval()(x.half()).dtype == torch.float16


def test_bad_and_empty_operands():
    product = calibrated(ApproxConfig(multiplier="exact8s"), torch.ones(2, 3), torch.ones(3, 2))
    assert product(torch.ones(0, 3), torch.ones(3, 2)).shape == (0, 2)
    assert product(torch.ones(0, 2, 3), torch.ones(0, 3, 4)).shape == (0, 2, 4)
    assert torch.equal(product(torch.ones(2, 0), torch.ones(0, 4)), torch.zeros(2, 4))
    with pytest.raises(ConversionError, match=r"shapes \(2, 3\) and \(2, 3\) cannot be multiplied"):
        product(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(ConversionError, match=r"two float tensors of one datatype, got torch.float32 and torch.int64"):
        product(torch.ones(2, 3), torch.ones(3, 2, dtype=torch.int64))
    product.to("meta")
    for call in (product, product.accumulate):
        with pytest.raises(ConversionError, match="the input is on 'cpu', the layer on 'meta'"):
            call(torch.ones(2, 3), torch.ones(3, 2))


@pytest.mark.parametrize("kernel", ["torch", ""])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_in_either_operand_is_refused(monkeypatch, kernel, dtype):
    monkeypatch.setenv(library.VARIABLE, kernel)
    x, y = (v.to(dtype) for v in operands(SHAPES["bmm"]))
    for config in configurations(asymmetric_table("7u", "6u")):
        product = calibrated(config, x, y)
        for place in (0, 1):
            broken = [x.clone(), y.clone()]
            broken[place][0, 0, 0] = torch.nan
            with pytest.raises(QuantisationError, match="an input holds NaN"):
                product(*broken)
