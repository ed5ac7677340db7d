"""The ways in which a multiplier is simulated while a network is retrained.

| method          | products while retraining                                                                    |
|-----------------|----------------------------------------------------------------------------------------------|
| ``none``        | accurate ones of quantised operands: the multiplier is met in the test only                  |
| ``behavioural`` | the multiplier's own, each looked up in its table                                            |
| ``exact``       | the multiplier's own, by an exact surrogate: matrix products of transformed operands         |
| ``htp``         | the published recipe's model of the multiplier                                               |
| ``lowrankK``    | the best model of ``K`` products, such as ``lowrank2``                                       |
| ``linear``      | a regression with five coefficients (`surrogate.nn.simulation.products`)                     |
| ``noise``       | accurate, with Gaussian errors of the multiplier's moments (`surrogate.nn.simulation.noise`) |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from multipliers.errors import UnknownNameError

if TYPE_CHECKING:
    from multipliers.multiplier import Multiplier
    from surrogate.model import Surrogate
    from surrogate.nn import ApproxConfig

BASELINES = {"none": "quantised", "linear": "linear", "noise": "noise"}
"""Methods that need nothing but the multiplier, and the modes of layers that they are."""

METHODS = (*BASELINES, "behavioural", "exact", "htp")
"""Methods by name, beside ``lowrankK``."""

MOST_TERMS = 64
"""Exact surrogates of more terms are slower than a table."""

TABLE_BITS = 8
"""Operands up to which tables are looked up by compiled code; beyond it a step takes a hundred times as long."""


def check_methods(methods: Iterable[str]) -> tuple[str, ...]:
    """Return the names of methods, each once.

    Raises
    ------
    UnknownNameError
        If a name is none.
    """
    found = tuple(dict.fromkeys(methods))
    for method in found:
        if method not in METHODS and not _products(method):
            raise UnknownNameError.of("method", method, (*METHODS, "lowrank2"))
    return found


def _products(method: str) -> int:
    """Products of a low-rank method; 0 for others."""
    found = re.fullmatch(r"lowrank([1-9]\d*)", method)
    return 0 if found is None else int(found[1])


@dataclass(frozen=True)
class Simulation:
    """What the layers of a network compute while it is retrained.

    Attributes
    ----------
    method : str
        Its name.
    config : ApproxConfig
    mode : str
        Of the layers, see `surrogate.nn.simulation.modes`.
    """

    method: str
    config: ApproxConfig
    mode: str = "approximate"

    @property
    def exact(self) -> bool:
        """Whether products are the multiplier's own."""
        surrogate = self.config.surrogate
        return self.mode == "approximate" and (surrogate is None or surrogate.is_exact)


class Simulations:
    """Simulations of one multiplier; its surrogates are discovered when they are first needed.

    Parameters
    ----------
    multiplier : Multiplier

    Examples
    --------
    >>> from multipliers import get
    >>> simulations = Simulations(get("bam8s_h3v7"))
    >>> simulations.reference, simulations.of("exact").exact, simulations.of("noise").exact
    ('behavioural', True, False)
    """

    def __init__(self, multiplier: Multiplier) -> None:
        self.multiplier = multiplier

    @property
    def looks_up(self) -> bool:
        """Whether the multiplier is simulated by its table: in reasonable time, or because nothing else is exact."""
        narrow = max(self.multiplier.a.bits, self.multiplier.b.bits) <= TABLE_BITS
        return narrow or self.exact_surrogate is None

    @property
    def reference(self) -> str:
        """The method that others are compared with: behavioural, or for wide operands exact, proven on every pair."""
        return "behavioural" if self.looks_up else "exact"

    @cached_property
    def exact_surrogate(self) -> Surrogate | None:
        """The exact surrogate, proven on every pair of operands; None if it has too many terms."""
        from surrogate import FitError, discover

        try:
            return discover(self.multiplier, "exact", terms=MOST_TERMS, every_pair=True)
        except FitError:
            return None

    @cached_property
    def circuit(self) -> Simulation:
        """What networks are tested on: the multiplier's own products, by whatever is the fastest."""
        return self.of("behavioural" if self.exact_surrogate is None else "exact")

    def available(self, methods: Iterable[str]) -> tuple[str, ...]:
        """Return those of the methods that there are for this multiplier, the reference first."""
        absent = {name for name, is_there in self._exact_ways() if not is_there}
        return tuple(dict.fromkeys((self.reference, *(method for method in methods if method not in absent))))

    def _exact_ways(self) -> tuple[tuple[str, bool], ...]:
        return ("behavioural", self.looks_up), ("exact", self.exact_surrogate is not None)

    def of(self, method: str) -> Simulation:
        """Return a simulation by its name.

        Raises
        ------
        UnknownNameError
            If there is no such method.
        FitError
            If the multiplier has no such surrogate.
        """
        from surrogate.nn import ApproxConfig

        (method,) = check_methods([method])
        if method == "behavioural":
            return Simulation(method, ApproxConfig(multiplier=self.multiplier, backend="table"))
        if method in BASELINES:
            return Simulation(method, self.circuit.config, BASELINES[method])
        return Simulation(method, ApproxConfig(multiplier=self.multiplier, surrogate=self._surrogate(method)))

    def _surrogate(self, method: str) -> Surrogate:
        from surrogate import FitError, discover

        if method == "htp":
            return discover(self.multiplier, "htp")
        if products := _products(method):
            return discover(self.multiplier, "lowrank", products=products)
        if self.exact_surrogate is None:
            raise FitError(
                f"{self.multiplier.name} has no exact surrogate of at most {MOST_TERMS} terms; simulate it by its table"
            )
        return self.exact_surrogate
