"""Which surrogate to take, and whether to take one at all: an objective, candidates, and their cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from surrogate.cost import CostModel
from surrogate.errors import FitError
from surrogate.fit.discovery import discover
from surrogate.fit.front import Front, front, rms_error
from surrogate.model import Surrogate


@dataclass(frozen=True)
class Objective:
    """What a user needs of a simulation; the fastest that meets all of it is chosen.

    Parameters
    ----------
    exact : bool
        Every product must be the multiplier's.
    max_products : int, optional
        Most products of a surrogate.
    max_residual : float, optional
        Largest root mean square of the residual (LSB), under the operand distributions.
    max_share : float, optional
        The same, as a share of the root mean square of the multiplier's error: 0.1 for 10 %.

    Raises
    ------
    FitError
        If nothing is asked for, or a number is out of range.
    """

    exact: bool = False
    max_products: int | None = None
    max_residual: float | None = None
    max_share: float | None = None

    def __post_init__(self) -> None:
        if not self.exact and self.max_products is None and self.max_residual is None and self.max_share is None:
            raise FitError("the objective asks for nothing; give exact=True, max_products, max_residual or max_share")
        k = self.max_products
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
            raise FitError(f"max_products must be a positive integer, got {k!r}")
        for name in ("max_residual", "max_share"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 <= value < float("inf")):
                raise FitError(f"{name} must be a non-negative number, got {value!r}")

    def limit(self, error: float) -> float:
        """Return the largest residual that is permitted, given the multiplier's error (both RMS, LSB)."""
        limits = [float("inf")]
        if self.exact:
            limits.append(0.0)
        if self.max_residual is not None:
            limits.append(self.max_residual)
        if self.max_share is not None:
            limits.append(self.max_share * error)
        return min(limits)


@dataclass(frozen=True)
class Candidate:
    """One way to simulate the multiplier.

    Attributes
    ----------
    engine : {"surrogate", "table"}
    surrogate : Surrogate or None
        None for the table.
    residual : float
        Root mean square of what differs from the multiplier (LSB), under the operand distributions.
    cost : float
        Of a layer, in multiples of the accurate float32 layer, by the cost model.
    """

    engine: str
    surrogate: Surrogate | None = field(repr=False)
    residual: float
    cost: float


@dataclass(frozen=True)
class Selection:
    """What `select` chose.

    Attributes
    ----------
    chosen : Candidate
        The cheapest that meets the objective. Where it is the table, no surrogate is faster: `ApproxConfig` with
        ``backend="table"`` runs it.
    candidates : tuple of Candidate
        All that meet the objective, cheapest first.
    error : float
        Root mean square of the multiplier's own error (LSB).
    """

    chosen: Candidate
    candidates: tuple[Candidate, ...]
    error: float

    @property
    def surrogate(self) -> Surrogate:
        """The cheapest surrogate that meets the objective, also where the table is cheaper still.

        Raises
        ------
        FitError
            If only the table meets it.
        """
        found = [c.surrogate for c in self.candidates if c.surrogate is not None]
        if not found:
            raise FitError("only a lookup table meets the objective; simulate by table (backend='table')")
        return found[0]


def select(
    multiplier: Multiplier,
    objective: Objective,
    *,
    costs: CostModel | None = None,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
    every_pair: bool = False,
) -> Selection:
    """Choose the cheapest simulation that meets an objective.

    Candidates are the exact surrogate, the best surrogate of as few products as the residual permits, and the table.

    Parameters
    ----------
    multiplier : Multiplier
    objective : Objective
    costs : CostModel, optional
        By default that of one machine; `surrogate.nn.measure_costs` measures the one at hand.
    weights_a, weights_b : array_like of float, optional
        Operand distributions under which residuals are measured, uniform by default.
    every_pair : bool
        Certify wide operands on every pair; see `surrogate.discover`.

    Raises
    ------
    FitError
        If nothing meets the objective; the message says the best that there is.

    Examples
    --------
    >>> import multipliers
    >>> found = select(multipliers.get("bam8u_h0v2"), Objective(exact=True))
    >>> found.chosen.engine, found.surrogate.n_products
    ('surrogate', 3)
    """
    costs = CostModel() if costs is None else costs
    curve = None if objective.exact else front(multiplier, weights_a, weights_b, most=objective.max_products)
    error = rms_error(multiplier, weights_a, weights_b) if curve is None else curve.error
    found = _exact(multiplier, objective, costs, every_pair)
    if curve is not None:
        found += _approximate(multiplier, objective, costs, curve, weights_a, weights_b, every_pair, found)
    if objective.max_products is None and multiplier.n_pairs <= MAX_TABLE_ENTRIES:
        found.append(Candidate("table", None, 0.0, costs.of_table(multiplier)))
    if not found:
        curve = curve or front(multiplier, weights_a, weights_b, most=objective.max_products)
        raise FitError(f"{multiplier.name}: nothing meets the objective; {_best(multiplier, objective, curve)}")
    found.sort(key=lambda c: (c.cost, c.residual))
    return Selection(found[0], tuple(found), error)


def _exact(multiplier: Multiplier, objective: Objective, costs: CostModel, every_pair: bool) -> list[Candidate]:
    most = min(256, objective.max_products or 256)
    try:
        surrogate = discover(multiplier, "exact", terms=most, every_pair=every_pair)
    except FitError:
        return []
    if objective.exact and not surrogate.is_exact:
        return []  # sampled only
    return [Candidate("surrogate", surrogate, 0.0, costs.of_surrogate(surrogate))]


def _approximate(
    multiplier: Multiplier,
    objective: Objective,
    costs: CostModel,
    curve: Front,
    weights_a: ArrayLike | None,
    weights_b: ArrayLike | None,
    every_pair: bool,
    exact: list[Candidate],
) -> list[Candidate]:
    """Find the fewest products within the limit; without a limit, the most that are permitted."""
    limit = objective.limit(curve.error)
    if np.isinf(limit):
        products = objective.max_products or 1
    else:
        try:
            products = max(1, curve.products_for(limit))
        except FitError:
            return []
    if exact and exact[0].surrogate is not None and exact[0].surrogate.n_products <= products:
        return []
    surrogate = discover(
        multiplier, "lowrank", products=products, weights_a=weights_a, weights_b=weights_b, every_pair=every_pair
    )
    return [Candidate("surrogate", surrogate, float(curve.residuals[products]), costs.of_surrogate(surrogate))]


def _best(multiplier: Multiplier, objective: Objective, curve: Front) -> str:
    """Say what comes nearest."""
    k = len(curve.residuals) - 1
    text = f"the best surrogate of {k} products leaves {curve.residuals[k]:.6g} LSB (RMS)"
    if objective.exact:
        try:
            needed = discover(multiplier, "exact").n_products
        except FitError:
            return text + ", and no exact one of up to 256 is known"
        text += f"; an exact one has {needed} products"
        if multiplier.n_pairs > MAX_TABLE_ENTRIES:
            text += ", proven with every_pair=True"
    return text
