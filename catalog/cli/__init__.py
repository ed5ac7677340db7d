"""The command line, ``axsurrogate``: one small file per command.

Nothing else imports this folder. Libraries are imported inside the commands, so that ``axsurrogate --help`` is
immediate.
"""

from __future__ import annotations

import io
import sys
import warnings
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Run the command line: the console script ``axsurrogate``, and ``python -m catalog.cli``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name outside the locale's letters is escaped, never a crash
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    try:
        from catalog.cli.app import app

        app(prog_name="axsurrogate")
    except KeyboardInterrupt:  # while importing
        sys.exit(130)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning as one line on stderr."""
    print(f"warning: {message}", file=sys.stderr)
