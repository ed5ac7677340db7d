"""How long a training step takes, of several models side by side."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Mapping

from torch import nn

from surrogate.nn.training.images import Images
from surrogate.nn.training.loop import Training
from surrogate.nn.training.recipe import Recipe

WARM_UP = 3
"""Steps that are not counted: the first ones measure which way is the fastest, and allocate."""


def step_times(
    models: Mapping[str, nn.Module], images: Images, *, steps: int = 15, batch_size: int = 64
) -> dict[str, float]:
    """Measure the median time of a training step, the models taking turns step by step.

    What else the machine does slows all of them alike, so ratios hold where single times do not.

    Parameters
    ----------
    models : mapping of str to nn.Module
        Each is copied, and trains by batches of its own copy: stochastic gradient descent at a small learning rate,
        since weights that stay would not be transformed anew.
    images : Images
        Batches are drawn from its training part, the same ones for all.
    steps : int
        Steps that count, after three that do not.
    batch_size : int
        Images a step.

    Returns
    -------
    dict of str to float
        Seconds, by the names of the models.

    Raises
    ------
    ValueError
        If ``steps`` or ``batch_size`` is below 1.

    Examples
    --------
    >>> import torch
    >>> from surrogate.nn.networks import LeNet5
    >>> images = Images(torch.rand(8, 1, 8, 8), torch.arange(8), torch.rand(8, 1, 8, 8), torch.arange(8))
    >>> list(step_times({"float": LeNet5.seeded(0, 8)}, images, steps=1, batch_size=4))
    ['float']
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    recipe = Recipe(WARM_UP + steps, 1e-4, batch_size, steps_per_epoch=1, schedule="constant")
    trainings = {name: Training(copy.deepcopy(model), images, recipe) for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(recipe.epochs):
        for name, training in trainings.items():
            times[name].append(training.run_epoch().step_time_s)
    return {name: statistics.median(taken[WARM_UP:]) for name, taken in times.items()}
