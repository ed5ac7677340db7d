"""Writing files: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: str | os.PathLike[str], data: bytes | Callable[[BinaryIO], object]) -> Path:
    """Write a file under a temporary name beside ``path``, flush it to disk, then rename it to ``path``.

    Parameters
    ----------
    path : path
        Replaced, if it exists, only once the new file is complete.
    data : bytes or callable
        The content, or a function that writes it to a binary file object.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OSError
        If there is no such folder, ``path`` is a folder, or it cannot be written, for example because the disk is full;
        it names ``path``. What was there is unchanged, and nothing else is left behind.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write to; create it first", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; give a file name in it", str(path))
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            if callable(data):
                data(file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            reason = error.strerror or str(error)  # NumPy's own errors have no number
            raise OSError(error.errno or errno.EIO, f"cannot be written: {reason}", str(path)) from error
        raise
    return path
