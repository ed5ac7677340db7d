"""Memory of training with approximate layers, beside quantisation-aware training: ``python -m benchmarks.memory``.

The bar: at most 1.5 times the peak of quantisation-aware training. Every measurement runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from benchmarks.experiments import configuration, converted, stepping
from benchmarks.fake_quantised import fake_quantise_
from benchmarks.footprint import Footprint, Step, footprint
from surrogate.nn.networks import LeNet5, ResNet8

BAR = 1.5

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "LeNet-5": (lambda: LeNet5.seeded(0), (1, 28, 28)),
    "ResNet8": (lambda: ResNet8.seeded(0), (3, 32, 32)),
}

VARIANTS: dict[str, Callable[[nn.Module, Tensor], nn.Module]] = {
    "float": lambda network, _: network,
    "fake quantisation": lambda network, _: fake_quantise_(network),
    "quantised": lambda network, x: converted(network, x, configuration("bam8s_h0v3", "surrogate"), "quantised")[0],
    "table": lambda network, x: converted(network, x, configuration("mitchell8u", "table"), "approximate")[0],
    "surrogate": lambda network, x: converted(network, x, configuration("bam8s_h0v3", "surrogate"), "approximate")[0],
}
"""How a network is trained: accurately, quantised by torch's own means, and by ours."""

YARDSTICK = "fake quantisation"


def training(network: str, variant: str, batch: int) -> tuple[nn.Module, Step]:
    """Make a network and the function that trains it by a step."""
    make, shape = NETWORKS[network]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, *shape, generator=generator)
    trained = VARIANTS[variant](make(), x)
    return trained, stepping(trained, x, torch.randint(0, 10, (batch,), generator=generator))


def measure(network: str, variant: str, batch: int) -> Footprint:
    """Measure a training step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--single", json.dumps([network, variant, batch])]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring {network}, {variant}, batch {batch} failed: {done.stderr[-2000:]}")
    return Footprint(**json.loads(done.stdout.splitlines()[-1]))


def as_rows(found: dict[tuple[str, int, str], Footprint]) -> list[list[str]]:
    """Text of the lines of the table: ratios to the yardstick, and to float."""
    lines = []
    for (network, batch, variant), got in found.items():
        qat, accurate = (found[network, batch, other] for other in (YARDSTICK, "float"))
        verdict = "" if variant in (YARDSTICK, "float") else "met" if got.peak <= BAR * qat.peak else "not met"
        ratios = [f"{part / of:.2f}" for part, of in zip(_values(got), _values(qat), strict=True)]
        size = [f"{got.peak / 2**20:.1f}", f"{got.peak / accurate.peak:.2f}"]
        lines.append([network, str(batch), variant, *size, *ratios, verdict])
    return lines


def _values(got: Footprint) -> tuple[int, int, int]:
    return got.peak, got.saved, max(1, got.resident)


HEADER = (
    "network",
    "batch",
    "trained",
    "peak, MiB",
    "peak / float",
    "peak / QAT",
    "kept for backward / QAT",
    "process / QAT",
    f"peak / QAT <= {BAR}",
)


def main(
    batches: Annotated[str, typer.Option(help="Batch sizes, separated by commas.")] = "16,64,256",
    markdown: Annotated[bool, typer.Option(help="Print the table in Markdown.")] = False,
    single: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure the memory of a training step of LeNet-5 and ResNet8, beside quantisation-aware training (QAT)."""
    if single:
        torch.set_num_threads(1)  # each thread of a compiled kernel has panels of its own
        typer.echo(json.dumps(asdict(footprint(lambda: training(*json.loads(single))))))
        return
    cases = [(name, int(n), variant) for name in NETWORKS for n in batches.split(",") for variant in VARIANTS]
    progress = track(cases, "Measuring", console=Console(stderr=True))
    lines = as_rows({(name, n, variant): measure(name, variant, n) for name, n, variant in progress})
    if markdown:
        rule = ["---", "---:", "---", *["---:"] * (len(HEADER) - 4), "---"]
        typer.echo("\n".join(f"| {' | '.join(line)} |" for line in (HEADER, rule, *lines)))
    else:
        Console(width=None if Console().is_terminal else 160).print(_table(lines))


def _table(lines: Sequence[Sequence[str]]) -> Table:
    table = Table(title="Memory of a training step")
    for name in HEADER:
        table.add_column(name)
    for line in lines:
        table.add_row(*line)
    return table


if __name__ == "__main__":
    typer.run(main)
