"""States of trainings in files: written whole or not at all, and read without running code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from multipliers.files import write_atomically


class CheckpointError(ValueError):
    """A file that holds no state of a training, or one that does not fit; the message says what to do."""


def save_state(state: dict[str, Any], path: str | Path) -> None:
    """Write a state, as of `Training.state_dict`; a file there is replaced once the new one is complete.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(path: str | Path) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is damaged or something else.
    """
    path = Path(path)
    try:
        state = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path}: is no checkpoint ({reason}); delete it, and it is made again") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds {type(state).__name__}, not a state; delete it, and it is made again")
    return state
