"""Surrogates that sweeps found, in a file of JSON lines that grows line by line (`catalog.json_lines`).

Each line is a surrogate with what is told of it in a table; of two lines with one key the last counts.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from catalog.json_lines import JsonLines
from catalog.library.location import default_path
from multipliers.operands import OperandFormat
from surrogate.certificate import Certificate
from surrogate.errors import SurrogateError
from surrogate.io import dumps, loads
from surrogate.model import Surrogate

FORMAT = "axsurrogate.results"
VERSION = 1

_REMEDY = "move it away, or give another file (--store)"


class ResultsError(ValueError):
    """A file that holds no results of sweeps, or damaged ones; the message says what to do."""


class Key(NamedTuple):
    """What a result is found by: the function, by its fingerprint and formats, and what was asked for."""

    fingerprint: str
    a: OperandFormat
    b: OperandFormat
    asked: str


@dataclass(frozen=True)
class Discovered:
    """A surrogate that was found, as it is stored.

    Attributes
    ----------
    key : Key
    name : str
        The multiplier's, for people.
    n_terms, n_products : int
    is_exact : bool
        Made of integers, and equal on every operand pair.
    certificate : Certificate
    time_s : float
        Time to find and certify it, in seconds.
    data : bytes
        Its file, compressed by zlib.
    """

    key: Key
    name: str
    n_terms: int
    n_products: int
    is_exact: bool
    certificate: Certificate
    time_s: float
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, surrogate: Surrogate, key: Key, time_s: float) -> Discovered:
        """Note a surrogate that has a certificate.

        Raises
        ------
        SurrogateError
            If it has none.
        """
        if surrogate.certificate is None:
            raise SurrogateError(f"the surrogate of {surrogate.multiplier.name} has no certificate; certify it first")
        return cls(
            key=key,
            name=surrogate.multiplier.name,
            n_terms=surrogate.n_terms,
            n_products=surrogate.n_products,
            is_exact=surrogate.is_exact,
            certificate=surrogate.certificate,
            time_s=time_s,
            data=zlib.compress(dumps(surrogate)),
        )

    @property
    def surrogate(self) -> Surrogate:
        """The surrogate itself.

        Raises
        ------
        SurrogateFileError, zlib.error
            If it is damaged.
        """
        return loads(zlib.decompress(self.data), source=f"stored surrogate of {self.name}")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        data = asdict(self) | {"data": base64.b64encode(self.data).decode()}
        data["key"] = [self.key.fingerprint, self.key.a.label, self.key.b.label, self.key.asked]
        return data

    @classmethod
    def from_line(cls, line: bytes) -> Discovered:
        """Read a line of a file, with the values of `to_dict`.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is no such line.
        """
        data: dict[str, Any] = json.loads(line)
        fingerprint, a, b, asked = data["key"]
        data["key"] = Key(fingerprint, OperandFormat.parse(a), OperandFormat.parse(b), asked)
        data["certificate"] = Certificate.from_dict(data["certificate"])
        return cls(**{**data, "data": base64.b64decode(data["data"], validate=True)})


def default_results() -> Path:
    """Return where results are kept by default: ``surrogates.jsonl`` beside the user's library."""
    return default_path().with_name("surrogates.jsonl")


class Results:
    """A file of results.

    Parameters
    ----------
    path : path
        Created, with its folder, by the first `add`.

    Examples
    --------
    >>> import tempfile, multipliers, surrogate
    >>> s = surrogate.discover(multipliers.get("exact4u"))
    >>> key = Key(s.multiplier.fingerprint, s.a, s.b, "exact")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = Results(f"{folder}/found.jsonl")
    ...     results.add(Discovered.of(s, key, 0.1))
    ...     results.read()[key].surrogate == s
    True
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lines = JsonLines(path, FORMAT, VERSION, ResultsError, "results of sweeps", _REMEDY)

    @property
    def path(self) -> Path:
        """The file."""
        return self._lines.path

    def read(self) -> dict[Key, Discovered]:
        """Return what was found, by key; nothing if there is no file.

        Raises
        ------
        ResultsError
            If the file is something else, of another version, or damaged; it names the line.
        """
        found: dict[Key, Discovered] = {}
        for number, line in self._lines.read():
            try:
                result = Discovered.from_line(line)
            except (ValueError, KeyError, TypeError, SurrogateError) as error:
                raise self._lines.damaged(number, error) from None
            found[result.key] = result
        return found

    def add(self, result: Discovered) -> None:
        """Append a result.

        Raises
        ------
        OSError
            If it cannot be written; what was stored before is kept.
        """
        self._lines.append(result.to_dict())
