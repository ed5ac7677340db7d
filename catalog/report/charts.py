"""The charts of a report, as figures in the notation of plotly.js.

They are plain dictionaries, so that nothing is imported to make them. Arrays are base64, in plotly's own notation
(``dtype``, ``bdata``, ``shape``): exact, and a third of their length in digits. Colours of lines and bars are told
apart under every common colour blindness (Okabe and Ito) on white and on black; the page sets all others.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from catalog.report.surface import QUANTITIES, Surface
from catalog.report.typeset import power
from multipliers.characterise import Characterisation
from multipliers.distributions import FloatArray
from multipliers.plot import drawn_edges
from multipliers.profiles import ErrorProfile, Histogram

BLUE, ORANGE, GREY = "#2f86c6", "#dd6f1e", "#8d96a0"

SIGNED_SCALE = [[0, "#1b4f8a"], [0.25, "#5b9bd0"], [0.5, "#f4f4f4"], [0.75, "#e58a5c"], [1, "#a1201d"]]
"""Blue is too small, white right, red too large: safe for red-green blindness."""

DOT_LENGTHS = (1, 9, 64, 256, 576, 1024, 2304, 4096)
"""Lengths of dot products: a 3 x 3 filter of 64 channels has 576 products, one of 256 channels 2304."""

SATURATION = 0.99
"""Share of the cells whose relative error lies within the colour scale: single pairs of small products have more."""

_TITLES = {"error": "error E (LSB)", "relative": "relative error E/P", "product": "product F (LSB)"}
_STATISTICS = {"mean": "mean", "max": "largest"}

Figure = dict[str, Any]


def array(values: Any, otherwise: str = "f8") -> dict[str, str]:
    """Return an array in plotly's base64 notation: whole numbers in the smallest signed type, others as ``otherwise``.

    Examples
    --------
    >>> array([[0, 1], [2, 3]])
    {'dtype': 'i1', 'bdata': 'AAECAw==', 'shape': '2, 2'}
    """
    data = np.asarray(values)
    if data.size and np.isfinite(data).all() and (data == np.rint(data)).all() and np.abs(data).max() < 1 << 31:
        kind = next(k for k in ("i1", "i2", "i4") if np.abs(data).max() < 1 << (8 * int(k[1]) - 1))
    else:
        kind = otherwise
    raw = np.ascontiguousarray(data, dtype=f"<{kind}").tobytes()
    packed = {"dtype": kind, "bdata": base64.b64encode(raw).decode("ascii")}
    return packed if data.ndim == 1 else {**packed, "shape": ", ".join(map(str, data.shape))}


def surfaces(surface: Surface) -> dict[str, dict[str, Any]]:
    """Return what the two views of the surface show, by ``"<mean or max>-<quantity>"``: values, colours and labels."""
    views = {}
    for statistic, word in _STATISTICS.items():
        for quantity in QUANTITIES:
            cells: FloatArray = getattr(surface, f"{statistic}_{quantity}")
            size = np.abs(cells[np.isfinite(cells)])
            limit = float(size.max(initial=0.0))
            title = f"{word} {_TITLES[quantity]}" if surface.reduced else _TITLES[quantity]
            note = ""
            if quantity == "relative" and size.size:
                kept = float(np.quantile(size, SATURATION))
                if 0 < kept < limit:
                    note = f"Colours end at ±{kept:.4g}, exceeded by few cells; the largest: {limit:.4g}."
                    limit = kept
                note += " White or empty: P = 0, where E/P is undefined." if size.size < cells.size else ""
            signed = quantity != "product" or bool((cells < 0).any())
            views[f"{statistic}-{quantity}"] = {
                "z": array(cells, "f4"),
                "low": -(limit or 1.0) if signed else 0.0,
                "high": limit or 1.0,
                "title": title,
                "axis": {"error": "E", "relative": "E/P", "product": "F"}[quantity],
                "note": note.strip(),
                "scale": SIGNED_SCALE if signed else "Viridis",
            }
        if not surface.reduced:
            break
    return views


def surface_figures(surface: Surface) -> dict[str, Figure]:
    """Return the map and the 3-D view without cells, which the page fills in from `surfaces`."""
    a, b = array(surface.a), array(surface.b)
    first = surfaces(surface)["mean-error"]
    bar = {"thickness": 12, "outlinewidth": 0, "title": {"text": first["title"], "side": "right"}}
    flat = {
        "type": "heatmap",
        "x": b,
        "y": a,
        "zmin": first["low"],
        "zmax": first["high"],
        "colorscale": first["scale"],
        "colorbar": bar,
        "hovertemplate": "a = %{y}<br>b = %{x}<br>%{z:.6~g}<extra></extra>",
    }
    solid = {
        "type": "surface",
        "x": b,
        "y": a,
        "cmin": first["low"],
        "cmax": first["high"],
        "colorscale": first["scale"],
        "showscale": False,
        "contours": {axis: {"highlight": False} for axis in "xyz"},
        "lighting": {"ambient": 0.75, "diffuse": 0.5, "specular": 0.05},
        "hovertemplate": "a = %{y}<br>b = %{x}<br>%{z:.6~g}<extra></extra>",
    }
    scene = {
        "xaxis": {"title": {"text": "b"}},
        "yaxis": {"title": {"text": "a"}},
        "zaxis": {"title": {"text": ""}},
        "aspectmode": "manual",
        "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        "camera": {"eye": {"x": -1.2, "y": -1.35, "z": 0.85}, "center": {"x": 0, "y": 0, "z": -0.12}},
    }
    return {
        "map": _figure([flat], xaxis=_axis("operand b"), yaxis=_axis("operand a")),
        "solid": _figure([solid], scene=scene, margin={"l": 0, "r": 0, "t": 0, "b": 0}),
    }


def figures(c: Characterisation, surface: Surface | None) -> dict[str, Figure]:
    """Return every chart of a report by the name of its place on the page."""
    found = {} if surface is None else surface_figures(surface)
    return {
        **found,
        "errors": _histogram(c.error_histogram, relative=False),
        "relative": _histogram(c.relative_error_histogram, relative=True),
        "profile-a": _profile(c.profile_a, BLUE, surface),
        "profile-b": _profile(c.profile_b, ORANGE, surface),
        "spectrum": _spectrum(c),
        "dot": _dot_products(c),
    }


def _figure(data: list[dict[str, Any]], **layout: Any) -> Figure:
    return {"data": data, "layout": {"showlegend": False, "margin": {"l": 64, "r": 16, "t": 12, "b": 52}, **layout}}


def _axis(title: str, **options: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "automargin": True, **options}


def _log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """Return a logarithmic axis with at most eight powers of ten, written in characters of one size."""
    bounds = [float(np.log10(low)), float(np.log10(high))]
    step = max(1, -(-round(bounds[1] - bounds[0]) // 7))
    powers = range(int(np.ceil(bounds[0] / step)) * step, int(np.floor(bounds[1])) + 1, step)
    texts = [f"{10**k:,}" if 0 <= k <= 3 else power(k) for k in powers]
    return _axis(title, type="log", range=bounds, tickvals=[10.0**k for k in powers], ticktext=texts)


def _count_axis(title: str, largest: int) -> dict[str, Any]:
    end = max(largest, 1)
    ticks = {"dtick": 1} if end <= 8 else {"nticks": 8}
    return _axis(title, range=[-0.03 * end, 1.05 * end], **ticks)


def _histogram(histogram: Histogram, relative: bool) -> Figure:
    title = "relative error E/P" if relative else "error E (LSB)"
    if not histogram.n_pairs:
        return _figure([], xaxis=_axis(title), yaxis=_axis("share of pairs"))
    share, (edges, tails) = histogram.counts / histogram.n_pairs, drawn_edges(histogram, relative)
    bars = {
        "type": "bar",
        "x": array((edges[:-1] + edges[1:]) / 2),
        "y": array(share),
        "width": array(np.diff(edges)),
        "marker": {"color": [GREY if tail else BLUE for tail in tails], "line": {"width": 0}},
        "customdata": [
            [f"{low:.6g}", f"{high:.6g}"] for low, high in zip(histogram.edges, histogram.edges[1:], strict=False)
        ],
        "hovertemplate": "%{customdata[0]} to %{customdata[1]}<br>share %{y:.4~g}<extra></extra>",
    }
    lowest = min(0.1, 0.5 * float(share[share > 0].min()))

    return _figure(
        [bars],
        xaxis=_axis(title, zeroline=True),
        yaxis=_log_axis("share per bin", lowest, 1.5),
        bargap=0,
    )


def _profile(profile: ErrorProfile, colour: str, surface: Surface | None) -> Figure:
    """Return the mean with a band of one standard deviation, above the largest error in magnitude."""
    held, x = profile.operand, array(profile.values)
    traces: list[dict[str, Any]] = [
        {"x": x, "y": array(profile.mean - profile.sd), "line": {"width": 0}, "hoverinfo": "skip"},
        {
            "x": x,
            "y": array(profile.mean + profile.sd),
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": f"{colour}44",
            "hoverinfo": "skip",
        },
        {
            "x": x,
            "y": array(profile.mean),
            "line": {"width": 1.6, "color": colour},
            "customdata": array(profile.sd),
            "hovertemplate": f"{held} = %{{x}}<br>mean %{{y:.5~g}}<br>SD %{{customdata:.5~g}}<extra></extra>",
        },
    ]
    layout = {"xaxis": _axis(f"operand {held}"), "yaxis": _axis("mean ± SD (LSB)")}
    if surface is not None:
        size = np.abs(surface.max_error).max(axis=1 if held == "a" else 0)
        blocks = surface.a if held == "a" else surface.b
        traces.append(
            {
                "x": array(blocks),
                "y": array(size),
                "yaxis": "y2",
                "line": {"width": 1.4, "color": colour, "shape": "hvh" if surface.reduced else "linear"},
                "hovertemplate": f"{held} = %{{x}}<br>largest %{{y:.6~g}}<extra></extra>",
            }
        )
        layout["yaxis"]["domain"] = [0.46, 1.0]
        layout["yaxis2"] = _axis("largest |E|", domain=[0.0, 0.36], rangemode="tozero")
        layout["xaxis"]["anchor"] = "y2"
    return _figure([{"type": "scatter", "mode": "lines", **trace} for trace in traces], **layout)


def _spectrum(c: Characterisation) -> Figure:
    traces, exact, lowest = [], [], 0.05
    for spectrum, colour, name, symbol in (
        (c.product_spectrum, BLUE, "products F", "circle"),
        (c.error_spectrum, ORANGE, "errors E", "square"),
    ):
        left = spectrum.norm_left[:-1]  # the last one is 0: no place on a logarithmic axis
        lowest = min(lowest, float(left.min(initial=1.0)))
        rank = f"rank {spectrum.rank}" if spectrum.complete else f"rank ≥ {spectrum.rank}"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{name}: {rank}",
                "x": array(np.arange(left.size)),
                "y": array(left),
                "line": {"color": colour, "width": 1.6},
                "marker": {"symbol": symbol, "size": 5, "color": colour},
                "hovertemplate": f"{name}<br>%{{x}} terms leave %{{y:.4~g}}<extra></extra>",
            }
        )
        if spectrum.complete:  # nothing is left from here on
            line = {"color": colour, "width": 1.2, "dash": "dot"}
            ends = {"x0": spectrum.rank, "x1": spectrum.rank, "y0": 0, "y1": 1, "yref": "paper"}
            exact.append({"type": "line", **ends, "line": line})
    largest = max(c.product_spectrum.rank, c.error_spectrum.rank)
    return _figure(
        traces,
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"l": 64, "r": 16, "t": 36, "b": 52},
        shapes=exact,
        xaxis=_count_axis("separable terms k" + (" (dotted: exact)" if exact else ""), largest),
        yaxis=_log_axis("share of the norm left", 0.5 * lowest, 2.0),
    )


def _dot_products(c: Characterisation) -> Figure:
    found = [c.expected_dot_product_error(length) for length in DOT_LENGTHS]
    lines = {
        "mean error, in magnitude": (BLUE, "solid", [abs(d.bias) for d in found]),
        "standard deviation": (ORANGE, "dash", [d.sd for d in found]),
    }
    drawn = [value for _, _, values in lines.values() for value in values if value > 0]
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": array(DOT_LENGTHS),
            "y": array([value or np.nan for value in values]),
            "line": {"color": colour, "width": 1.6, "dash": dash},
            "marker": {"size": 5, "color": colour},
            "hovertemplate": f"{name}<br>%{{x}} products: %{{y:.5~g}} LSB<extra></extra>",
        }
        for name, (colour, dash, values) in lines.items()
    ]
    low, high = min(drawn, default=0.5), max(drawn, default=1.0)
    return _figure(
        traces,
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"l": 64, "r": 16, "t": 36, "b": 52},
        xaxis=_log_axis("length of the dot product", 0.8, 5200),
        yaxis=_log_axis("LSB", 0.5 * low, 2 * high),
    )
