"""Compiling C and C++ and running the result: no shell, limits of time, memory and file size."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from multipliers.errors import ParameterError
from multipliers.readers.process_group import kill_group

_COMPILERS = {False: ("gcc", "cc", "clang"), True: ("g++", "c++", "clang++")}


class SourceError(ValueError):
    """Source code that does not compile, run or fit its limits, or has no function that can be meant."""


@dataclass(frozen=True)
class Limits:
    """What a compiler or a compiled program may use.

    Parameters
    ----------
    time_s : float
        Seconds of wall-clock time, for the compiler and for each run. A run evaluates at most 2**24 pairs.
    memory_mib : int
        Address space in MiB, where the operating system can limit it for another process (Linux).

    Raises
    ------
    ParameterError
        If a limit is not positive.
    """

    time_s: float = 60.0
    memory_mib: int = 2048

    def __post_init__(self) -> None:
        for name in ("time_s", "memory_mib"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} must be positive, got {getattr(self, name)!r}")


def compile_program(driver: Path, cpp: bool, origin: Path, compiler: str | None, limits: Limits) -> Path:
    """Compile ``driver``, which includes the source, to a program beside it.

    Raises
    ------
    SourceError
        If no compiler is found, it reports an error (quoted) or exceeds a limit.
    """
    wanted = (compiler,) if compiler is not None else _COMPILERS[cpp]
    found = next((path for path in map(shutil.which, wanted) if path), None)
    if found is None:
        raise SourceError(
            f"{origin}: no {'C++' if cpp else 'C'} compiler found (looked for {', '.join(wanted)}); install one, "
            f"put it on the PATH, or pass compiler="
        )
    program = driver.with_name("program.exe" if sys.platform == "win32" else "program")
    command = [found, "-O1", "-w", "-fwrapv", "-I", str(origin.parent), "-o", str(program), str(driver)]
    code, said = _run(command, driver.parent, limits, 1 << 28)
    if code is None:
        raise SourceError(f"{origin}: the compiler {found} did not end within {limits.time_s:g} s")
    if code != 0 or not program.is_file():
        said = said.replace(str(driver.parent) + os.sep, "").replace(f"source{driver.suffix}", origin.name)
        raise SourceError(f"{origin} does not compile ({Path(found).name} {_ending(code)}):\n{said[:2000].strip()}")
    return program


def run_program(program: Path, arguments: list[str], name: str, limits: Limits, output_bytes: int) -> None:
    """Run a compiled program.

    Raises
    ------
    SourceError
        If it does not end in time, is killed by a signal, or does not exit with 0.
    """
    code, said = _run([str(program), *arguments], program.parent, limits, output_bytes + (1 << 20))
    if code is None:
        raise SourceError(
            f"{name} did not end within {limits.time_s:g} s; it may never end, else pass limits=Limits(time_s=...)"
        )
    if code != 0:
        detail = f": {said[:500].strip()}" if said.strip() else ""
        raise SourceError(f"{name} {_ending(code)} while it was evaluated{detail}")


def _ending(code: int) -> str:
    if code >= 0:
        return f"exited with status {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _run(command: list[str], folder: Path, limits: Limits, file_bytes: int) -> tuple[int | None, str]:
    """Exit status (None: out of time) and standard error of a command in a process group of its own."""
    keep = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SDKROOT", "DEVELOPER_DIR")
    environment = {k: os.environ[k] for k in keep if k in os.environ} | {"LC_ALL": "C", "TMPDIR": str(folder)}
    messages = folder / f"{secrets.token_hex(8)}.txt"  # several threads may run one program
    try:
        return _wait(command, folder, environment, messages, limits, file_bytes), _head(messages)
    finally:
        with contextlib.suppress(OSError):
            messages.unlink()


def _wait(
    command: list[str], folder: Path, environment: dict[str, str], messages: Path, limits: Limits, file_bytes: int
) -> int | None:
    with messages.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=folder,
            env=environment,
            start_new_session=os.name == "posix",
        )
        try:
            _limit(process.pid, limits, file_bytes)
            ended = _ends_within(process, limits.time_s)
        finally:
            kill_group(process)
    return process.returncode if ended else None


def _ends_within(process: subprocess.Popen[bytes], time_s: float) -> bool:
    """Wait for the end of a process without reaping it, so that its group can still be ended by number."""
    if not hasattr(os, "waitid"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=time_s)
        return process.returncode is not None
    deadline, pause = time.monotonic() + time_s, 0.0005
    with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored, the system has reaped it already
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, 0.05)
    return True


def _head(messages: Path) -> str:
    with messages.open("rb") as text:
        return text.read(1 << 16).decode("utf-8", errors="replace")


def _limit(pid: int, limits: Limits, file_bytes: int) -> None:
    """Limit another process, where the operating system can (Linux)."""
    if sys.platform != "linux":
        return
    import resource

    seconds = int(limits.time_s) + 2
    wanted = {
        resource.RLIMIT_AS: limits.memory_mib << 20,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_CPU: 4 * seconds,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        with contextlib.suppress(OSError, ValueError):
            hard = resource.prlimit(pid, kind)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.prlimit(pid, kind, (bound, bound))
