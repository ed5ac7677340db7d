"""Comparisons that survive an interruption: how far they came, in a small file.

The file is JSON with a hash. It names the multiplier (formats and fingerprint) and holds one pass for every surrogate
that was compared with it: the hash of the surrogate's terms, how many blocks are done, and the residuals of these,
exactly. `surrogate.certify` makes one pass; a discovery one for each attempt, and if it is repeated it goes through
the finished ones in no time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from multipliers.files import write_atomically
from surrogate.errors import CheckpointError
from surrogate.model import MultiplierReference, Surrogate
from surrogate.residuals import Residuals

FORMAT = "axsurrogate.certification"
VERSION = 1

SECONDS = 5.0
"""How often it is written. Ctrl-C loses the blocks at work, a killed process at most this much more."""

_MAX_BYTES = 16 << 20
_REMEDY = "give another path, or delete the file to start anew"


class Checkpoint:
    """How far comparisons with one multiplier came, in a file.

    Parameters
    ----------
    path : path
        Read by the first `begin`, if it exists; replaced as a whole at each write; deleted by `remove`.
    block_pairs : int
        Pairs of a block.
    """

    def __init__(self, path: str | os.PathLike[str], block_pairs: int) -> None:
        self._path = Path(path)
        self._block_pairs = block_pairs
        self._passes: dict[str, tuple[int, Residuals]] = {}
        self._about: tuple[MultiplierReference, int | None] | None = None
        self._written = 0.0

    def begin(self, surrogate: Surrogate, sample: int | None) -> str:
        """Begin a comparison, or go on with it; returns its key.

        Raises
        ------
        CheckpointError
            If the file is damaged, or the first comparison to begin is none of those that it holds.
        OSError
            If the file cannot be read or written.
        """
        key = _digest([surrogate.to_dict()["terms"], {**surrogate.multiplier.to_dict(), "name": ""}])
        if self._about is None:
            self._about = surrogate.multiplier, sample
            if os.path.lexists(self._path):
                self._passes = self._read(surrogate, sample)
                if key not in self._passes:
                    raise CheckpointError(
                        f"{self._path}: belongs to another surrogate of {surrogate.multiplier.name}; "
                        f"certify that one, {_REMEDY}"
                    )
        self._passes.setdefault(key, (0, Residuals()))
        self._write()
        return key

    def state(self, key: str) -> tuple[int, Residuals]:
        """How many blocks of a comparison are done, and their residuals."""
        return self._passes[key]

    def note(self, key: str, n_blocks: int, residuals: Residuals) -> None:
        """Note that ``n_blocks`` blocks are done; written if the last time was some seconds ago."""
        self._passes[key] = n_blocks, residuals
        if time.monotonic() - self._written >= SECONDS:
            self._write()

    def flush(self) -> None:
        """Write what was noted."""
        self._write()

    def remove(self) -> None:
        """Delete the file: what it was for is done."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._about is None:
            return
        reference, sample = self._about
        content = {
            "multiplier": reference.to_dict(),
            "sample": sample,
            "block_pairs": self._block_pairs,
            "passes": {key: {"blocks": n, "residuals": r.to_dict()} for key, (n, r) in self._passes.items()},
        }
        envelope = {"format": FORMAT, "version": VERSION, "sha256": _digest(content), "content": content}
        write_atomically(self._path, json.dumps(envelope, allow_nan=False).encode())
        self._written = time.monotonic()

    def _read(self, surrogate: Surrogate, sample: int | None) -> dict[str, tuple[int, Residuals]]:
        """Read the passes of a file that belongs to this multiplier and sample."""
        with self._path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        try:
            envelope = json.loads(data) if len(data) <= _MAX_BYTES else None
            if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
                raise CheckpointError(f"{self._path}: is not a checkpoint of a certification; {_REMEDY}")
            content = envelope["content"]
            if envelope["version"] != VERSION or content["block_pairs"] != self._block_pairs:
                raise CheckpointError(f"{self._path}: was written by another version of this package; {_REMEDY}")
            if envelope["sha256"] != _digest(content):
                raise CheckpointError(f"{self._path}: was changed or damaged after it was written; {_REMEDY}")
            reference = MultiplierReference.from_dict(content["multiplier"])
            passes = {
                key: (int(state["blocks"]), Residuals.from_dict(state["residuals"]))
                for key, state in content["passes"].items()
            }
        except CheckpointError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise CheckpointError(f"{self._path}: is no complete checkpoint ({error}); {_REMEDY}") from None
        ours = surrogate.multiplier
        if reference != ours:
            raise CheckpointError(
                f"{self._path}: belongs to the multiplier {reference.name!r:.80} ({reference.a} x {reference.b}, "
                f"fingerprint {reference.fingerprint[:12]}...), not to {ours.name!r:.80} ({ours.a} x {ours.b}, "
                f"fingerprint {ours.fingerprint[:12]}...); {_REMEDY}"
            )
        if content["sample"] != sample:
            theirs, asked = ("every pair" if n is None else f"{n} pairs" for n in (content["sample"], sample))
            raise CheckpointError(f"{self._path}: is of a comparison of {theirs}, not of {asked}; {_REMEDY}")
        return passes


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
