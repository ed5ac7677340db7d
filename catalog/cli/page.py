"""The HTML report of ``axsurrogate characterise``, with what files and the user's library print of the multiplier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catalog.resolve import LIBRARY

if TYPE_CHECKING:
    from catalog import Entry
    from catalog.library.records import Figure
    from catalog.report import Cost
    from multipliers.characterise import Characterisation
    from multipliers.multiplier import Multiplier


def write_page(
    target: Path, spec: str, multiplier: Multiplier, found: Characterisation, entry: Entry | None, liberty: Path | None
) -> None:
    """Write the report of the multiplier that ``spec`` names; ``entry`` is that of the catalog with its products."""
    from catalog import families
    from catalog.report import compared, write_report
    from catalog.report.evidence import header_compared, header_costs
    from multipliers.readers.liberty import read_liberty

    published = compared(found, entry.figures if entry else ())
    costs: tuple[Cost, ...] = ()
    for where, figures in _printed(spec):
        published += header_compared(found, figures, where)
        costs += header_costs(figures, where)
    write_report(
        found,
        target,
        multiplier=multiplier,
        published=published,
        costs=costs,
        library=None if liberty is None else read_liberty(liberty),
        design=next((family for family in families() if entry in family.entries), None),
    )


def _printed(spec: str) -> list[tuple[str, tuple[Figure, ...]]]:
    """Return the figures in the headers of a circuit's files, and where each stands."""
    from catalog.library import Library
    from catalog.library.headers import in_order, read_figures
    from catalog.library.reading import LANGUAGES

    if spec.startswith(LIBRARY):
        with Library() as library:
            sources = library.sources(library.find(spec.removeprefix(LIBRARY)))
        return [(f"header of {source.path.name}, {source.release}", source.figures) for source in in_order(sources)]
    path = Path(spec)
    if path.suffix.lower() not in LANGUAGES or not path.is_file():
        return []
    return [(f"header of {path.name}", read_figures(path.read_text(encoding="utf-8", errors="replace")))]
