"""Pictures of a multiplier: error surface, histogram, singular spectrum, error profile.

matplotlib is imported when a picture is drawn, and used without pyplot: no display, no global state.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multipliers.characterise import Characterisation, characterise
from multipliers.distributions import FloatArray
from multipliers.errors import ParameterError
from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.profiles import ErrorProfile, Histogram, spaced_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SURFACE_SIDE = 256
"""Values per operand in an error surface; a wider operand is shown at so many evenly spaced ones."""

SUFFIXES = (".png", ".svg", ".pdf")

# Okabe and Ito's colours, told apart under every common colour blindness; the two lines also differ in dash
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#999999"
_DIVERGING = "RdBu_r"  # blue - white - red: safe for red-green blindness, white at no error


def error_surface(multiplier: Multiplier) -> Figure:
    """Heat map of E over both operands: white is no error, red too large, blue too small (LSB).

    An operand of more than 8 bits is shown at 256 evenly spaced values; the axis says so.
    """
    figure = _figure(6.4, 5.4)
    _draw_surface(figure.add_subplot(), multiplier)
    figure.suptitle(f"Error of {multiplier.name}")
    return figure


def error_histogram(subject: Characterisation | Multiplier, *, relative: bool = False) -> Figure:
    """Share of operand pairs by error (LSB), or by relative error E/P; logarithmic share."""
    c = _characterised(subject)
    figure = _figure(6.4, 4.2)
    axes = figure.add_subplot()
    _draw_histogram(axes, c.relative_error_histogram if relative else c.error_histogram, relative)
    figure.suptitle(f"{'Relative error' if relative else 'Error'} of {c.name}")
    return figure


def singular_spectrum(subject: Characterisation | Multiplier) -> Figure:
    """Share of the norm that the best separable model leaves, against its terms, for products F and errors E."""
    c = _characterised(subject)
    figure = _figure(6.4, 4.2)
    _draw_spectrum(figure.add_subplot(), c)
    figure.suptitle(f"Separable models of {c.name}")
    return figure


def error_profile(subject: Characterisation | Multiplier) -> Figure:
    """Mean error given each operand (LSB), with a band of one standard deviation to either side."""
    c = _characterised(subject)
    figure = _figure(9.6, 4.2)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_profile(left, c.profile_a, _BLUE)
    _draw_profile(right, c.profile_b, _ORANGE)
    right.set_ylabel("")
    figure.suptitle(f"Error of {c.name} given one operand")
    return figure


def overview(subject: Characterisation | Multiplier, multiplier: Multiplier | None = None) -> Figure:
    """Four panels: error surface, histogram, singular spectrum, and mean error given either operand.

    Parameters
    ----------
    subject : Characterisation or Multiplier
        A multiplier is characterised first.
    multiplier : Multiplier, optional
        Whose error surface to draw beside a `Characterisation`, which holds no table; without it the first panel is the
        histogram of relative errors instead.
    """
    c = _characterised(subject)
    multiplier = subject if isinstance(subject, Multiplier) else multiplier
    figure = _figure(11.5, 8.6)
    surface, histogram, spectrum, profile = figure.subplots(2, 2).ravel()
    if multiplier is not None:
        _draw_surface(surface, multiplier)
        surface.set_title("Error surface")
    else:
        _draw_histogram(surface, c.relative_error_histogram, relative=True)
        surface.set_title("Relative errors")
    _draw_histogram(histogram, c.error_histogram, relative=False)
    histogram.set_title("Errors")
    _draw_spectrum(spectrum, c)
    spectrum.set_title("Separable models")
    if _same(c.profile_a, c.profile_b):
        _draw_profile(profile, c.profile_a, _BLUE, label="given a, or given b (equal)")
    else:
        _draw_profile(profile, c.profile_a, _BLUE)
        _draw_profile(profile, c.profile_b, _ORANGE, dashes="--")
    profile.set_xlabel("operand value")
    profile.set_ylabel("mean error ± SD (LSB)")
    profile.set_title("Error given one operand")
    profile.legend()
    m = c.metrics
    figure.suptitle(
        f"{c.name}   ({c.a} x {c.b}, {m.comparison})\n"
        f"bias {m.mean_error:.4g} LSB, MAE {m.mae:.4g} LSB, WCE {m.wce} LSB, MRE {m.mre:.3g}, "
        f"error probability {m.error_probability:.3g}"
    )
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> Path:
    """Write a figure as PNG, SVG or PDF, by suffix.

    The file appears whole or not at all, and the same figure gives the same bytes: no dates, fixed identifiers.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    path : path-like
        Ends in ``.png``, ``.svg`` or ``.pdf``.
    dpi : int
        Dots per inch of a PNG.

    Raises
    ------
    ParameterError
        For another suffix.
    FileNotFoundError
        If the folder does not exist.
    """
    import matplotlib as mpl

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ParameterError(
            f"cannot tell the format of {target.name!r} from its suffix; use one of {', '.join(SUFFIXES)}"
        )
    undated: dict[str, Any] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[suffix]
    with mpl.rc_context({"svg.hashsalt": "axsurrogate"}):
        return write_atomically(target, lambda file: figure.savefig(file, format=suffix[1:], dpi=dpi, metadata=undated))


def drawn_edges(histogram: Histogram, relative: bool) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Edges of the bars that show a histogram, and which bars are tails.

    The outermost bins of relative errors reach to the extremes; a bin wider than the others is drawn as wide as they
    are, and called a tail.

    Examples
    --------
    >>> h = Histogram(np.array([-9.0, 0, 1, 2, 3]), np.ones(4), 4, "exhaustive")
    >>> drawn_edges(h, relative=True)
    (array([-1.,  0.,  1.,  2.,  3.]), array([ True, False, False, False]))
    """
    edges, tails = histogram.edges.copy(), np.zeros(histogram.counts.size, dtype=bool)
    if relative and tails.size > 2:
        width = edges[2] - edges[1]
        if edges[1] - edges[0] > width:
            edges[0], tails[0] = edges[1] - width, True
        if edges[-1] - edges[-2] > width:
            edges[-1], tails[-1] = edges[-2] + width, True
    return edges, tails


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _characterised(subject: Characterisation | Multiplier) -> Characterisation:
    if isinstance(subject, Characterisation):
        return subject
    if isinstance(subject, Multiplier):
        return characterise(subject)
    raise ParameterError(f"expected a Characterisation or a Multiplier, got {type(subject).__name__}")


