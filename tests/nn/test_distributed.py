"""Data-parallel training: two processes, each with half of the batch, joined by `DistributedDataParallel`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

import surrogate
from surrogate.nn import ApproxConfig, approximate_, approximate_layers, calibrate

pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="torch was built without gloo"
)
CONFIGS = {
    "surrogate": ApproxConfig(multiplier="bam8u_h1v5"),
    "table": ApproxConfig(multiplier="bam8u_h1v5", backend="table"),
}


def network(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    approximate_(model, CONFIGS[name])
    return model


def batch(step):
    return torch.randn(8, 2, 6, 6, generator=torch.Generator().manual_seed(step))


def half(step, rank):
    return batch(step)[4 * rank : 4 * rank + 4]


def step_(model, x, optimiser):
    optimiser.zero_grad()
    (model(x) ** 2).mean().backward()
    optimiser.step()


def buffers(model):
    return {name: value.clone() for name, value in model.named_buffers() if value.dtype != torch.uint8}


def work(rank, folder, name):
    """What each process does; leaves its state in a file."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    model = network(name)
    if rank == 0:
        calibrate(model, [batch(0)])  # the other process receives the ranges
    parallel = nn.parallel.DistributedDataParallel(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    parallel.eval()  # ranges stay
    found = {"calibrated": [layer.calibrated for _, layer in approximate_layers(model)]}
    for step in (1, 2):
        step_(parallel, half(step, rank), optimiser)
    found["frozen"] = {key: value.clone() for key, value in model.state_dict().items()}
    parallel.train()
    for step in (3, 4):
        step_(parallel, half(step, rank), optimiser)
        found[f"observed {step}"] = buffers(model)
    parallel.eval()
    with torch.no_grad():
        found["outputs"] = parallel(batch(9))  # ranges are now those of the first process
    found["ranges"], found["parameters"] = buffers(model), [p.detach().clone() for p in model.parameters()]
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module", params=["surrogate", pytest.param("table", marks=pytest.mark.slow)])
def found(request, tmp_path_factory):
    """States of the two processes, and the name of the configuration."""
    folder = tmp_path_factory.mktemp("processes")
    root = Path(surrogate.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder), request.param]
    processes = [subprocess.Popen([*command, str(rank)], cwd=root, env=environment) for rank in range(2)]
    try:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    states = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
    return states, request.param


def test_ranges_calibrated_in_one_process_reach_the_other(found):
    states, _ = found
    assert states[0]["calibrated"] == states[1]["calibrated"] == [True, True]


def test_with_frozen_ranges_training_is_that_of_one_process_on_the_whole_batch(found):
    states, name = found
    model = network(name)
    calibrate(model, [batch(0)])
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    model.eval()
    for step in (1, 2):
        step_(model, batch(step), optimiser)
    for state in states:
        torch.testing.assert_close(state["frozen"], model.state_dict(), rtol=1e-5, atol=1e-6)


def test_while_training_the_ranges_are_those_of_the_first_process(found):
    states, _ = found
    first, second = (state["observed 3"] for state in states)
    assert not torch.equal(first["0.activation_quantiser.maximum"], second["0.activation_quantiser.maximum"])
    momentum = 0.1
    for rank, state in enumerate(states):  # both go on from what the first has observed
        moved = first["0.activation_quantiser.maximum"].lerp(half(4, rank).max(), momentum)
        torch.testing.assert_close(state["observed 4"]["0.activation_quantiser.maximum"], moved)
    assert torch.equal(
        states[0]["ranges"]["0.activation_quantiser.maximum"], states[0]["observed 4"]["0.activation_quantiser.maximum"]
    )


def test_parameters_ranges_and_outputs_are_equal_in_both(found):
    states, _ = found
    first, second = states
    for part in ("parameters", "ranges", "outputs"):
        torch.testing.assert_close(first[part], second[part], rtol=0, atol=0)


if __name__ == "__main__":
    work(int(sys.argv[3]), sys.argv[1], sys.argv[2])
