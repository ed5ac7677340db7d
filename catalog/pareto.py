"""The best trade-offs between two metrics or costs."""

from __future__ import annotations

import math
from collections.abc import Iterable

from catalog.circuit import Circuit
from catalog.quantities import quantity, size_of


def pareto_front(circuits: Iterable[Circuit], x: str, y: str) -> list[Circuit]:
    """Return the circuits than which none is better: in one quantity, and no worse in the other.

    Both are minimised, in magnitude (`catalog.quantities.size_of`). Circuits with the same two values are better than
    none of each other: all of them are on the front, or none. A circuit of which either is not known is not on it.

    Parameters
    ----------
    circuits : iterable of Circuit
    x, y : str
        Metrics or costs, by name (`catalog.quantities`).

    Returns
    -------
    list of Circuit
        By ascending ``x`` and so by descending ``y``; those of the same values by name and origin.

    Raises
    ------
    UnknownNameError
        If there is no such metric or cost.

    Notes
    -----
    Sorted by ``(x, y)``, a point is on the front if and only if its ``y`` is less than that of every point of a
    smaller ``x``, and none of the same ``x`` has less: one pass, O(n log n). Kung, Luccio, Preparata, J. ACM 22, 1975.

    Examples
    --------
    >>> from catalog import circuits
    >>> front = pareto_front([c for c in circuits() if c.a.label == "8u" == c.b.label], "terms", "nmed")
    >>> front[0].name, front[0].costs["terms"]
    ('exact8u', 1)
    """
    first, second = quantity(x).name, quantity(y).name
    known: list[tuple[float, float, Circuit]] = []
    for circuit in circuits:
        px, py = size_of(circuit, first), size_of(circuit, second)
        if not math.isnan(px) and not math.isnan(py):
            known.append((px, py, circuit))
    front: list[tuple[float, float, Circuit]] = []
    for point in sorted(known, key=lambda point: (*point[:2], point[2].name, point[2].origin)):
        if not front or point[1] < front[-1][1] or point[:2] == front[-1][:2]:
            front.append(point)
    return [circuit for *_, circuit in front]
