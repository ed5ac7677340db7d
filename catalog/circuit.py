"""One multiplier as a row of the catalog, whatever it comes from: what it is, what it errs, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from multipliers.errors import UnknownNameError
from multipliers.metric_values import ErrorMetrics
from multipliers.operands import OperandFormat

COSTS = {
    "power": "mW",
    "area": "um^2",
    "delay": "ns",
    "gates": "",
    "depth": "",
    "terms": "",
}
"""Costs of a circuit and their units: hardware as published for a technology or as counted in its netlist, and in
software ``terms``, the ordinary products that simulate it exactly, min(rank F, 1 + rank E)."""


@dataclass(frozen=True)
class Circuit:
    """One multiplier, of the package's own catalog or of a user's library.

    Attributes
    ----------
    name : str
        A label for people, not a key: libraries use one name for several circuits.
    origin : str
        ``"catalog"`` for the package's own designs, else the release or folder that it was imported from.
    family : str
        Family of the design (``"drum"``), or the kind of circuit that its library says (``"mul8u"``).
    a, b : OperandFormat
        Operand formats.
    fingerprint : str
        `Multiplier.fingerprint` where ``complete``, else `Multiplier.sample_fingerprint`.
    complete : bool
        Whether the fingerprint covers every operand pair.
    comparison : {"exhaustive", "streamed", "sampled"}
        What the metrics rest on.
    metrics : mapping of str to float
        Measured metrics: the numeric fields of `multipliers.metric_values.ErrorMetrics`.
    costs : mapping of str to float
        Keys of `COSTS`; a cost that is not known is absent. Above 2**20 operand pairs ``terms`` is a lower bound, the
        ranks of a random sub-matrix.
    published : mapping of str to float
        Published metrics, in the units of ``metrics`` (fractions, not per cent); absent where not published.
    """

    name: str
    origin: str
    family: str
    a: OperandFormat
    b: OperandFormat
    fingerprint: str
    complete: bool
    comparison: Literal["exhaustive", "streamed", "sampled"]
    metrics: Mapping[str, float] = field(hash=False)
    costs: Mapping[str, float] = field(default_factory=dict, hash=False)
    published: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for cost in self.costs:
            if cost not in COSTS:
                raise UnknownNameError.of("cost", cost, COSTS)
        for metric in (*self.metrics, *self.published):
            if metric not in ErrorMetrics.__dataclass_fields__:
                raise UnknownNameError.of("error metric", metric, ErrorMetrics.__dataclass_fields__)