def _draw_surface(axes: Axes, multiplier: Multiplier) -> None:
    if not isinstance(multiplier, Multiplier):
        raise ParameterError(f"an error surface needs a Multiplier, got {type(multiplier).__name__}")
    a, b = spaced_values(multiplier.a, SURFACE_SIDE), spaced_values(multiplier.b, SURFACE_SIDE)
    error = multiplier.error(a[:, None], b[None, :]).astype(np.float64)
    limit = max(1.0, float(np.abs(error).max()))
    half_a, half_b = (0.5 * (v[-1] - v[0]) / (v.size - 1) for v in (a, b))
    image = axes.imshow(
        error,
        cmap=_DIVERGING,
        vmin=-limit,
        vmax=limit,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(b[0] - half_b, b[-1] + half_b, a[0] - half_a, a[-1] + half_a),
    )
    axes.set_xlabel("b" if b.size == multiplier.b.size else f"b ({b.size} of {multiplier.b.size} values)")
    axes.set_ylabel("a" if a.size == multiplier.a.size else f"a ({a.size} of {multiplier.a.size} values)")
    axes.figure.colorbar(image, ax=axes, label="error (LSB)")


def _draw_histogram(axes: Axes, histogram: Histogram, relative: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    label = "relative error E/P" if relative else "error (LSB)"
    if histogram.n_pairs:
        share, (edges, tails) = histogram.counts / histogram.n_pairs, drawn_edges(histogram, relative)
        if tails.any():
            label += f" (grey: tails to {histogram.edges[0]:.3g} and {histogram.edges[-1]:.3g})"
        colours = np.where(tails, _GREY, _BLUE).tolist()
        axes.bar(edges[:-1], share, np.diff(edges), align="edge", color=colours, linewidth=0)
        axes.set_yscale("log")
        axes.set_ylim(min(0.1, 0.5 * share[share > 0].min()), 1.5)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel(label)
    sampled = " (sampled)" if histogram.comparison == "sampled" else ""
    axes.set_ylabel(f"share of operand pairs per bin{sampled}")


def _draw_spectrum(axes: Axes, c: Characterisation) -> None:
    from matplotlib.ticker import MaxNLocator

    for spectrum, colour, marker, name in (
        (c.product_spectrum, _BLUE, "o", "products F"),
        (c.error_spectrum, _ORANGE, "s", "errors E"),
    ):
        left = spectrum.norm_left[:-1]  # the last one is 0: no place on a logarithmic axis
        rank = f"rank {spectrum.rank}" if spectrum.complete else f"rank ≥ {spectrum.rank} (random sub-matrix)"
        axes.plot(
            np.arange(left.size),
            left,
            color=colour,
            marker=marker,
            markersize=4,
            markevery=max(1, left.size // 16),
            label=f"{name}: {rank}",
        )
        if spectrum.complete:
            axes.axvline(spectrum.rank, color=colour, linewidth=0.8, linestyle=":")  # nothing is left from here on
    lowest = min([0.05, *(float(s.norm_left[:-1].min(initial=1.0)) for s in (c.product_spectrum, c.error_spectrum))])
    axes.set_yscale("log")
    axes.set_ylim(0.5 * lowest, 2.0)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("separable terms (dotted: exact)" if c.error_spectrum.complete else "separable terms")
    axes.set_ylabel("share of the norm left")
    axes.grid(True, which="major", linewidth=0.4)
    axes.legend()


def _same(left: ErrorProfile, right: ErrorProfile) -> bool:
    return all(
        np.array_equal(x, y) for x, y in ((left.values, right.values), (left.mean, right.mean), (left.sd, right.sd))
    )


def _draw_profile(axes: Axes, profile: ErrorProfile, colour: str, dashes: str = "-", label: str = "") -> None:
    x = profile.values
    axes.fill_between(x, profile.mean - profile.sd, profile.mean + profile.sd, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, profile.mean, color=colour, linewidth=1.2, linestyle=dashes, label=label or f"given {profile.operand}")
    axes.axhline(0, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel(f"operand {profile.operand}")
    axes.set_ylabel("mean error ± SD (LSB)")
