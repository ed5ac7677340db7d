"""A surrogate per layer: each fitted to the operand values that its layer of a network multiplies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from multipliers.distributions import OperandDistributions
from multipliers.multiplier import Multiplier
from surrogate.cost import CostModel
from surrogate.fit.discovery import discover
from surrogate.fit.gain import rms_residual
from surrogate.fit.select import Objective, select
from surrogate.model import Surrogate
from surrogate.nn.calibration import calibrate, mode
from surrogate.nn.config import ApproxConfig
from surrogate.nn.convert import approximate_, approximate_layers
from surrogate.nn.distributions import from_model
from surrogate.nn.errors import ConversionError
from surrogate.nn.selection import Configs


@dataclass(frozen=True)
class LayerFit:
    """What was found for one layer.

    Attributes
    ----------
    config : ApproxConfig
        The layer's configuration, with the surrogate.
    distributions : OperandDistributions
        What the layer multiplies.
    residual : float
        Root mean square of the surrogate's residual under these distributions (LSB).
    uniform_residual : float
        The same of the surrogate of as many products that is fitted as if all operands were equally likely.
    """

    config: ApproxConfig
    distributions: OperandDistributions
    residual: float
    uniform_residual: float

    @property
    def surrogate(self) -> Surrogate:
        """The layer's surrogate."""
        assert self.config.surrogate is not None  # discover_per_layer gives every layer one
        return self.config.surrogate

    @property
    def gain(self) -> float:
        """``uniform_residual / residual``; 1 where neither leaves anything."""
        if self.residual == 0:
            return 1.0 if self.uniform_residual == 0 else float("inf")
        return self.uniform_residual / self.residual


@dataclass(frozen=True)
class PerLayer(Mapping[str, ApproxConfig]):
    """Configurations by the name of a layer, as `approximate_` takes them, and what is known of each.

    Attributes
    ----------
    fits : mapping of str to LayerFit
    """

    fits: Mapping[str, LayerFit]

    def __getitem__(self, name: str) -> ApproxConfig:
        """Return the configuration of a layer."""
        return self.fits[name].config

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of layers."""
        return iter(self.fits)

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.fits)


def discover_per_layer(
    model: nn.Module,
    batches: Iterable[Any],
    config: Configs | Multiplier | str | None = None,
    *,
    products: int | None = None,
    objective: Objective | None = None,
    factors: str = "float",
    costs: CostModel | None = None,
    padding: bool | None = None,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Callable[[str], None] | None = None,
) -> PerLayer:
    """Find, for each layer of a network, the best surrogate for the operands that it multiplies.

    Parameters
    ----------
    model : nn.Module
        With calibrated approximate layers; or any model, with ``config``. It is not changed.
    batches : iterable
        Inputs of the model, as `from_model` takes them; with ``config`` they are iterated three times.
    config : ApproxConfig, mapping, Multiplier or str, optional
        What the layers multiply with: configurations as `approximate_` takes them, or just a multiplier.
    products : int, optional
        How many products each layer's surrogate has.
    objective : Objective, optional
        What each layer needs instead, judged under its own distributions: the number of products is then its own.
    factors : {"float", "int8", "bfloat16"}
        With ``products``: datatype of the factors, see `surrogate.discover`.
    costs : CostModel, optional
        With ``objective``, see `surrogate.select`.
    padding : bool, optional
        Whether lanes of padding count, see `from_model`.
    forward : callable, optional
        ``forward(model, batch)`` instead, for models of other signatures.
    progress : callable, optional
        ``progress(name)`` before each layer's discovery.

    Returns
    -------
    PerLayer
        ``approximate_(model, found)`` makes use of it; ``found.fits[name].gain`` is what knowing the operands gained.

    Raises
    ------
    ConversionError
        If neither or both of ``products`` and ``objective`` are given, a layer's configuration names no multiplier, or
        the batches do not reach a layer.
    FitError
        If there is no such surrogate.

    Examples
    --------
    >>> import torch
    >>> model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> data = [torch.rand(64, 6)]
    >>> found = discover_per_layer(model, data, "mitchell6u", products=2)
    >>> all(fit.gain >= 1 for fit in found.fits.values())
    True
    >>> approximate_(model, found)
    ('0', '2')
    """
    if (products is None) == (objective is None):
        raise ConversionError("give products, the number of products of each layer's surrogate, or an objective")
    if config is not None:
        if iter(batches) is batches:
            raise ConversionError("with config the batches are iterated three times; pass a list or a data loader")
        if isinstance(config, Multiplier | str):
            config = ApproxConfig(multiplier=config)
        model = copy.deepcopy(model)
        approximate_(model, config)
        calibrate(model, batches, forward=forward)
        with mode(model, "float"):
            counted = from_model(model, batches, padding=padding, forward=forward)
    else:
        counted = from_model(model, batches, padding=padding, forward=forward)
    fits = {}
    for name, layer in approximate_layers(model):
        if progress is not None:
            progress(name)
        fits[name] = _fit(name, layer.config, counted[name], products, objective, factors, costs)
    return PerLayer(fits)


def _fit(
    name: str,
    config: ApproxConfig,
    found: OperandDistributions,
    products: int | None,
    objective: Objective | None,
    factors: str,
    costs: CostModel | None,
) -> LayerFit:
    multiplier = config.multiplier
    if not isinstance(multiplier, Multiplier):
        raise ConversionError(f"layer {name!r} has a surrogate, but no multiplier to fit another to; give both")
    p, q = found.weights_a, found.weights_b
    if objective is not None:
        surrogate = select(multiplier, objective, costs=costs, weights_a=p, weights_b=q).surrogate
    else:
        surrogate = discover(multiplier, "lowrank", products=products, factors=factors, weights_a=p, weights_b=q)
    if surrogate.is_exact:
        uniform = surrogate
    else:
        uniform = discover(multiplier, "lowrank", products=max(1, surrogate.n_products), factors=factors)
    residuals = [rms_residual(s, multiplier, p, q) for s in (surrogate, uniform)]
    return LayerFit(replace(config, surrogate=surrogate, backend="surrogate"), found, *residuals)
