"""From the files of one circuit to what the library stores of it; runs in processes of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from catalog.library.headers import read_figures
from catalog.library.reading import LANGUAGES, MAX_FILE_BYTES, name_of, read_circuit
from catalog.library.records import Measured, Source, digest_of, pack_errors
from multipliers.characterise import SUBMATRIX_SIDE
from multipliers.metric_values import Comparison
from multipliers.metrics import MAX_EXHAUSTIVE_PAIRS, error_metrics
from multipliers.multiplier import MAX_TABLE_ENTRIES, SAMPLE_SIZE, Multiplier, sample_pairs
from multipliers.netlist.multiplier import NetlistMultiplier
from multipliers.rank import error_and_product_ranks
from multipliers.spectrum import random_submatrix
from multipliers.table import TableMultiplier

_COMMENT = re.compile(r"\A\s*/\*.*?\*/|^[ \t]*//[^\n]*$", re.DOTALL | re.MULTILINE)

_INCLUDE = re.compile(r"`include|#[ \t]*include[ \t]*\"")
"""Files of the same text differ where they include files of their own folders."""


@dataclass(frozen=True)
class Task:
    """Files of one name, to be read and measured together.

    Attributes
    ----------
    paths : tuple of Path
    release : str
    wide : {"sampled", "streamed"}
        How circuits of more than 2**20 operand pairs are compared.
    sample : int
        Operand pairs of a sampled comparison.
    """

    paths: tuple[Path, ...]
    release: str
    wide: Comparison
    sample: int


@dataclass(frozen=True)
class Failure:
    """A file that was not imported, and why."""

    path: Path
    message: str


@dataclass
class Outcome:
    """What became of a task."""

    circuits: list[tuple[Measured, list[Source]]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def add(self, measured: Measured, source: Source) -> None:
        """Add a file to its circuit."""
        for known, sources in self.circuits:
            if known is measured:
                sources.append(source)
                return
        self.circuits.append((measured, [source]))


def read_and_measure(task: Task) -> Outcome:
    """Read every file of a task and measure each different circuit once. A file that cannot be read is a failure.

    EvoApproxLib keeps a circuit in several folders, in files that differ in a comment only; those are read once.
    """
    outcome = Outcome()
    known: dict[tuple[str, str], tuple[Measured, int | None, int | None]] = {}
    for path in task.paths:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise ValueError(f"it has {path.stat().st_size} bytes; circuits of up to {MAX_FILE_BYTES} are read")
            data = path.read_bytes()
            text = data.decode("utf-8", errors="replace")
            code = (path.suffix.lower(), digest_of(_COMMENT.sub("", text).encode()))
            if code not in known or _INCLUDE.search(text):
                multiplier = read_circuit(path, text)
                netlist = multiplier.circuit if isinstance(multiplier, NetlistMultiplier) else None
                counts = (None, None) if netlist is None else (netlist.n_gates, netlist.depth)
                known[code] = (measure(multiplier, task, [m for m, _ in outcome.circuits]), *counts)
            measured, gates, depth = known[code]
        except Exception as error:  # whatever a file provokes, the others are read
            outcome.failures.append(Failure(path, str(error) or type(error).__name__))
            continue
        source = Source(
            path=path,
            language=LANGUAGES[path.suffix.lower()],
            release=task.release,
            name=name_of(path),
            digest=digest_of(data),
            figures=read_figures(text),
            gates=gates,
            depth=depth,
        )
        outcome.add(measured, source)
    return outcome


def measure(multiplier: Multiplier, task: Task, known: Sequence[Measured] = ()) -> Measured:
    """Measure a multiplier, unless it is one of those known."""
    streamed = task.wide == "streamed" and multiplier.n_pairs > MAX_EXHAUSTIVE_PAIRS
    complete = multiplier.n_pairs <= (MAX_TABLE_ENTRIES if streamed else MAX_EXHAUSTIVE_PAIRS)
    if complete:
        multiplier = TableMultiplier(multiplier.table(), multiplier.a, multiplier.b, name=multiplier.name)
    fingerprint = multiplier.fingerprint() if complete else multiplier.sample_fingerprint()
    for other in known:
        if (other.fingerprint, other.a, other.b) == (fingerprint, multiplier.a, multiplier.b):
            return other
    comparison: Comparison = "streamed" if streamed else "exhaustive" if complete else "sampled"
    return Measured(
        fingerprint=fingerprint,
        swapped=_swapped(multiplier, complete),
        a=multiplier.a,
        b=multiplier.b,
        complete=complete,
        metrics=error_metrics(
            multiplier,
            comparison=comparison,
            sample=task.sample if comparison == "sampled" else None,
            workers=1,  # the processes are parallel
        ),
        terms=_terms(multiplier),
        errors=pack_errors(multiplier),
    )


def _terms(multiplier: Multiplier) -> int:
    """Count the products that simulate a multiplier exactly; of wide operands, at least."""
    rows, columns = multiplier.a.values(), multiplier.b.values()
    if multiplier.n_pairs > MAX_EXHAUSTIVE_PAIRS:
        rows, columns = random_submatrix(multiplier, SUBMATRIX_SIDE)
    error_rank, product_rank = error_and_product_ranks(multiplier.error(rows[:, None], columns), rows, columns)
    return min(product_rank, 1 + error_rank)


def _swapped(multiplier: Multiplier, complete: bool) -> str:
    """Fingerprint of the multiplier with its operands exchanged."""
    if complete:
        return TableMultiplier(multiplier.table().T, multiplier.b, multiplier.a).fingerprint()
    b, a = sample_pairs(multiplier.b, multiplier.a, SAMPLE_SIZE)
    return digest_of(np.ascontiguousarray(multiplier(a, b), dtype="<i8").tobytes())
