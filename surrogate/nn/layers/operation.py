"""What all approximate operations share: a multiplier and its engine, modes, ranges of activations, and their state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from surrogate.nn.config import ApproxConfig
from surrogate.nn.engines.engine import Engine
from surrogate.nn.engines.standard_sums import standard_engine
from surrogate.nn.errors import ConversionError
from surrogate.nn.gradients.choice import product_gradient
from surrogate.nn.gradients.product import ProductGradient
from surrogate.nn.quantisation.quantiser import Quantiser
from surrogate.nn.simulation.modes import SIMULATIONS, simulation_engine

MODES = ("approximate", "calibrate", "float", *SIMULATIONS)
_MULTIPLYING = ("approximate", "exact", "surrogate", "table")
"""Modes of the multiplier's own products; the others are straight through whatever gradient is configured."""


class ApproxOperation(nn.Module, ABC):
    """An operation that quantises its operands and multiplies them through a multiplier.

    Subclasses are drop-in: they derive from the accurate module, too, and an accurate module whose class is changed
    to theirs becomes approximate by `attach`, and accurate again by `detach_`.

    Attributes
    ----------
    config : ApproxConfig
        As given, backend settled.
    engine : Engine
        Does the sums of mode ``"approximate"``.
    product_gradient : ProductGradient or None
        The configured derivative of the product; None if it is straight through.
    fingerprint : Tensor
        SHA-256 of the multiplier, a buffer: states of another multiplier are refused.
    mode : {"approximate", "calibrate", "float", ...}
        ``"approximate"`` computes as configured. ``"calibrate"`` observes ranges and computes like ``"float"``:
        accurately, without quantisation. Others are those of `surrogate.nn.simulation.modes`.
    path : str
        Name in the model, for errors: as of the last `approximate_` or `calibrate`; empty if none has been told.
    """

    config: ApproxConfig
    engine: Engine
    fingerprint: Tensor
    path: str
    product_gradient: ProductGradient | None
    parts: ClassVar[tuple[str, ...]] = (
        "engine",
        "product_gradient",
        "fingerprint",
        "config",
        "path",
        "_simulators",
        "_mode",
    )
    """Attributes that `attach` adds, and `detach_` removes."""

    def attach(self, config: ApproxConfig) -> Self:
        """Give an accurate module, whose class has been changed to this one, its approximate parts."""
        self.config = config.resolved()
        self.engine = self.config.engine()
        self.product_gradient = product_gradient(self.config)
        digest = bytes.fromhex(self.config.reference.fingerprint)
        self.register_buffer("fingerprint", torch.tensor(list(digest), dtype=torch.uint8))
        self.path = ""
        self._simulators: dict[str, Engine] = {}
        self.mode = "approximate"
        return self

    def detach_(self) -> Self:
        """Remove the approximate parts; the inverse of `attach`."""
        for name in self.parts:
            delattr(self, name)
        return self

    @property
    @abstractmethod
    def activations(self) -> dict[str, Quantiser]:
        """Quantisers whose ranges are observed, by the name of their attribute."""

    @property
    def mode(self) -> str:
        """What the operation computes."""
        return self._mode

    @mode.setter
    def mode(self, name: str) -> None:
        if name not in MODES:
            raise ConversionError(f"mode must be one of {MODES}, got {name!r}")
        if name in SIMULATIONS and name not in self._simulators:
            self._simulators[name] = simulation_engine(self.config, name, self.path)
        self._mode = name

    @property
    def running(self) -> Engine:
        """The engine of the mode."""
        if torch.compiler.is_exporting():
            if self.mode != "approximate":
                raise ConversionError(f"mode {self.mode!r} cannot be exported; set 'approximate' or 'float' first")
            return cast(Engine, standard_engine(self.engine, self.config.surrogate))
        if self.mode not in SIMULATIONS:
            return self.engine
        return self._simulators[self.mode].to(self.fingerprint.device)

    @property
    def derivative(self) -> ProductGradient | None:
        """The derivative of the product in this mode; None for straight through."""
        return self.product_gradient if self.mode in _MULTIPLYING else None

    @property
    def integer_engine(self) -> Engine:
        """The engine of the mode, if its sums are integers.

        Raises
        ------
        ConversionError
            If it runs a surrogate of float factors, whose sums are not.
        """
        if not getattr(self.running, "integer", True):
            raise ConversionError("this layer runs a surrogate of float factors; its sums are not integers")
        return self.running

    @property
    def exact(self) -> bool:
        """Whether sums equal those of the multiplier as integers."""
        return self.engine.exact

    @property
    def calibrated(self) -> bool:
        """Whether the ranges of all activations have been observed."""
        return all(quantiser.calibrated for quantiser in self.activations.values())

    def reset(self) -> None:
        """Forget the observed ranges."""
        for quantiser in self.activations.values():
            quantiser.reset()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        saved = state_dict.get(prefix + "fingerprint")
        if saved is not None and not torch.equal(saved.cpu(), self.fingerprint.cpu()):
            raise ConversionError(
                f"the state of {prefix[:-1]!r} was saved for another multiplier than {self.config.name!r}; convert the "
                f"model with the multiplier that it was saved with before loading"
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        """Summarise for ``print(model)``."""
        kind = "exact" if self.exact else "approximate"
        backend = f"{kind} surrogate" if self.config.by_surrogate else self.config.backend.replace("_", " ")
        own = super().extra_repr()
        gradient = "" if self.product_gradient is None else f", gradient={self.config.gradient}"
        state = "" if self.calibrated else ", not calibrated"
        return f"{own}{', ' if own else ''}multiplier={self.config.name}, by {backend}{gradient}{state}"


def approximate_operations(model: nn.Module) -> Iterator[tuple[str, ApproxOperation]]:
    """Yield the approximate layers and products of a model with their names, each once."""
    for name, module in model.named_modules():
        if isinstance(module, ApproxOperation):
            yield name, module


def name_operations(model: nn.Module) -> list[tuple[str, ApproxOperation]]:
    """Tell layers their names, for errors; return both."""
    found = list(approximate_operations(model))
    for name, module in found:
        module.path = name
    return found
