"""Results of the study of inference without retraining: tables, what was recovered, and a picture."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from catalog.studies.inference import CORRECTIONS, REFERENCES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from catalog.studies.study import Row

KINDS = ("pointwise", "conventional", "grouped", "depthwise", "linear")

_COLOURS = ("#bbbbbb", "#56b4e9", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#f0e442", "#d55e00")


def accuracy_rows(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return measurements of accuracy, with the share of the loss that each correction brought back.

    ``recovered`` is ``(accuracy - none) / (quantised - none)`` of the same network, seed and multiplier: 1 where
    nothing of the multiplier's error is left, None where uncorrected products lose nothing.
    """
    found = []
    known = {(row["network"], row["seed"], row["multiplier"], row["correction"]): row["accuracy"] for row in rows}
    for row in rows:
        subject = row["network"], row["seed"], row["multiplier"]
        none, quantised = known.get((*subject, "none")), known.get((*subject, REFERENCES[0]))
        recovered = None
        if none is not None and quantised is not None and quantised > none and row["accuracy"] is not None:
            recovered = (row["accuracy"] - none) / (quantised - none)
        kept = {name: value for name, value in row.items() if name != "layers"}
        found.append({**kept, "recovered": recovered})
    return found


def layer_rows(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return measurements of layers: one row for each network, seed, multiplier and layer."""
    return [
        {**{name: row[name] for name in ("network", "seed", "multiplier")}, **layer}
        for row in rows
        for layer in row.get("layers", ())
    ]


def shares(layers: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return medians over layers of the shares of error variance, by network, multiplier and kind of layer."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in layers:
        groups.setdefault((row["network"], row["multiplier"], row["kind"]), []).append(row)
    return [
        {
            "network": network,
            "multiplier": multiplier,
            "kind": kind,
            "layers": len(group),
            **{name: statistics.median(row[name] for row in group) for name in ("gain", "share", "total_share")},
        }
        for (network, multiplier, kind), group in groups.items()
    ]


def means(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Average accuracies over seeds: one row for each network and multiplier, a column for each correction."""
    found: dict[tuple[str, str], Row] = {}
    for network, multiplier in dict.fromkeys((row["network"], row["multiplier"]) for row in rows):
        if multiplier == "-":
            continue
        mine = [row for row in rows if row["network"] == network and row["multiplier"] in (multiplier, "-")]
        summary: Row = {"network": network, "multiplier": multiplier}
        summary["relative_error"] = next(row["relative_error"] for row in mine if "relative_error" in row)
        for correction in ("float", *REFERENCES, *CORRECTIONS):
            values = [row["accuracy"] for row in mine if row["correction"] == correction]
            known = [value for value in values if value is not None]
            if values:
                summary[correction] = statistics.fmean(known) if known else None
        found[network, multiplier] = summary
    return list(found.values())


def plot_inference(averages: Sequence[Mapping[str, Any]], layers: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw accuracies by correction, a panel for each network, and the shares of error variance by kind of layer."""
    from matplotlib.figure import Figure

    networks = list(dict.fromkeys(row["network"] for row in averages))
    figure = Figure(figsize=(9, 2.6 * (len(networks) + 1)), layout="constrained")
    panels = figure.subplots(len(networks) + 1, 1)
    corrections = list(CORRECTIONS)
    for axis, network in zip(panels, networks, strict=False):
        rows = [row for row in averages if row["network"] == network]
        shown = [c for c in corrections if any(row.get(c) is not None for row in rows)]
        width = 0.8 / len(shown)
        for index, correction in enumerate(shown):
            places = [k + (index - (len(shown) - 1) / 2) * width for k in range(len(rows))]
            heights = [100 * (row.get(correction) or 0) for row in rows]
            colour = _COLOURS[corrections.index(correction)]
            axis.bar(places, heights, width, label=correction, color=colour)
        for k, row in enumerate(rows):
            axis.plot([k - 0.4, k + 0.4], [100 * row["quantised"]] * 2, color="black", lw=1)
        axis.set_xticks(range(len(rows)), [row["multiplier"] for row in rows], fontsize=8)
        axis.set_ylabel("accuracy / %")
        axis.set_title(f"{network}; the line is that of accurate products", fontsize=9, loc="left")
        _legend(axis, len(shown))
    axis = panels[-1]
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in layers)]
    names = list(dict.fromkeys(row["multiplier"] for row in layers))
    for index, kind in enumerate(kinds):
        for k, name in enumerate(names):
            points = [100 * r["share"] for r in layers if (r["kind"], r["multiplier"]) == (kind, name)]
            place = k + (index - (len(kinds) - 1) / 2) * 0.16
            label = kind if k == 0 else None
            axis.plot([place] * len(points), points, "o", ms=3, alpha=0.6, color=_COLOURS[index + 2], label=label)
    axis.set_xticks(range(len(names)), names, fontsize=8)
    axis.set_yscale("log")
    axis.set_ylabel("error variance / output variance, %")
    axis.set_title("each layer of all networks", fontsize=9, loc="left")
    _legend(axis, len(kinds))
    figure.suptitle(title)
    return figure


def _legend(axis: Any, columns: int) -> None:
    """Put the legend above a panel, at the right."""
    style: dict[str, Any] = {"columnspacing": 1.0, "handlelength": 1.0, "borderaxespad": 0.2}
    axis.legend(fontsize=7, frameon=False, ncols=columns, loc="lower right", bbox_to_anchor=(1, 1), **style)
