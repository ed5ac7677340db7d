"""Pages of the documentation, run: what they show is what today's code prints.

A fenced block is preceded by a comment that says what it is:

``<!-- example: NAME -->``
    Python; the examples of a page run in order, in one namespace.
``<!-- command: NAME -->``
    ``axsurrogate`` commands, one a line.
``<!-- file: PATH -->``
    A file that is written for the blocks after it.
``<!-- output: NAME -->``, ``<!-- output about: NAME -->``, ``<!-- output varies: NAME -->``
    What the example or command of that name prints, right after it. *about*: numbers of trained networks, which differ
    a little from one processor to another, and are compared to a tenth; *varies*: what depends on small differences of
    these, of which only the number of lines is compared.
"""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

_FENCE = re.compile(
    r"(?:<!-- (?P<kind>example|command|file|output|output about|output varies): (?P<name>[^\n]+) -->\n)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Block(NamedTuple):
    """A fenced block of a page; kind and name are None where no comment says what it is."""

    kind: str | None
    name: str | None
    language: str
    text: str


def blocks(path):
    """Return the fenced blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    found = [Block(*match.group("kind", "name", "language", "text")) for match in _FENCE.finditer(text)]
    assert 2 * len(found) == len(re.findall("^```", text, re.MULTILINE)), f"{path}: a fence is not closed"
    return found


def commands(block):
    """Return the arguments of each ``axsurrogate`` command of a block."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("axsurrogate ")]


def run_page(name):
    """Run the blocks of a page in the current folder, and compare what they print with what it shows.

    Returns the namespace of its examples.
    """
    namespace = {}
    written = {block.name.removesuffix(".py") for block in blocks(DOCS / name) if block.kind == "file"}
    sys.path.insert(0, str(Path.cwd()))  # as in a script or notebook
    try:
        _run_blocks(name, namespace)
    finally:
        sys.path.pop(0)
        for module in written:
            sys.modules.pop(module, None)
    return namespace


def _run_blocks(name, namespace):
    pending = None
    for block in blocks(DOCS / name):
        where = f"docs/{name}: {block.name}"
        if block.kind is not None and block.kind.startswith("output"):
            assert pending is not None, f"{where}: shows the output of nothing"
            assert pending[0] == block.name, f"{where}: shows the output of {pending[0]!r}"
            _compare(pending[1], block, where)
            pending = None
            continue
        _nothing_unshown(pending, name)
        pending = None
        if block.kind == "file":
            Path(block.name).write_text(block.text, encoding="utf-8")
        elif block.kind is not None:
            pending = block.name, _run(block, where, namespace)
    _nothing_unshown(pending, name)


def _run(block, where, namespace):
    printed = io.StringIO()
    if block.kind == "example":
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, where, "exec"), namespace)  # noqa: S102  # our own page
        return printed.getvalue()
    from catalog.cli.app import app

    for arguments in commands(block):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{where}: {result.output}"
        printed.write(result.stdout)
    return printed.getvalue()


def _nothing_unshown(pending, name):
    assert pending is None or not pending[1], f"docs/{name}: {pending[0]} prints what is not shown: {pending[1]}"


def _compare(printed, block, where):
    if block.kind == "output":
        assert printed == block.text, where
        return
    if block.kind == "output varies":
        assert len(printed.splitlines()) == len(block.text.splitlines()), where
        return
    assert _NUMBER.sub("#", printed) == _NUMBER.sub("#", block.text), where
    numbers = (np.array([float(n) for n in _NUMBER.findall(text)]) for text in (printed, block.text))
    np.testing.assert_allclose(*numbers, rtol=0.1, err_msg=where)
