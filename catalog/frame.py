"""Circuits as rows of one table: flat records, and a pandas DataFrame."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from typing import Any

from catalog.circuit import COSTS, Circuit
from catalog.measured import circuits as catalog_circuits
from catalog.quantities import METRICS, value_of
from multipliers.operands import OperandFormat


def record(circuit: Circuit) -> dict[str, Any]:
    """Return a circuit as one flat row: what it is, metrics, costs, and published metrics as ``published_<metric>``.

    Every row has the same keys; what is not known is NaN.
    """
    return {
        "name": circuit.name,
        "origin": circuit.origin,
        "family": circuit.family,
        "a": circuit.a.label,
        "b": circuit.b.label,
        "comparison": circuit.comparison,
        **{name: value_of(circuit, name) for name in (*METRICS, *COSTS)},
        **{f"published_{name}": circuit.published.get(name, math.nan) for name in METRICS},
        "fingerprint": circuit.fingerprint,
        "complete": circuit.complete,
    }


def dataframe(circuits: Iterable[Circuit] | None = None) -> Any:
    """Return circuits as a pandas DataFrame, a row each, with the columns of `record`.

    Parameters
    ----------
    circuits : iterable of Circuit, optional
        By default the package's own catalog.

    Returns
    -------
    pandas.DataFrame
        ``attrs["units"]`` has the units of metrics and costs.

    Raises
    ------
    ModuleNotFoundError
        If pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "a DataFrame needs pandas; install it with pip install 'axsurrogate[pandas]'"
        ) from None
    chosen = catalog_circuits() if circuits is None else circuits
    columns = list(record(Circuit("", "", "", OperandFormat(1), OperandFormat(1), "", True, "exhaustive", {})))
    frame = pandas.DataFrame([record(circuit) for circuit in chosen], columns=columns)
    frame.attrs["units"] = {**METRICS, **COSTS}
    return frame
