"""What is timed: float operations and networks, and beside them ours, each with its exactness check."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import cast
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

import multipliers
import surrogate
from benchmarks.fake_quantised import fake_quantise_
from benchmarks.oracle import Sums, check_layer, check_sums
from multipliers.multiplier import Multiplier
from surrogate.model import Surrogate
from surrogate.nn import ApproxConfig, ApproxLayer, approximate_, approximate_layers, calibrate
from surrogate.nn.native.library import VARIABLE

Check = Callable[[np.random.Generator], int]


@dataclass(frozen=True)
class Subject:
    """What runs beside the baseline.

    Attributes
    ----------
    run : callable
        The timed run.
    check : callable
        The exactness check of the same computation: returns how many outputs it compared, raises `InexactError`.
    """

    run: Callable[[], object]
    check: Check


@dataclass(frozen=True)
class Experiment:
    """A float operation and what is compared with it.

    Attributes
    ----------
    baseline : callable
        Torch's own float32 operation of the same shape.
    subjects : mapping of str to Subject
        ``"whole"``, floats in and floats out; of single operations ``"sums"`` too, on integer operands.
    """

    baseline: Callable[[], object]
    subjects: Mapping[str, Subject]


@contextmanager
def kernel(name: str) -> Iterator[None]:
    """Run a table kernel within the block: of `surrogate.nn.native.KERNELS`, or the fastest if ``name`` is empty."""
    with patch.dict(os.environ, {VARIABLE: name}):
        yield


@cache
def exact_surrogate(label: str) -> Surrogate:
    """Discover the exact surrogate of a design, once."""
    return surrogate.discover(multipliers.get(label))


def configuration(label: str, backend: str) -> ApproxConfig:
    """Configure layers for a design by its table or by its exact surrogate."""
    if backend == "table":
        return ApproxConfig(multiplier=label, backend="table")
    return ApproxConfig(multiplier=label, surrogate=exact_surrogate(label))


def operation(layer: nn.Module, x: Tensor, config: ApproxConfig) -> Experiment:
    """Time the forward pass of a linear layer or a convolution, whole and its integer sums alone."""
    multiplier = cast(Multiplier, config.multiplier)
    ours = copy.deepcopy(layer)
    approximate_(ours, config)
    calibrate(ours, [x])
    ours = cast(ApproxLayer, ours)
    sums = Sums.of(multiplier, ours, x)
    indices = torch.from_numpy(sums.x - multiplier.a.minimum).permute(0, 2, 3, 1).to(torch.int32).contiguous()
    weights = torch.from_numpy(sums.w - multiplier.b.minimum).permute(0, 2, 3, 1).contiguous()
    engine, convolution = ours.engine, ours.convolution()
    prepared = engine.prepare(weights, convolution.groups)
    whole = evaluating(ours, x)

    @torch.no_grad()
    def alone() -> Tensor:
        return engine.sums(indices, prepared, convolution)

    return Experiment(
        evaluating(layer, x),
        {
            "sums": Subject(alone, lambda rng: check_sums(sums, alone(), rng)),
            "whole": Subject(whole, lambda rng: check_layer(multiplier, ours, x, whole(), rng)),
        },
    )


def forward(network: nn.Module, x: Tensor, config: ApproxConfig, mode: str = "approximate") -> Experiment:
    """Time the forward pass of a network in evaluation mode."""
    ours, simulated = converted(network, x, config, mode)
    whole = evaluating(ours, x)
    return Experiment(
        evaluating(network, x), {"whole": Subject(whole, lambda rng: _check_layers(ours, simulated, whole, rng))}
    )


def evaluating(module: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Return a function that runs a module in evaluation mode, without gradients."""
    module.eval()

    @torch.no_grad()
    def evaluate() -> Tensor:
        return cast(Tensor, module(x))

    return evaluate


def training_step(network: nn.Module, x: Tensor, config: ApproxConfig, mode: str = "approximate") -> Experiment:
    """Time a training step of a network: forward pass, backward pass, stochastic gradient descent."""
    ours, simulated = converted(network, x, config, mode)
    target = _target(x)
    step = stepping(ours, x, target)
    return Experiment(
        stepping(network, x, target), {"whole": Subject(step, lambda rng: _check_layers(ours, simulated, step, rng))}
    )


def fake_quantised_step(network: nn.Module, x: Tensor) -> Experiment:
    """Time a training step with torch's own fake quantisation, for comparison: it simulates no multiplier."""
    target = _target(x)
    step = stepping(fake_quantise_(copy.deepcopy(network)), x, target)
    return Experiment(stepping(network, x, target), {"whole": Subject(step, lambda _: 0)})


def _target(x: Tensor) -> Tensor:
    return torch.randint(0, 10, (len(x),), generator=torch.Generator().manual_seed(0))


def stepping(network: nn.Module, x: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """Return a function that does one training step and returns the loss."""
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(x), target)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's method is untyped
        optimiser.step()
        return loss.detach()

    return step


def converted(network: nn.Module, x: Tensor, config: ApproxConfig, mode: str) -> tuple[nn.Module, Multiplier]:
    """Copy a network with every layer approximate, calibrated, in a mode; and the multiplier that it then simulates."""
    ours = copy.deepcopy(network)
    approximate_(ours, config)
    calibrate(ours, [x])
    for _, layer in approximate_layers(ours):
        layer.mode = mode
    multiplier = cast(Multiplier, config.multiplier)
    return ours, multipliers.get(f"exact{multiplier.a}") if mode == "quantised" else multiplier


def _check_layers(
    network: nn.Module, multiplier: Multiplier, run: Callable[[], object], rng: np.random.Generator
) -> int:
    """Run a network once and check every approximate layer's output for the input that it got."""
    counts: list[int] = []

    def compare(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append(check_layer(multiplier, cast(ApproxLayer, layer), inputs[0], output, rng))

    layers = [layer for _, layer in approximate_layers(network)]
    hooks = [layer.register_forward_hook(compare) for layer in layers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    if len(counts) != len(layers):
        raise RuntimeError(f"{len(layers)} approximate layers, but {len(counts)} ran")
    return sum(counts)
