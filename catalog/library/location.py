"""Where the user's library lies."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "AXSURROGATE_LIBRARY"
"""Environment variable with the path of the user's library."""


def default_path() -> Path:
    r"""Return the path of the user's library: ``$AXSURROGATE_LIBRARY``, else ``library.sqlite`` in the data directory.

    The data directory is the operating system's: ``~/.local/share/axsurrogate`` on Linux (or below ``$XDG_DATA_HOME``),
    ``~/Library/Application Support/axsurrogate`` on macOS, ``%LOCALAPPDATA%\axsurrogate`` on Windows.
    """
    given = os.environ.get(ENVIRONMENT)
    if given:
        return Path(given)
    from platformdirs import user_data_path

    return Path(user_data_path("axsurrogate", appauthor=False)) / "library.sqlite"
