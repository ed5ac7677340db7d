"""What the gradients of the product are worth in retraining: ``python -m benchmarks.gradients``.

A small convolutional network on the digits of scikit-learn is trained in float, then retrained through coarse
multipliers with each gradient of `ApproxConfig`. Losses are relative to the straight-through gradient's.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Sequence
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_digits
from torch import nn

from surrogate.nn import ApproxConfig, approximate_, calibrate
from surrogate.nn.training import Images, accuracy, train

MULTIPLIERS = ("bam8u_h5v8", "ssm8u_m4", "etm8u", "drum8u_k3")
"""Three whose products are systematically too small, and one without bias."""

GRADIENTS = ("regression", "factored", "difference")


def digits() -> Images:
    """Images of 8 x 8, 1300 of them for training."""
    x, y = load_digits().images, load_digits().target
    return Images.from_arrays(x[:1300], y[:1300], x[1300:], y[1300:])


def trained(images: Images, seed: int) -> nn.Module:
    """Train the float network that is retrained."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
    train(model, images, steps=120, learning_rate=0.05, seed=seed)
    return model


def retrained(model: nn.Module, images: Images, config: ApproxConfig, seed: int) -> tuple[float, float]:
    """Retrain a copy for 40 steps: mean loss of the last ten, and accuracy on the test images."""
    model = copy.deepcopy(model)
    approximate_(model, config)
    calibrate(model, [images.x_train[:256]])
    run = train(model, images, steps=40, learning_rate=0.02, batch_size=32, seed=seed)
    return statistics.mean(run.losses[-10:]), accuracy(model, images.x_test, images.y_test)


def relative_losses(label: str, models: Sequence[nn.Module], images: Images) -> dict[str, list[float]]:
    """Loss with each gradient over that of the straight-through one, of each model, whose place is its seed."""
    found: dict[str, list[float]] = {gradient: [] for gradient in GRADIENTS}
    for seed, model in enumerate(models):
        straight, _ = retrained(model, images, ApproxConfig(multiplier=label), seed)
        for gradient, ratios in found.items():
            loss, _ = retrained(model, images, ApproxConfig(multiplier=label, gradient=gradient), seed)
            ratios.append(loss / straight)
    return found


def main(
    multipliers: Annotated[str, typer.Option(help="Labels, separated by commas.")] = ",".join(MULTIPLIERS),
    seeds: Annotated[int, typer.Option(help="How many networks are retrained.", min=1)] = 3,
) -> None:
    """Retrain a small network with each gradient, and show the losses beside those of the straight-through gradient."""
    torch.set_num_threads(1)
    images = digits()
    models = [trained(images, seed) for seed in range(seeds)]
    table = Table(title=f"Loss after 40 steps / straight-through loss, {seeds} seeds")
    for name in ("multiplier", *GRADIENTS):
        table.add_column(name)
    for label in track(multipliers.split(","), "Retraining", console=Console(stderr=True)):
        losses = relative_losses(label, models, images).values()
        table.add_row(label, *(f"{min(ratios):.2f} to {max(ratios):.2f}" for ratios in losses))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
