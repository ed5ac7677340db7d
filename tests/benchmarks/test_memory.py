"""Memory of training: the bar that does not depend on the machine, and that memory is measured right."""

import pytest
import torch
from torch import nn

from benchmarks.experiments import stepping
from benchmarks.fake_quantised import fake_quantise_
from benchmarks.footprint import Footprint, footprint, saved_bytes
from benchmarks.memory import BAR, NETWORKS, VARIANTS, YARDSTICK, as_rows, measure, training

OURS = [variant for variant in VARIANTS if variant not in (YARDSTICK, "float")]


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_kept_for_the_backward_pass(network):
    batch = 4
    kept = {variant: saved_bytes(*training(network, variant, batch)) for variant in VARIANTS}
    assert kept["float"] < kept[YARDSTICK]
    for variant in OURS:
        assert kept["float"] / 2 < kept[variant] <= BAR * kept[YARDSTICK]


def test_saved_tensors_count_once_and_parameters_not_at_all():
    linear, x = nn.Linear(64, 32), torch.randn(8, 64)
    assert saved_bytes(linear, lambda: linear(x)) == 8 * 64 * 4
    assert saved_bytes(linear, lambda: linear(x) + linear(x)) == 8 * 64 * 4
    assert saved_bytes(linear, lambda: linear(x).exp()) == 8 * (64 + 32) * 4


def test_the_peak_is_that_of_the_step():
    size = 1 << 20

    def prepare():
        torch.empty(5 * size, dtype=torch.uint8)  # before the step
        kept = torch.empty(size, dtype=torch.uint8)

        def step():
            for _ in range(3):
                two = [torch.empty(size, dtype=torch.uint8) for _ in range(2)]
                assert kept.numel() == two[0].numel()

        return nn.Identity(), step

    found = footprint(prepare)
    # of the list before, one tensor is alive when the next is made
    assert 3 * size <= found.peak < 5 * size + 4096
    assert found.saved == 0


def test_the_yardstick_learns_on_the_grid_of_8_bits():
    torch.manual_seed(0)
    network = fake_quantise_(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 10)))
    x, target = torch.rand(16, 1, 8, 8), torch.arange(16) % 10
    step = stepping(network, x, target)
    for group in range(len(network[2].weight)):
        row = network[2].weight[group].detach()
        codes = row / row.abs().max() * 127
        torch.testing.assert_close(codes, codes.round(), atol=1e-3, rtol=0)
    losses = [step().item() for _ in range(100)]
    assert losses[-1] < losses[0] - 0.003


def test_the_ratios():
    found = {("ResNet8", 4, variant): Footprint(100, 1000, 10) for variant in ("float", YARDSTICK)}
    found["ResNet8", 4, "table"] = Footprint(150, 1500, 30)
    found["ResNet8", 4, "surrogate"] = Footprint(151, 1501, 31)
    *_, met, not_met = as_rows(found)
    assert met[4:] == ["1.50", "1.50", "1.50", "3.00", "met"]
    assert not_met[-1] == "not met"


def test_a_process_of_its_own():
    found = measure("LeNet-5", "table", 2)
    assert 0 < found.saved < found.peak
    with pytest.raises(RuntimeError, match=r"(?s)measuring LeNet-5, doubled, batch 2 failed: .*KeyError: 'doubled'"):
        measure("LeNet-5", "doubled", 2)
