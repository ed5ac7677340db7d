"""Verilog sources before they are elaborated: the files that they read, and which of their modules is the top."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Container, Sequence
from functools import cache
from pathlib import Path

from multipliers.errors import NetlistError
from multipliers.netlist.cells import standard_cell

MAX_UPWARD = 8
"""Folders upward that the name of an included file may lead: ``../../defs.vh`` leads two."""

_INCLUDE = re.compile(r'`include\s+"([^"\n]+)"')
_MEMORY = re.compile(r'\$readmem[bh]\s*\(\s*"([^"\n]+)"')
_MODULE = re.compile(r"^module \\(\S+)$|^  cell \\(\S+) ", re.MULTILINE)


def copy_includes(folders: Sequence[Path], text: str, work: Path) -> list[str]:
    """Copy the files that sources include to folders whose names Yosys can be given, and return these.

    Yosys' scripts know no quoting, and its WebAssembly build sees few of the system's folders.
    """
    copies = {folder: Path(f"include{i}", *["up"] * MAX_UPWARD) for i, folder in enumerate(folders)}
    pending = _INCLUDE.findall(text)
    seen = set()
    while pending:
        name = os.path.normpath(pending.pop())
        if name in seen or Path(name).is_absolute() or Path(name).parts.count("..") > MAX_UPWARD:
            continue
        seen.add(name)
        for folder, copy in copies.items():
            if (folder / name).is_file():
                target = work / os.path.normpath(copy / name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, target)
                inner = _INCLUDE.findall(target.read_text(encoding="utf-8", errors="replace"))
                pending += [*inner, *(str(Path(name).parent / x) for x in inner)]
    for copy in copies.values():
        (work / copy).mkdir(parents=True, exist_ok=True)
    return [copy.as_posix() for copy in copies.values()]


def copy_memories(folders: Sequence[Path], text: str, work: Path) -> None:
    """Copy the files that sources load into memories (``$readmemh``) to where Yosys runs; the first folder wins."""
    for name in map(os.path.normpath, _MEMORY.findall(text)):
        found = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if found is not None and not Path(name).is_absolute() and ".." not in Path(name).parts:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, work / name)


def find_top(design: str, stem: str, cells: Container[str] = ()) -> str | None:
    r"""Name of the top module of a design in Yosys' RTLIL; None where every module is instantiated or a cell.

    The top is what no other module instantiates and is no standard cell; of several, the one named ``stem``, else the
    one with the deepest hierarchy below it.

    Raises
    ------
    NetlistError
        If several could be meant; the message lists them.

    Examples
    --------
    >>> find_top("module \\a\nend\nmodule \\b\n  cell \\a \\u\n  end\nend\n", "file")
    'b'
    """
    parts: dict[str, set[str]] = {}
    module = ""
    for match in _MODULE.finditer(design):
        if match[1]:
            module = match[1]
            parts[module] = set()
        elif module:
            parts[module].add(match[2])
    used = set().union(*parts.values()) if parts else set()
    roots = [name for name in parts if name not in used and name not in cells and standard_cell(name) is None]

    @cache
    def depth(name: str) -> int:
        return 1 + max((depth(part) for part in parts[name] if part in parts), default=0)

    if stem in roots or len(roots) < 2:
        return stem if stem in roots else next(iter(roots), None)
    deepest = max(map(depth, roots))
    tops = [name for name in roots if depth(name) == deepest]
    if len(tops) > 1:
        raise NetlistError(f"cannot tell which module is the top of {', '.join(map(repr, tops[:12]))}; pass top=")
    return tops[0]
