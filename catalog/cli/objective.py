"""What a user needs of a surrogate, as options of ``axsurrogate discover``, and what was chosen for it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.cli.console import number
from catalog.cli.errors import CommandError

if TYPE_CHECKING:
    from multipliers.multiplier import Multiplier
    from surrogate.cost import CostModel
    from surrogate.fit.select import Candidate, Objective, Selection

_HELP_PANEL = "What is needed, instead of a method: the fastest that meets all of it"

Exact = Annotated[
    bool, typer.Option("--exact", rich_help_panel=_HELP_PANEL, help="Every product must be the multiplier's.")
]
MaxProducts = Annotated[
    int | None, typer.Option(metavar="K", rich_help_panel=_HELP_PANEL, help="Most products of a surrogate.")
]
MaxResidual = Annotated[
    float | None,
    typer.Option(metavar="LSB", rich_help_panel=_HELP_PANEL, help="Largest RMS residual, under the distributions."),
]
MaxShare = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE", rich_help_panel=_HELP_PANEL, help="The same, as a share of the RMS error: 10% or 0.1."
    ),
]
Costs = Annotated[
    Path | None,
    typer.Option(
        "--costs",
        metavar="FILE",
        rich_help_panel=_HELP_PANEL,
        help="Costs of this machine, from axsurrogate costs -o FILE; those of one AVX-512 machine if left out.",
    ),
]


def read_objective(
    exact: bool, max_products: int | None, max_residual: float | None, max_share: str | None
) -> Objective | None:
    """Return what the options ask for; None if they ask for nothing."""
    if not exact and max_products is None and max_residual is None and max_share is None:
        return None
    from surrogate.fit.select import Objective

    return Objective(exact, max_products, max_residual, None if max_share is None else read_share(max_share))


def read_share(text: str) -> float:
    """Read a share, in per cent or as a fraction.

    Examples
    --------
    >>> read_share("12.5 %"), read_share("0.1")
    (0.125, 0.1)
    """
    if not re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*%?", text):
        raise CommandError(f"--max-share must be a share such as 10% or 0.1, got {text!r}")
    value = float(text.rstrip("% "))
    return value / 100 if text.endswith("%") else value


def load_costs(path: Path | None) -> CostModel:
    """Read a cost model; the default one without a file."""
    from surrogate.cost import CostModel

    return CostModel() if path is None else CostModel.load(path)


@dataclass(frozen=True)
class Choice:
    """What was chosen, by which costs.

    Attributes
    ----------
    selection : Selection
    costs : CostModel
    """

    selection: Selection
    costs: CostModel

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""

        def candidate(c: Candidate) -> dict[str, Any]:
            products = None if c.surrogate is None else c.surrogate.n_products
            return {"engine": c.engine, "n_products": products, "rms_residual": c.residual, "cost": c.cost}

        return {
            "engine": self.selection.chosen.engine,
            "rms_error": self.selection.error,
            "candidates": [candidate(c) for c in self.selection.candidates],
            "cost_model": asdict(self.costs),
        }

    def lines(self) -> list[str]:
        """Say what simulation costs, and where a table is cheaper than the surrogate."""
        found, candidates = self.selection.surrogate, self.selection.candidates
        best = next(c for c in candidates if c.surrogate is found)
        table = next((c for c in candidates if c.engine == "table"), None)
        count, kind = self.costs.products_of(found)
        each = f"{number(count)} x {number(getattr(self.costs, kind))} ({kind})"
        text = f"Cost: about {best.cost:.3g} times an accurate float32 layer ({number(self.costs.base)} + {each})"
        lines = [text + (f"; by table {table.cost:.3g} times" if table is not None else "")]
        if table is not None and self.selection.chosen is table:
            most = self.costs.affordable_products(table.cost)
            lines.append(
                f"The lookup table is cheaper here, and exact: ApproxConfig(backend='table') runs it. A surrogate of "
                f"floats is cheaper up to {number(most)} products."
            )
        lines.append(f"(By costs of: {self.costs.shape}. axsurrogate costs measures those of this machine.)")
        return lines


def choose(multiplier: Multiplier, objective: Objective, costs: CostModel, options: dict[str, Any]) -> Choice:
    """Choose a surrogate by an objective.

    Raises
    ------
    CommandError
        If an option belongs to a method.
    """
    from surrogate.fit.select import select

    foreign = sorted(set(options) - {"weights_a", "weights_b", "every_pair"})
    if foreign:
        raise CommandError(f"--{foreign[0].replace('_', '-')} is an option of a method; the objective chooses it all")
    return Choice(select(multiplier, objective, costs=costs, **options), costs)
