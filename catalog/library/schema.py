"""The file of a library: an SQLite database that says what it is and which version its tables have."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

APPLICATION_ID = 0x61785352
"""``axSR`` in the header of the file."""

VERSION = 1
"""Version of the tables below. A change of them is a new version, with the steps that bring an older file to it."""

BUSY_S = 60.0
"""Seconds that a writer waits for another one; a write takes milliseconds."""

TABLES = """
CREATE TABLE circuit (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    a TEXT NOT NULL,
    b TEXT NOT NULL,
    complete INTEGER NOT NULL,
    swapped TEXT NOT NULL,
    comparison TEXT NOT NULL,
    metrics TEXT NOT NULL,
    terms INTEGER NOT NULL,
    errors BLOB,
    errors_type TEXT,
    UNIQUE (fingerprint, a, b)
);
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    circuit INTEGER NOT NULL REFERENCES circuit (id),
    path BLOB NOT NULL,
    language TEXT NOT NULL,
    release TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    figures TEXT NOT NULL,
    gates INTEGER,
    depth INTEGER,
    UNIQUE (path, release)
);
CREATE INDEX source_circuit ON source (circuit);
CREATE INDEX source_name ON source (name);
"""
"""Tables of version 1.

``circuit``: one function of two operands. ``fingerprint`` covers every operand pair where ``complete`` is 1, else a
sample; ``swapped`` is that of the circuit with its operands exchanged. ``metrics`` is the JSON of
`multipliers.metric_values.ErrorMetrics`, which rest on ``comparison``; ``terms`` is as in `catalog.circuit.COSTS`.
``errors`` holds ``F - a b`` for all pairs in natural order, as integers of the NumPy type ``errors_type``, compressed
by zlib.

``source``: one file that describes the circuit. ``path`` is the file system's own bytes; two releases may
have it in common, as branches of one checkout do. ``figures`` is a JSON list of
``[name, value as printed, unit]`` of its header. ``gates`` and ``depth`` are counted in a netlist.
"""


REMEDY = "Move it away and import again, or give another file (--library, AXSURROGATE_LIBRARY); it was not changed"


class LibraryError(Exception):
    """A file that is no usable library, or cannot be written; the message says what to do."""


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """Open a library, or create it.

    A file that is something else, damaged, or of a newer version is refused and not touched.

    Raises
    ------
    FileNotFoundError
        If there is no such file and none is to be created.
    LibraryError
    """
    if path.is_dir():
        raise LibraryError(f"cannot use {str(path)!r} as a library: it is a folder; give the name of a file")
    new = not path.exists() or path.stat().st_size == 0
    if new and not create:
        if path.exists():
            raise LibraryError(f"{str(path)!r} is no library of circuits: it is empty. {REMEDY}")
        raise FileNotFoundError(f"there is no library {str(path)!r}; make one with: axsurrogate catalog import FOLDER")
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
    with told(path):
        address = f"file:{quote(os.fsencode(path.absolute()))}?mode={'rwc' if new else 'rw'}"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
        try:
            if new:
                _create(connection)
            else:
                _check(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # another process may be creating it as well
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless a file is a whole library of this version.

    Everything is asked of SQLite: were the file opened and closed beside it, the locks of this process would go.
    """
    connection.execute("BEGIN")
    identity = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    if path.stat().st_size < pages * size:
        held = f"it has {path.stat().st_size} of {pages * size} bytes"
        raise LibraryError(f"the library {str(path)!r} is damaged: {held}. {REMEDY}")
    if identity != APPLICATION_ID:
        raise LibraryError(f"{str(path)!r} is an SQLite file of something else, no library of circuits. {REMEDY}")
    if version > VERSION:
        raise LibraryError(
            f"the library {str(path)!r} has version {version}, this axsurrogate reads up to {VERSION}; "
            f"update axsurrogate, or give another file (--library, AXSURROGATE_LIBRARY)"
        )
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise LibraryError(f"the library {str(path)!r} is damaged: {' '.join(found.split())}. {REMEDY}")
    connection.execute("COMMIT")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `LibraryError` with a remedy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            remedy = "the disk may be full: make room and run again; what was stored before is kept"
        elif "locked" in text:
            remedy = "another import is writing to it; run again when that is done"
        elif "readonly" in text or "unable to open" in text:
            remedy = "make the file and its folder writable, or give another (--library, AXSURROGATE_LIBRARY)"
        else:
            remedy = "check the file and its folder"
        raise LibraryError(f"cannot use the library {str(path)!r} ({text}): {remedy}") from error
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise LibraryError(f"{str(path)!r} is no library of circuits (no SQLite file). {REMEDY}") from None
        raise LibraryError(f"the library {str(path)!r} is damaged ({error}). {REMEDY}") from error
