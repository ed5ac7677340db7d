"""Files of JSON lines that grow line by line, and survive interruption.

The first line says what the file is. A line is written at once and flushed to disk, so an interruption loses at most
the line that was being written, which the next writer cuts off. Several processes may append to one file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


class JsonLines:
    """A file of JSON lines of one format.

    Parameters
    ----------
    path : path
        Created, with its folder, by the first `append`.
    format, version : str, int
        Stand in the first line.
    error : type
        What to raise for a file that is none of these.
    holds, remedy : str
        For messages: what such a file holds, and what to do about one that is damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lines = JsonLines(f"{folder}/some.jsonl", "example", 1, ValueError, "examples", "delete it")
    ...     lines.append({"x": 1})
    ...     lines.read()
    [(2, b'{"x": 1}')]
    """

    def __init__(
        self, path: str | os.PathLike[str], format: str, version: int, error: type[Exception], holds: str, remedy: str
    ) -> None:
        self.path = Path(path)
        self.format, self.version = format, version
        self.error, self.holds, self.remedy = error, holds, remedy
        self._head = json.dumps({"format": format, "version": version}, sort_keys=True).encode() + b"\n"
        self._is_ready = False

    def read(self) -> list[tuple[int, bytes]]:
        """Return the lines after the first with their numbers; none if there is no file.

        Raises
        ------
        Exception
            The class that was given, if the file is something else, or of another version.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        lines = data.split(b"\n")[:-1]  # what comes after the last line break was cut off
        if not lines:
            if self._head.startswith(data):
                return []
            raise self.error(f"{self.path}: holds no {self.holds}; {self.remedy}")
        self._check_head(lines[0])
        return list(enumerate(lines[1:], 2))

    def damaged(self, number: int, reason: Exception) -> Exception:
        """Return the error of a line that cannot be read."""
        return self.error(f"{self.path}: line {number} is damaged ({reason}); delete it, {self.remedy}")

    def append(self, data: object) -> None:
        """Append a line.

        Raises
        ------
        OSError
            If it cannot be written; what was stored before is kept.
        """
        if not self._is_ready:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            if not self._is_ready:
                _cut_off(self.path)
                if file.seek(0, os.SEEK_END) == 0:
                    file.write(self._head)
                self._is_ready = True
            line = json.dumps(data, sort_keys=True, allow_nan=False).encode() + b"\n"
            if file.write(line) != len(line):  # the disk is full; never leave half a line before a whole one
                self._is_ready = False
                raise OSError(f"{self.path}: cannot be written as a whole: make room and run again")
            os.fsync(file.fileno())

    def _check_head(self, line: bytes) -> None:
        try:
            head = json.loads(line)
            is_ours, version = head["format"] == self.format, head["version"]
        except (ValueError, KeyError, TypeError):
            is_ours = False
        if not is_ours:
            raise self.error(f"{self.path}: holds no {self.holds}; {self.remedy}")
        if version != self.version:
            raise self.error(
                f"{self.path}: has version {version!r:.20}, this axsurrogate reads {self.version}; update axsurrogate, "
                f"{self.remedy}"
            )


def _cut_off(path: Path) -> None:
    """Remove what an interrupted write left after the last line break."""
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)
