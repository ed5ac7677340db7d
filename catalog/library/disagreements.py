"""Where the files of a library contradict each other, or the figures that they print."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catalog.library.headers import compare, in_order
from catalog.library.records import Figure, Measured, Source
from catalog.library.store import Library

Kind = Literal["swapped operands", "different products", "header", "releases", "names"]

Found = list[tuple[Measured, Source]]


@dataclass(frozen=True)
class Disagreement:
    """A contradiction in a library.

    Attributes
    ----------
    kind : str
        ``"swapped operands"``: two files of one circuit agree once the operands of one are exchanged.
        ``"different products"``: two files of one circuit multiply differently.
        ``"header"``: a published metric is not what is measured.
        ``"releases"``: two releases use one name for different circuits.
        ``"names"``: one circuit has several names; no contradiction, but worth knowing.
    names : tuple of str
        Circuits concerned.
    releases : tuple of str
        Releases concerned.
    message : str
        What differs.
    """

    kind: Kind
    names: tuple[str, ...]
    releases: tuple[str, ...]
    message: str


def disagreements(library: Library) -> list[Disagreement]:
    """List the contradictions in a library, by kind in the order of `Disagreement`, then by name.

    They follow from what is stored, so that they are up to date whatever was imported since.
    """
    found: Found = [(measured, source) for measured, sources in library.stored() for source in sources]
    found.sort(key=lambda pair: (pair[1].release, pair[1].name))
    kinds: tuple[Iterable[Disagreement], ...] = (_of_files(library, found), _of_headers(found), _of_releases(found))
    order = ("swapped operands", "different products", "header", "releases", "names")
    return sorted(itertools.chain(*kinds, _of_names(found)), key=lambda d: (order.index(d.kind), d.names, d.releases))


def _groups(found: Found, *attributes: str) -> list[Found]:
    """Group by attributes of the source."""
    groups: dict[tuple[str, ...], Found] = {}
    for measured, source in found:
        groups.setdefault(tuple(getattr(source, name) for name in attributes), []).append((measured, source))
    return list(groups.values())


def _of_files(library: Library, found: Found) -> Iterable[Disagreement]:
    for group in _groups(found, "release", "name"):
        first: dict[tuple[str, str], tuple[Measured, Source]] = {}
        by_source = {source: measured for measured, source in group}
        for source in in_order(by_source):
            measured = by_source[source]
            first.setdefault((measured.fingerprint, f"{measured.a} x {measured.b}"), (measured, source))
        for (one, source), (other, file) in itertools.combinations(first.values(), 2):
            if one.complete != other.complete:  # one was compared at all pairs, the other at some: nothing follows
                continue
            about = (source.name,), (source.release,)
            if (one.swapped, one.b, one.a) == (other.fingerprint, other.a, other.b):
                text = f"{file.path} multiplies as {source.path} does with its operands exchanged"
                yield Disagreement("swapped operands", *about, text)
            else:
                text = f"{source.path} and {file.path} multiply differently{_extent(library, one, other)}"
                yield Disagreement("different products", *about, text)


def _extent(library: Library, one: Measured, other: Measured) -> str:
    """Say how far two circuits differ."""
    if (one.a, one.b) != (other.a, other.b):
        return f": {one.a} x {one.b} and {other.a} x {other.b} operands"
    tables = [library.table(m.fingerprint, m.a, m.b) for m in (one, other)]
    if tables[0] is None or tables[1] is None:
        return "" if one.complete else " (seen in a sample of pairs)"
    return f" at {np.count_nonzero(tables[0] != tables[1]):,} of {tables[0].size:,} operand pairs"


def _of_headers(found: Found) -> Iterable[Disagreement]:
    for group in _groups(found, "release", "name"):
        told: set[tuple[str, Figure]] = set()
        for measured, source in group:
            for compared in compare(source.figures, measured.metrics, measured.a, measured.b):
                figure = compared.figure
                if compared.agrees or (measured.fingerprint, figure) in told:
                    continue
                told.add((measured.fingerprint, figure))
                how = "" if measured.metrics.comparison != "sampled" else f" over {measured.metrics.n_pairs:,} pairs"
                unit = f" {figure.unit}" if figure.unit else ""
                text = (
                    f"{source.path}: {figure.name} = {figure.value}{unit}, measured {compared.measured:.6g}{unit}{how}"
                )
                yield Disagreement("header", (source.name,), (source.release,), text)


def _of_releases(found: Found) -> Iterable[Disagreement]:
    for group in _groups(found, "name"):
        releases = _groups(group, "release")
        for one, other in itertools.combinations(releases, 2):
            first, second = ({(m.fingerprint, m.a, m.b) for m, _ in release} for release in (one, other))
            comparable = len({measured.complete for measured, _ in (*one, *other)}) == 1
            if comparable and not first & second:
                names = one[0][1].release, other[0][1].release
                text = f"{one[0][1].name} is another circuit in {names[0]} than in {names[1]}; tell them by fingerprint"
                yield Disagreement("releases", (one[0][1].name,), names, text)


def _of_names(found: Found) -> Iterable[Disagreement]:
    circuits: dict[tuple[str, str, str], Found] = {}
    for measured, source in found:
        key = measured.fingerprint, measured.a.label, measured.b.label
        circuits.setdefault(key, []).append((measured, source))
    for group in circuits.values():
        names = tuple(sorted({source.name for _, source in group}))
        if len(names) > 1:
            certain = "" if group[0][0].complete else " (at a sample of pairs)"
            releases = tuple(sorted({source.release for _, source in group}))
            yield Disagreement("names", names, releases, f"one circuit{certain}: {', '.join(names)}")
