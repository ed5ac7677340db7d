import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multipliers import OperandFormat
from surrogate.nn import NotCalibratedError, QuantisationError, Quantiser, QuantiserConfig

FORMATS = [OperandFormat(8, True), OperandFormat(8), OperandFormat(4), OperandFormat(7, True), OperandFormat(12, True)]


def floats(low, high):
    return st.floats(low, high, width=32, allow_nan=False)


@settings(deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(["symmetric", "affine"]),
    st.lists(floats(-1e3, 1e3), min_size=1, max_size=40),
)
def test_values_within_the_range_are_off_by_half_a_step_at_most(operand, scheme, values):
    x = torch.tensor(values)
    quantiser = Quantiser(QuantiserConfig(scheme=scheme), operand)
    quantiser.observe(x)
    x_hat, q = quantiser(x)
    assert torch.equal(q, q.round())
    assert q.min() >= operand.minimum
    assert q.max() <= operand.maximum
    step = float(quantiser.scale)
    slack = 1e-5 * float(x.abs().max()) + 1e-30
    reach = step * (1 if scheme == "affine" else 0.5) + slack  # an affine zero point is rounded, too
    assert float((x_hat - x).abs().max()) <= reach


@pytest.mark.parametrize("operand", FORMATS, ids=str)
@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
def test_zero_is_represented_exactly(operand, scheme):
    quantiser = Quantiser(QuantiserConfig(scheme=scheme), operand)
    quantiser.observe(torch.tensor([-0.3, 2.7]))
    x_hat, q = quantiser(torch.zeros(3))
    assert torch.equal(x_hat, torch.zeros(3))
    assert torch.equal(q, quantiser.zero_point.expand(3).float())


def test_scale_and_zero_point_follow_their_definitions():
    signed = Quantiser(QuantiserConfig(), OperandFormat(8, True))
    signed.observe(torch.tensor([-2.0, 1.0]))
    assert float(signed.scale) == np.float32(2.0 / 127)
    assert int(signed.zero_point) == 0
    affine = Quantiser(QuantiserConfig(), OperandFormat(8))
    affine.observe(torch.tensor([-1.0, 3.0]))
    assert float(affine.scale) == np.float32(4.0 / 255)
    assert int(affine.zero_point) == round(1.0 / (4.0 / 255))
    rectified = Quantiser(QuantiserConfig(scheme="symmetric"), OperandFormat(8))
    rectified.observe(torch.tensor([0.0, 5.1]))
    assert int(rectified.zero_point) == 0
    assert float(rectified.scale) == np.float32(np.float32(5.1) / np.float32(255))
    two_sided = Quantiser(QuantiserConfig(scheme="symmetric"), OperandFormat(8))
    two_sided.observe(torch.tensor([-1.0, 0.5]))
    assert int(two_sided.zero_point) == 128
    assert float(two_sided.scale) == np.float32(1.0 / 127)


def test_ranges_that_exclude_zero_are_extended_to_it():
    quantiser = Quantiser(QuantiserConfig(scheme="affine"), OperandFormat(8))
    quantiser.observe(torch.tensor([4.0, 6.0]))
    assert int(quantiser.zero_point) == 0
    assert float(quantiser.scale) == np.float32(6.0 / 255)


def test_per_channel_scales():
    quantiser = Quantiser(QuantiserConfig(granularity="channel"), OperandFormat(8, True), channels=2)
    w = torch.tensor([[[1.0, -0.5]], [[0.0, 0.25]]])
    quantiser.observe(w)
    torch.testing.assert_close(quantiser.scale, torch.tensor([1.0, 0.25]) / 127)
    assert quantiser(w)[1].tolist() == [[[127.0, -64.0]], [[0.0, 127.0]]]


def test_all_zero_channel_is_quantised_to_zero():
    quantiser = Quantiser(QuantiserConfig(), OperandFormat(8, True))
    quantiser.observe(torch.zeros(5))
    x_hat, q = quantiser(torch.zeros(5))
    assert float(quantiser.scale) == 1.0
    assert torch.equal(x_hat, torch.zeros(5))
    assert torch.equal(q, torch.zeros(5))


def test_rounding_is_half_to_even():
    quantiser = Quantiser(QuantiserConfig(), OperandFormat(8, True))
    quantiser.observe(torch.tensor([-127.0, 127.0]))
    assert quantiser(torch.tensor([0.5, 1.5, 2.5, -0.5]))[1].tolist() == [0.0, 2.0, 2.0, 0.0]


