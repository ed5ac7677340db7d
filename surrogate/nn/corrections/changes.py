"""What corrections replaced in a model, so that they can be taken back and are never applied twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor | None]
"""Parameters and buffers of a module by name; None where it has none."""

_NAME = "_correction"


@dataclass(frozen=True)
class _Change:
    """Tensors of a module before and after it was corrected."""

    before: Tensors
    after: Tensors

    def stands(self, module: nn.Module) -> bool:
        """Whether the module still holds what the correction put there."""
        return all(_same(getattr(module, name), value) for name, value in self.after.items())


def originals(module: nn.Module, names: Iterable[str]) -> Tensors:
    """Copy tensors of a module as they were before corrections that still stand."""
    change: _Change | None = vars(module).get(_NAME)
    before = change.before if change is not None and change.stands(module) else {}
    return {**_copies(module, names), **before}


def note_change_(module: nn.Module, before: Tensors) -> None:
    """Note that a module has been corrected, and what its `originals` were."""
    vars(module)[_NAME] = _Change(before, _copies(module, before))


@torch.no_grad()
def change_(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Correct tensors of a module, in place; a bias that it does not have becomes a parameter."""
    before = originals(module, values)
    for name, value in values.items():
        held = getattr(module, name)
        if held is None:
            like = next(module.parameters())
            setattr(module, name, nn.Parameter(value.to(like), requires_grad=like.requires_grad))
        else:
            held.copy_(value)
    note_change_(module, before)


@torch.no_grad()
def revert_correction_(model: nn.Module) -> tuple[str, ...]:
    """Take the corrections of a model back, in place: statistics and biases are again as before.

    What has changed since, by training or by loading a state, is left as it is. A state that is saved holds corrected
    values, and not those before.

    Returns
    -------
    tuple of str
        Names of the layers and normalisations that are as before.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig, approximate_, calibrate, correct_
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    >>> approximate_(model, ApproxConfig(multiplier="mitchell8s"))
    ('0',)
    >>> calibrate(model, [torch.rand(8, 1, 8, 8)])
    >>> _ = correct_(model)
    >>> revert_correction_(model), model[1].running_var
    (('1',), tensor([1., 1.]))
    """
    reverted = []
    for name, module in model.named_modules():
        change: _Change | None = vars(module).pop(_NAME, None)
        if change is None or not change.stands(module):
            continue
        for key, value in change.before.items():
            if value is None:
                setattr(module, key, None)
            else:
                getattr(module, key).copy_(value)
        reverted.append(name)
    return tuple(reverted)


def _copies(module: nn.Module, names: Iterable[str]) -> Tensors:
    held = {name: getattr(module, name) for name in names}
    return {name: None if value is None else value.detach().clone() for name, value in held.items()}


def _same(held: Tensor | None, value: Tensor | None) -> bool:
    if held is None or value is None:
        return held is value
    return held.dtype == value.dtype and torch.equal(held.detach().cpu(), value.cpu())
