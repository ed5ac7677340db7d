"""What others say of a multiplier: published figures beside the measured ones, and hardware costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from catalog.catalog import STATUSES, Figure
from catalog.circuit import COSTS
from catalog.report.definitions import METRICS
from catalog.verdict import OUTCOMES, verdict
from multipliers.characterise import Characterisation
from multipliers.multiplier import Multiplier

if TYPE_CHECKING:
    from catalog.library.records import Figure as Printed
    from multipliers.netlist.library import Library


class Published(NamedTuple):
    """A published figure beside the measured one, both in the figure's unit.

    ``outcome`` is one of `catalog.verdict.OUTCOMES`, ``source`` says where the figure is printed.
    """

    metric: str
    definition: str
    value: str
    measured: float
    unit: str
    outcome: str
    source: str


class Cost(NamedTuple):
    """A hardware cost: what, how much, its unit (``""`` for a count), and where the number comes from."""

    quantity: str
    value: float
    unit: str
    source: str


def compared(c: Characterisation, figures: Sequence[Figure]) -> tuple[Published, ...]:
    """Compare figures of the catalog with a characterisation.

    Published figures are of uniform operands, so none is compared with a weighted characterisation.

    Examples
    --------
    >>> from catalog import entry
    >>> from multipliers import get
    >>> from multipliers.characterise import characterise
    >>> rows = compared(characterise(get("udm8u")), entry("udm8u").figures)
    >>> {row.outcome for row in rows}
    {'reproduced'}
    """
    if c.metrics.weighted:
        return ()
    rows = []
    for figure in figures:
        found, metric = verdict(figure, c.metrics, figure.scale(c.a, c.b)), METRICS[figure.metric]
        status = "" if figure.status == "V" else f" ({STATUSES[figure.status]})"
        source = f"{figure.source}{status}" + (f". {figure.note}" if figure.note else "")
        rows.append(
            Published(metric.title, metric.text, figure.value, found.measured, figure.unit, found.outcome, source)
        )
    return tuple(rows)


def header_compared(c: Characterisation, figures: Sequence[Printed], source: str) -> tuple[Published, ...]:
    """Compare figures of a file's header (`catalog.library.headers.read_figures`) with a characterisation."""
    from catalog.library.headers import compare

    if c.metrics.weighted:
        return ()
    agreed = "not contradicted" if c.metrics.comparison == "sampled" else "reproduced"
    return tuple(
        Published(
            found.figure.name,
            "As the header of the file calls it.",
            found.figure.value,
            found.measured,
            found.figure.unit,
            agreed if found.agrees else "differs",
            source,
        )
        for found in compare(figures, c.metrics, c.a, c.b)
    )


def header_costs(figures: Sequence[Printed], source: str) -> tuple[Cost, ...]:
    """Return the hardware costs among the figures of a file's header."""
    from catalog.library.headers import published_costs

    return tuple(Cost(name, value, COSTS[name], source) for name, value in published_costs(figures).items())


def netlist_costs(multiplier: Multiplier, library: Library | None = None) -> tuple[Cost, ...]:
    """Count gates, levels and cells of a multiplier that is given by a netlist; nothing of any other.

    Parameters
    ----------
    multiplier : Multiplier
        What to count.
    library : Library, optional
        The library of standard cells that the netlist is mapped to: its area is summed up, too.

    Raises
    ------
    NetlistError
        If the netlist holds gates that are no cells of the library.

    Examples
    --------
    >>> from multipliers.netlist import Circuit, Gate, NetlistMultiplier, Port
    >>> circuit = Circuit("and", (Port("A", (2,)), Port("B", (3,))), (Port("O", (4,)),), (Gate("and", (2, 3)),))
    >>> [(row.quantity, row.value) for row in netlist_costs(NetlistMultiplier(circuit, "1u"))]
    [('gates', 1), ('depth', 1), ('gates: and', 1)]
    """
    from multipliers.netlist import NetlistMultiplier
    from multipliers.netlist.library import cost

    if not isinstance(multiplier, NetlistMultiplier):
        return ()
    found, source = cost(multiplier.circuit, library), "counted in the netlist"
    rows = [Cost("gates", found.n_gates, "", source), Cost("depth", found.depth, "gates", source)]
    if library is not None and found.area is not None:
        rows.insert(0, Cost("area", found.area, "as in the library", f"cells of {library.name}"))
    if found.cells:
        return (*rows, *(Cost(f"cells: {name}", n, "", source) for name, n in found.cells.items()))
    return (*rows, *(Cost(f"gates: {kind}", n, "", source) for kind, n in found.gates.items()))


def meanings(published: Sequence[Published]) -> dict[str, str]:
    """Return what the outcomes that occur mean."""
    found = {row.outcome for row in published}
    return {outcome: text for outcome, text in OUTCOMES.items() if outcome in found}
