"""The mode of a whole model, and the calibration of its ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.fast_path import settle_fast_paths_
from surrogate.nn.layers.operation import MODES, ApproxOperation, approximate_operations, name_operations
from surrogate.nn.progress import Progress, reporting
from surrogate.nn.selection import listed
from surrogate.nn.simulation.perturbed_weights import PerturbedWeight, perturbed_layers


@contextmanager
def mode(model: nn.Module, name: str) -> Iterator[None]:
    """Run a model's approximate layers, and those of perturbed weights, in another mode within the block.

    Parameters
    ----------
    model : nn.Module
        The model.
    name : {"approximate", "float", "calibrate", ...}
        See `ApproxLayer`, and `surrogate.nn.simulation.modes` for the others: ``"quantised"``, ``"exact"``,
        ``"surrogate"``, ``"table"``, ``"linear"``, ``"noise"``, ``"relative"``. Perturbed weights have the modes
        ``"relative"`` and ``"float"``.

    Raises
    ------
    ConversionError
        If there is no such mode, or a layer's configuration lacks what it needs. Modes are then as before.
    """
    if name not in MODES:
        raise ConversionError(f"mode must be one of {MODES}, got {name!r}")
    layers = dict(approximate_operations(model) if name == "calibrate" else layers_with_modes(model))
    before = {layer: found.mode for layer, found in layers.items()}
    set_modes_(layers, dict.fromkeys(layers, name))
    try:
        yield
    finally:
        set_modes_(layers, before)


def layers_with_modes(model: nn.Module) -> Iterator[tuple[str, ApproxOperation | PerturbedWeight]]:
    """Yield approximate layers, and what perturbs the weights of others, with the names of the layers."""
    yield from approximate_operations(model)
    yield from ((name, errors) for name, _, errors in perturbed_layers(model))


def set_modes_(layers: Mapping[str, ApproxOperation | PerturbedWeight], modes: Mapping[str, str]) -> None:
    """Set the mode of some layers by their names; on failure of none.

    Raises
    ------
    ConversionError
        If a layer has no such mode, or its configuration lacks what it needs.
    """
    before = {name: layers[name].mode for name in modes}
    for name, mode in modes.items():
        try:
            layers[name].mode = mode
        except ConversionError as error:
            for other, previous in before.items():
                layers[other].mode = previous
            error.add_note(f"in layer {name!r}")
            raise


@torch.no_grad()
def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> None:
    """Learn the ranges of all activations from representative batches.

    The model runs in evaluation mode with accurate float layers; each approximate layer observes its activations over
    all batches, and sets their range as `QuantiserConfig.observer` says. Earlier ranges are forgotten; a batch
    of size 0 adds nothing to them.

    Parameters
    ----------
    model : nn.Module
        With approximate layers.
    batches : iterable
        Inputs of the model; of a tuple or list (as data loaders yield) the first element.
    forward : callable, optional
        ``forward(model, batch)`` instead, for models of other signatures.
    progress : bool or callable, optional
        True shows a bar on the terminal; a function is called ``progress(batches_done)`` after each batch.

    Raises
    ------
    ConversionError
        If the model has no approximate layer, there is no batch, or no activation ever reached a layer.
    QuantisationError
        If an activation is NaN or infinite.
    """
    layers = name_operations(model)
    if not layers:
        raise ConversionError("the model has no approximate layer; call approximate_(model, config) first")
    settle_fast_paths_(model)  # for layers that did not become approximate by approximate_
    with mode(model, "calibrate"):
        for _, layer in layers:
            layer.reset()
        count = run_batches(model, batches, forward, progress)
    if count == 0:
        raise ConversionError("calibrate needs at least one batch")
    missed = [name for name, layer in layers if not layer.calibrated]
    if missed:
        raise ConversionError(
            f"the batches never reached {listed(missed)}; pass inputs that do, or leave these layers accurate"
        )


@torch.no_grad()
def run_batches(
    model: nn.Module,
    batches: Iterable[Any],
    forward: Callable[[nn.Module, Any], object] | None,
    progress: Progress,
    description: str = "calibrating",
    training: Iterable[nn.Module] = (),
) -> int:
    """Run a model over batches, as `calibrate` takes them; return how many there were.

    All is in evaluation mode, but for the modules ``training``.
    """
    modes = [(module, module.training) for module in model.modules()]
    count = 0
    try:
        model.eval()
        for module in training:
            module.train()
        with reporting(progress, description, batches) as report:
            for count, batch in enumerate(batches, 1):  # the number of batches is what is wanted
                if forward is not None:
                    forward(model, batch)
                else:
                    model(_input(batch))
                report(count)
    finally:
        for module, was in modes:
            module.training = was
    return count


def _input(batch: Any) -> Tensor:
    first = batch[0] if isinstance(batch, list | tuple) else batch
    if not isinstance(first, Tensor):
        raise ConversionError(
            f"a batch must be a tensor or start with one, got {type(first).__name__}; "
            f"pass forward=lambda model, batch: ..."
        )
    return first
