"""The report of one multiplier as a single HTML page that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.report import charts, content
from catalog.report.evidence import Cost, Published, meanings, netlist_costs
from catalog.report.surface import Surface, measure_surface
from catalog.report.typeset import number, unit
from catalog.report.words import sentences
from catalog.text import plain
from multipliers.characterise import Characterisation
from multipliers.errors import ParameterError
from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.plot import drawn_edges

if TYPE_CHECKING:
    from catalog.catalog import Family
    from multipliers.netlist.library import Library

SECTIONS = (
    ("summary", "Summary"),
    ("surface", "Surface"),
    ("errors", "Errors"),
    ("profiles", "Profiles"),
    ("spectrum", "Separable models"),
    ("structure", "Structure"),
    ("cost", "Cost"),
    ("published", "Published"),
    ("dot", "Dot products"),
    ("cite", "Cite"),
    ("provenance", "Provenance"),
    ("metrics", "All metrics"),
)


def write_report(
    characterisation: Characterisation,
    path: str | os.PathLike[str],
    *,
    multiplier: Multiplier | None = None,
    published: Sequence[Published] = (),
    costs: Sequence[Cost] = (),
    library: Library | None = None,
    design: Family | None = None,
) -> Path:
    """Write the report of a multiplier as one HTML page; see `render_report`.

    The page appears whole or not at all (`multipliers.files.write_atomically`).

    Raises
    ------
    OSError
        If it cannot be written.
    ParameterError, NetlistError
        As for `render_report`.
    """
    page = render_report(
        characterisation, multiplier=multiplier, published=published, costs=costs, library=library, design=design
    )
    return write_atomically(path, page.encode())


def render_report(
    characterisation: Characterisation,
    *,
    multiplier: Multiplier | None = None,
    published: Sequence[Published] = (),
    costs: Sequence[Cost] = (),
    library: Library | None = None,
    design: Family | None = None,
) -> str:
    """Return the report of a multiplier as one HTML page.

    The page holds everything: about 2 MB are plotly.js, compressed, which browsers since 2023 unpack. It asks nothing
    of the network, and its content security policy forbids that, as it forbids every script but its own two. The same
    arguments give the same text.

    Parameters
    ----------
    characterisation : Characterisation
        What to report.
    multiplier : Multiplier, optional
        The multiplier that was characterised: its error surface is drawn, and the gates of a netlist are counted.
    published : sequence of Published, optional
        Published figures beside the measured ones, from `catalog.report.evidence`.
    costs : sequence of Cost, optional
        Hardware costs, beside those counted in the netlist.
    library : Library, optional
        Standard cells that the netlist is mapped to (`multipliers.readers.liberty.read_liberty`): its area is shown.
    design : Family, optional
        Family of the catalog that defines the multiplier: its source is cited.

    Raises
    ------
    ParameterError
        If ``multiplier`` has other operand formats or other products than those that were characterised.
    NetlistError
        If the netlist holds gates that are no cells of ``library``.

    Examples
    --------
    >>> from multipliers import get
    >>> from multipliers.characterise import characterise
    >>> m = get("bam4u_h0v2")
    >>> page = render_report(characterise(m), multiplier=m)
    >>> page[:15], 1.5e6 < len(page) < 2.5e6
    ('<!doctype html>', True)
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    c = characterisation
    if multiplier is not None:
        _check_same(c, multiplier)
        costs = (*netlist_costs(multiplier, library), *costs)
    surface = None if multiplier is None else measure_surface(multiplier)
    plotly, style, script = get_plotlyjs(), _part("page.css"), _part("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_part("page.html")).render(
        _texts(c, surface),
        published=[{**row._asdict(), "measured": number(row.measured), "unit": unit(row.unit)} for row in published],
        meanings=meanings(published),
        costs=[{**cost._asdict(), "value": number(cost.value), "unit": unit(cost.unit)} for cost in costs],
        design=design,
        sections=SECTIONS,
        style=Markup(style),
        script=Markup(script),
        script_hashes=Markup(" ".join(f"'sha256-{_digest(text)}'" for text in (plotly, script))),
        plotly=_packed(plotly),
        charts=_packed(json.dumps(_charts(c, surface), allow_nan=False, sort_keys=True)),
    )


def _texts(c: Characterisation, surface: Surface | None) -> dict[str, Any]:
    """Return everything that the template writes out in words and numbers."""
    histogram, relative, spectrum = c.error_histogram, c.relative_error_histogram, c.error_spectrum
    tailed = relative.n_pairs > 0 and bool(drawn_edges(relative, True)[1].any())
    over = f"{number(histogram.n_pairs)} {'sampled ' if histogram.comparison == 'sampled' else ''}operand pairs"
    return {
        "name": plain(c.name),
        "version": version("axsurrogate"),
        "formats": " × ".join(f"{x.bits} bits {'signed' if x.signed else 'unsigned'}" for x in (c.a, c.b)),
        "comparison": content.comparison(c),
        "sampled": c.metrics.comparison == "sampled",
        "weighted": c.metrics.weighted,
        "complete": c.complete,
        "keys": content.key_rows(c),
        "sentences": sentences(c),
        "surface_rule": None if surface is None else surface.rule(),
        "reduced": surface is not None and surface.reduced,
        "histogram_note": f"Over {over}{', weighted' if c.metrics.weighted else ''}.",
        "tails": [number(float(relative.edges[i])) for i in (0, -1)] if tailed else None,
        "submatrix": f"a random {number(spectrum.n_rows)} × {number(spectrum.n_columns)} part of the table",
        "spectrum": content.spectrum_rows(c),
        "structure": content.structure_rows(c),
        "structure_sampled": number(c.structure.n_pairs) if c.structure.comparison == "sampled" else None,
        "dots": content.dot_rows(c),
        "citation": content.citation(),
        "provenance": content.provenance_rows(c),
        "metrics": content.metric_rows(c),
        "confidence": content.confidence(c),
    }


def _charts(c: Characterisation, surface: Surface | None) -> dict[str, Any]:
    return {"figures": charts.figures(c, surface), "views": {} if surface is None else charts.surfaces(surface)}


def _check_same(c: Characterisation, multiplier: Multiplier) -> None:
    if (multiplier.a, multiplier.b) != (c.a, c.b):
        raise ParameterError(
            f"multiplier {multiplier.name!r} has operands {multiplier.a} x {multiplier.b}, but those of {c.a} x {c.b} "
            f"were characterised; pass the multiplier that was characterised"
        )
    found = multiplier.fingerprint() if c.complete else multiplier.sample_fingerprint()
    if found != c.fingerprint:
        raise ParameterError(
            f"multiplier {multiplier.name!r} has other products than the characterised {c.name!r}; "
            f"pass the multiplier that was characterised"
        )


def _part(name: str) -> str:
    return resources.files("catalog.report").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _packed(text: str) -> str:
    """Compress text to base64, in which nothing can end the element that holds it."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")
