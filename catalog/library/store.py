"""The user's library of circuits: one SQLite file."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.circuit import Circuit
from catalog.library.headers import costs_of, published_of
from catalog.library.location import default_path
from catalog.library.reading import read_again
from catalog.library.records import Figure, Measured, Source, unpack_errors
from catalog.library.schema import LibraryError, connect, told
from multipliers.errors import UnknownNameError
from multipliers.metric_values import ErrorMetrics
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat
from multipliers.table import TableMultiplier

_AGAIN = "move the library away and import again"
_KIND = re.compile(r"mul[0-9]+(x[0-9]+)?[us]?(?![a-z0-9])")


class Library:
    """Circuits that a user imported, with their files, published figures and measured metrics.

    A library is a context manager, or is closed by `close`. Several processes may read and write it at a time.

    Parameters
    ----------
    path : str or Path, optional
        The file; by default `default_path`.
    create : bool
        Whether to create the file, and its folder, where there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such file and ``create`` is false.
    LibraryError
        If the file is no library, is damaged, has a newer version, or cannot be written. It is not touched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Library(f"{folder}/mine.sqlite", create=True) as library:
    ...     library.circuits()
    []
    """

    def __init__(self, path: str | Path | None = None, *, create: bool = False) -> None:
        self.path = default_path() if path is None else Path(path)
        self._connection = connect(self.path, create)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def circuits(self) -> list[Circuit]:
        """List the circuits: a row for each name of each release, sorted by release, formats and name.

        Two files of one name and release are one row if they multiply alike; costs and published metrics are taken
        from both, from the C source first. Files that differ are rows of their own.
        """
        grouped: dict[tuple[str, str, int], tuple[Measured, list[Source]]] = {}
        for i, (measured, sources) in enumerate(self.stored()):
            for source in sources:
                grouped.setdefault((source.release, source.name, i), (measured, []))[1].append(source)
        rows = [_row(release, name, *found) for (release, name, _), found in grouped.items()]
        return sorted(rows, key=lambda row: (row.origin, row.a, row.b, row.name))

    def stored(self) -> list[tuple[Measured, list[Source]]]:
        """List what is stored: each circuit, without its table, and its files by path."""
        with told(self.path):
            found = self._connection.execute(
                "SELECT circuit.id, fingerprint, swapped, a, b, complete, metrics, terms, path, language, release, "
                "name, digest, figures, gates, depth FROM circuit JOIN source ON circuit = circuit.id ORDER BY path"
            ).fetchall()
        circuits: dict[int, tuple[Measured, list[Source]]] = {}
        for key, fingerprint, swapped, a, b, complete, metrics, terms, path, *about, figures, gates, depth in found:
            if key not in circuits:
                formats = OperandFormat.parse(a), OperandFormat.parse(b)
                error_metrics = ErrorMetrics.from_dict(json.loads(metrics))
                circuits[key] = Measured(fingerprint, swapped, *formats, bool(complete), error_metrics, terms), []
            read = tuple(Figure(*figure) for figure in json.loads(figures))
            language, release, name, digest = about
            source = Source(Path(os.fsdecode(path)), language, release, name, digest, read, gates, depth)
            circuits[key][1].append(source)
        return list(circuits.values())

    def sources(self, circuit: Circuit) -> list[Source]:
        """List the files of a row of `circuits`, by path."""
        key = (circuit.fingerprint, circuit.a, circuit.b)
        return [
            source
            for measured, sources in self.stored()
            if (measured.fingerprint, measured.a, measured.b) == key
            for source in sources
            if (source.release, source.name) == (circuit.origin, circuit.name)
        ]

    def multiplier(self, circuit: Circuit) -> Multiplier:
        """Rebuild a circuit: from the stored table up to 2**20 operand pairs, else from one of its files.

        **A C file is compiled and run**; a Verilog file is preferred.

        Raises
        ------
        LibraryError
            If there is no stored table and no file of the circuit exists as it was imported, or the table is damaged.
        UnknownNameError
            If the library does not hold the circuit.
        """
        rows = {(measured.fingerprint, measured.a, measured.b) for measured, _ in self.stored()}
        if (circuit.fingerprint, circuit.a, circuit.b) not in rows:
            raise UnknownNameError(f"the library {str(self.path)!r} does not hold {circuit.name} of {circuit.origin}")
        table = self.table(circuit.fingerprint, circuit.a, circuit.b)
        if table is None:
            return read_again(circuit, self.sources(circuit))
        multiplier = TableMultiplier(table, circuit.a, circuit.b, name=circuit.name)
        if multiplier.fingerprint() != circuit.fingerprint:
            raise LibraryError(f"the stored table of {circuit.name} is damaged: {_AGAIN}")
        return multiplier

    def table(self, fingerprint: str, a: OperandFormat, b: OperandFormat) -> IntArray | None:
        """Return the stored products of a circuit in natural order; None where they are not stored.

        Raises
        ------
        LibraryError
            If they are damaged.
        """
        with told(self.path):
            found = self._connection.execute(
                "SELECT errors, errors_type FROM circuit WHERE (fingerprint, a, b) = (?, ?, ?)",
                (fingerprint, a.label, b.label),
            ).fetchone()
        if found is None or found[0] is None:
            return None
        try:
            return unpack_errors(found[0], found[1], a, b)
        except (zlib.error, ValueError, TypeError) as error:
            raise LibraryError(f"the stored table of {fingerprint[:12]} is damaged ({error}): {_AGAIN}") from None

    def find(self, name: str) -> Circuit:
        """Return the circuit of a name, of ``RELEASE/NAME``, or of the first digits (8 or more) of a fingerprint.

        Raises
        ------
        UnknownNameError
            If there is none; the message suggests the nearest names.
        LibraryError
            If several are meant; the message lists them.
        """
        rows = self.circuits()
        named = [row for row in rows if name in (row.name, f"{row.origin}/{row.name}")]
        if not named and re.fullmatch(r"[0-9a-f]{8,64}", name):
            named = [row for row in rows if row.fingerprint.startswith(name)]
        if not named:
            raise UnknownNameError.of(f"circuit of the library {str(self.path)!r}", name, {row.name for row in rows})
        different = {(row.fingerprint, row.a, row.b) for row in named}
        if len(different) > 1:
            listed = "; ".join(f"{row.origin}/{row.name} ({row.fingerprint[:12]})" for row in named[:12])
            raise LibraryError(
                f"{name!r} names {len(different)} different circuits of the library: {listed}; "
                f"give RELEASE/NAME or the first digits of the fingerprint"
            )
        return named[0]

    def is_stored(self, path: Path, digest: str, release: str, comparisons: Sequence[str]) -> bool:
        """Whether a file is stored as it is, measured in one of these ways."""
        with told(self.path):
            found = self._connection.execute(
                "SELECT comparison FROM source JOIN circuit ON circuit = circuit.id "
                "WHERE path = ? AND digest = ? AND release = ?",
                (os.fsencode(path), digest, release),
            ).fetchone()
        return found is not None and found[0] in comparisons

    def add(self, measured: Measured, sources: Sequence[Source]) -> None:
        """Store a circuit and files of it, all or nothing; what was stored of these files before is replaced.

        Raises
        ------
        LibraryError
            If it cannot be written; the library is as before.
        """
        self.add_all([(measured, sources)])

    def add_all(self, found: Sequence[tuple[Measured, Sequence[Source]]]) -> None:
        """Store circuits and their files, all or nothing; see `add`."""
        with self._transaction() as execute:
            for measured, sources in found:
                circuit = _add_circuit(execute, measured)
                for source in sources:
                    _add_source(execute, circuit, source)
            execute("DELETE FROM circuit WHERE id NOT IN (SELECT circuit FROM source)")

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back by itself where the disk is full
                    self._connection.execute("ROLLBACK")
                raise


def _add_circuit(execute: Any, measured: Measured) -> int:
    metrics, errors = measured.metrics, measured.errors or (None, None)
    key = (measured.fingerprint, measured.a.label, measured.b.label)
    execute(
        "INSERT INTO circuit (fingerprint, a, b, complete, swapped, comparison, metrics, terms, errors, errors_type) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET comparison = excluded.comparison, metrics = excluded.metrics WHERE excluded.comparison != 'sampled'",
        (
            *(*key, measured.complete, measured.swapped),
            *(metrics.comparison, json.dumps(metrics.to_dict()), measured.terms, *errors),
        ),
    )
    return int(execute("SELECT id FROM circuit WHERE (fingerprint, a, b) = (?, ?, ?)", key).fetchone()[0])


def _add_source(execute: Any, circuit: int, source: Source) -> None:
    path = os.fsencode(source.path)
    execute("DELETE FROM source WHERE (path, release) = (?, ?)", (path, source.release))
    execute(
        "INSERT INTO source (circuit, path, language, release, name, digest, figures, gates, depth) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(circuit, path, source.language, source.release, source.name, source.digest),
            *(json.dumps(source.figures), source.gates, source.depth),
        ),
    )


def _row(release: str, name: str, measured: Measured, sources: Sequence[Source]) -> Circuit:
    metrics = measured.metrics
    kind = _KIND.match(name)
    return Circuit(
        name=name,
        origin=release,
        family=kind[0] if kind else "mul",
        a=measured.a,
        b=measured.b,
        fingerprint=measured.fingerprint,
        complete=measured.complete,
        comparison=metrics.comparison,  # type: ignore[arg-type]  # checked by ErrorMetrics
        metrics={
            field: value
            for field, value in metrics.to_dict().items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        },
        costs={**costs_of(sources), "terms": measured.terms},
        published=published_of(sources, measured.a, measured.b),
    )
