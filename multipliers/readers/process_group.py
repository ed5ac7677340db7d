"""Ending a process that was started in a session of its own, with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Any


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End the process, if it still runs, and whatever it started and left in its group."""
    if process.returncode is None:  # not reaped yet, so the group is still its own
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    process.wait()
