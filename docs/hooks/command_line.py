"""The commands' own help, in place of its marker on a page."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

MARKER = "<!-- the help of every command -->"
SUMMARY = re.compile(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what Typer writes of the commands in the place of `MARKER`."""
    return markdown.replace(MARKER, commands()) if MARKER in markdown else markdown


def commands() -> str:
    """Return the help of all commands in Markdown, without title and summaries, which the page itself has."""
    typer = [sys.executable, "-m", "typer", "catalog.cli.app", "utils", "docs", "--name", "axsurrogate"]
    written = subprocess.run(typer, check=True, capture_output=True, text=True).stdout
    return SUMMARY.sub("", written.partition("\n")[2])
