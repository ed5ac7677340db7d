"""The folder of a study: its settings, a line for every measurement that is done, checkpoints, and tables.

| file              | holds                                                                              |
|-------------------|------------------------------------------------------------------------------------|
| ``settings.json`` | what every measurement depends on; a study is resumed with the same settings alone |
| ``cells.jsonl``   | a line for each measurement that is done (`catalog.json_lines`)                    |
| ``checkpoints/``  | states of networks in training                                                     |
| ``results.csv``   | the tidy table: one measurement a row, and a column for each of its quantities     |
| ``results.json``  | the same, with the settings                                                        |
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from catalog.json_lines import JsonLines
from multipliers.files import write_atomically

Told = Callable[[str, int, int], None]
"""Called with (stage, steps done, steps of the stage)."""

Row = dict[str, Any]
"""Plain values by name: what was measured (the key), and what came out."""

FORMAT = "axsurrogate.study"
VERSION = 1
_REMEDY = "move it away, or give another folder"


class StudyError(ValueError):
    """A folder that is not that of this study, or a study of other settings; the message says what to do."""


class Study:
    """A study in a folder: interrupted, it goes on where it was.

    Settings are what all measurements depend on, such as the data, the network and its training; *which* measurements
    are made (of which multipliers, by which methods, from which seeds) is no setting, so a study can be extended.

    Parameters
    ----------
    folder : path
    name : str
        Of the study.
    settings : dict
        Plain JSON values by name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = Study.open(folder, "squares", {"base": 2})
    ...     first = study.cell({"x": 3}, lambda: {"y": 9})
    ...     again = Study.open(folder, "squares", {"base": 2}).cell({"x": 3}, lambda: {"y": "not computed"})
    >>> first, again
    ({'x': 3, 'y': 9}, {'x': 3, 'y': 9})
    """

    def __init__(self, folder: str | os.PathLike[str], name: str, settings: Mapping[str, Any]) -> None:
        self.folder, self.name, self.settings = Path(folder), name, _plain(settings)
        path = self.folder / "cells.jsonl"
        self._lines = JsonLines(path, FORMAT, VERSION, StudyError, "measurements of a study", _REMEDY)
        self._done: dict[str, Row] = {}

    @classmethod
    def open(cls, folder: str | os.PathLike[str], name: str, settings: Mapping[str, Any]) -> Study:
        """Begin a study in a new or empty folder, or go on with the one that is there.

        Raises
        ------
        StudyError
            If the folder holds another study, one of other settings, or anything else; nothing is changed then.
        """
        study = cls(folder, name, settings)
        study._settle()
        study._read()
        return study

    @property
    def rows(self) -> list[Row]:
        """All measurements that are done, each with its key, in the order in which they were."""
        return [dict(row) for row in self._done.values()]

    def cell(self, key: Mapping[str, Any], compute: Callable[[], Mapping[str, Any]]) -> Row:
        """Return a measurement, done now unless it was done before.

        Parameters
        ----------
        key : dict
            What is measured, as plain values by name.
        compute : callable
            Measures it: returns plain values by name; NaN and infinities are kept as None.

        Returns
        -------
        dict
            The key and the values.

        Raises
        ------
        ValueError
            If a value has the name of a part of the key.
        """
        key = _plain(key)
        text = _canonical(key)
        if text not in self._done:
            values = _plain(compute())
            twice = sorted(key.keys() & values.keys())
            if twice:
                raise ValueError(f"values and key of a measurement both have {', '.join(twice)}; rename one")
            self._lines.append({"key": key, "values": values})
            self._done[text] = {**key, **values}
        return dict(self._done[text])

    def is_done(self, key: Mapping[str, Any]) -> bool:
        """Whether a measurement is done."""
        return _canonical(_plain(key)) in self._done

    def checkpoint(self, name: str) -> Path:
        """Return the file for the state of a network in training; its folder exists."""
        folder = self.folder / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.pt"

    def write_tables(self, rows: Iterable[Mapping[str, Any]] | None = None, name: str = "results") -> list[Path]:
        """Write rows, by default all measurements, as ``NAME.csv`` and ``NAME.json``; return the files."""
        rows = self.rows if rows is None else [_plain(row) for row in rows]
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        data = {"study": self.name, "settings": self.settings, "rows": rows}
        return [
            write_atomically(self.folder / f"{name}.csv", text.getvalue().encode()),
            write_atomically(self.folder / f"{name}.json", _pretty(data)),
        ]

    def _settle(self) -> None:
        """Write the settings, or compare them with those that are there."""
        path = self.folder / "settings.json"
        if self.folder.exists() and not self.folder.is_dir():
            raise StudyError(f"{self.folder}: is no folder; give the name of one")
        if not path.exists():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise StudyError(f"{self.folder}: holds other files and no study; give a new or an empty folder")
            self.folder.mkdir(parents=True, exist_ok=True)
            head = {"format": FORMAT, "version": VERSION, "study": self.name, "settings": self.settings}
            write_atomically(path, _pretty(head))
            return
        try:
            head = json.loads(path.read_bytes())
            name, version, stored = head["study"], head["version"], dict(head["settings"])
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{path}: is damaged ({error}); {_REMEDY}") from None
        if version != VERSION:
            raise StudyError(f"{path}: has version {version!r:.20}, this axsurrogate reads {VERSION}; {_REMEDY}")
        if name != self.name:
            raise StudyError(f"{self.folder}: holds the study {name!r}, not {self.name!r}; give another folder")
        differences = [
            f"{key} is {_shown(stored, key)} there, {_shown(self.settings, key)} now"
            for key in dict.fromkeys((*stored, *self.settings))
            if _shown(stored, key) != _shown(self.settings, key)
        ]
        if differences:
            raise StudyError(
                f"{self.folder}: holds this study with other settings: {'; '.join(differences)}; nothing is changed: "
                f"take the settings from there to resume it, or give another folder"
            )

    def _read(self) -> None:
        for number, line in self._lines.read():
            try:
                data = json.loads(line)
                key, values = dict(data["key"]), dict(data["values"])
            except (ValueError, KeyError, TypeError) as error:
                raise self._lines.damaged(number, error) from None
            self._done[_canonical(key)] = {**key, **values}


def _shown(settings: Mapping[str, Any], key: str) -> str:
    return json.dumps(settings[key]) if key in settings else "not given"


def _plain(values: Mapping[str, Any]) -> Row:
    """Return plain JSON values: NumPy's numbers become Python's, what is not finite None."""
    row = {str(name): value.item() if hasattr(value, "item") else value for name, value in values.items()}
    row = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}
    try:
        return dict(json.loads(json.dumps(row, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a study keeps plain values, numbers, texts and lists of these: {error}") from None


def _canonical(key: Row) -> str:
    return json.dumps(key, sort_keys=True)


def _pretty(data: Any) -> bytes:
    return (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