def test_gradient_passes_inside_the_range_and_stops_outside():
    quantiser = Quantiser(QuantiserConfig(), OperandFormat(4, True))
    quantiser.observe(torch.tensor([-7.0, 7.0]))
    x = torch.tensor([-20.0, -8.0, -3.2, 0.0, 6.9, 9.0], requires_grad=True)
    x_hat, q = quantiser(x)
    assert not q.requires_grad
    (x_hat * torch.arange(1.0, 7.0)).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0, 0.0]


def test_ranges_are_replaced_extended_or_averaged():
    quantiser = Quantiser(QuantiserConfig(momentum=0.25), OperandFormat(8, True))
    quantiser.observe(torch.tensor([-1.0, 1.0]), "average")  # the first replaces
    assert (float(quantiser.minimum), float(quantiser.maximum)) == (-1.0, 1.0)
    quantiser.observe(torch.tensor([0.0, 3.0]), "average")
    assert (float(quantiser.minimum), float(quantiser.maximum)) == (-0.75, 1.5)
    quantiser.observe(torch.tensor([-2.0, 1.0]), "extend")
    assert (float(quantiser.minimum), float(quantiser.maximum)) == (-2.0, 1.5)
    quantiser.observe(torch.tensor([0.5, 0.6]))
    assert (float(quantiser.minimum), float(quantiser.maximum)) == (0.5, np.float32(0.6))


def test_uncalibrated_quantiser_refuses():
    quantiser = Quantiser(QuantiserConfig(), OperandFormat(8))
    with pytest.raises(NotCalibratedError, match="calibrate"):
        quantiser(torch.zeros(3))
    quantiser.observe(torch.ones(1))
    quantiser.reset()
    with pytest.raises(NotCalibratedError):
        quantiser(torch.zeros(3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(bad):
    quantiser = Quantiser(QuantiserConfig(), OperandFormat(8))
    with pytest.raises(QuantisationError, match="NaN or infinity"):
        quantiser.observe(torch.tensor([1.0, bad]))
    quantiser.observe(torch.zeros(0))
    assert not quantiser.calibrated


@pytest.mark.parametrize(("wanted", "operand"), [("8u", "8s"), ("8s", "8u"), ("9s", "8s"), ("8u", "7u"), ("4s", "8u")])
def test_integers_that_do_not_fit_the_operand_are_refused(wanted, operand):
    with pytest.raises(QuantisationError, match=f"{wanted} integers .* do not fit the multiplier's {operand} operand"):
        Quantiser(QuantiserConfig(operand=wanted), OperandFormat.parse(operand))


def test_narrower_integers_fit():
    quantiser = Quantiser(QuantiserConfig(operand="4u"), OperandFormat.parse("8s"))
    quantiser.observe(torch.tensor([0.0, 1.0]))
    assert quantiser(torch.tensor([1.0, 2.0]))[1].tolist() == [15.0, 15.0]


@pytest.mark.parametrize(
    "fault",
    [
        {"operand": 8},
        {"scheme": "both"},
        {"granularity": "row"},
        {"momentum": 0.0},
        {"momentum": 2.0},
        {"momentum": True},
        {"momentum": "0.1"},
        {"percentile": None},
    ],
)
def test_configuration_is_validated(fault):
    with pytest.raises(QuantisationError, match=next(iter(fault))):
        QuantiserConfig(**fault)


def test_casting_a_model_leaves_scales_in_float32():
    quantiser = Quantiser(QuantiserConfig(), OperandFormat(8, True))
    quantiser.observe(torch.tensor([-1.0, 1.1]))
    before = quantiser.scale.clone()
    quantiser.half()
    assert quantiser.scale.dtype == torch.float32
    assert torch.equal(quantiser.scale, before)
    assert quantiser.to(torch.float64).scale.dtype == torch.float32
    assert quantiser.to("meta").scale.device.type == "meta"


@pytest.mark.parametrize(
    "fault",
    [
        {"observer": "max"},
        {"percentile": 50.0},
        {"percentile": 100.5},
        {"percentile": True},
        {"learned_step": "yes"},
    ],
)
def test_observers_and_learned_steps_are_validated(fault):
    with pytest.raises(QuantisationError, match=next(iter(fault))):
        QuantiserConfig(**fault)


def test_integers_that_float32_does_not_hold_are_refused():
    with pytest.raises(QuantisationError, match="32s integers are not exact in float32"):
        Quantiser(QuantiserConfig(), OperandFormat(32, True))
    Quantiser(QuantiserConfig("16s"), OperandFormat(32, True))
