"""Surrogates as files: one JSON object with a version and a hash; `FORMAT.md` is the specification.

A file holds numbers and names only, and nothing in it is executed. Reading is strict: whatever is not exactly a
surrogate of a known version is refused with a `SurrogateFileError` that names the file and the reason.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any, NoReturn

from multipliers.errors import ParameterError
from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from surrogate.certify import Progress, certify, default_sample
from surrogate.errors import SurrogateError, SurrogateFileError
from surrogate.model import Surrogate

FORMAT = "axsurrogate.surrogate"
VERSION = 2
"""Newest version of the format; a file has the lowest one that can hold its content."""

MAX_BYTES = 64 << 20
"""Largest file that is read unless the caller allows more."""

_MAX_DIGITS = 20  # -9223372036854775808 has 19 digits and a sign


def dumps(surrogate: Surrogate) -> bytes:
    """Return the canonical bytes of a surrogate: equal surrogates of one name give equal bytes.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> s = surrogate.discover(multipliers.get("exact4u"))
    >>> dumps(s)[:40]
    b'{"content":{"certificate":{"comparison":'
    >>> loads(dumps(s)) == s
    True
    """
    content = surrogate.to_dict()
    envelope = {"format": FORMAT, "version": _version(surrogate), "sha256": _digest(content), "content": content}
    return _canonical(envelope) + b"\n"


def save(surrogate: Surrogate, path: str | os.PathLike[str]) -> None:
    """Write a surrogate to a file, as a whole or not at all.

    Parameters
    ----------
    surrogate : Surrogate
        With or without a certificate.
    path : path
        An existing file is replaced only once the new one is completely on disk.

    Raises
    ------
    OSError
        If the file cannot be written; the previous one is then untouched.
    """
    write_atomically(path, dumps(surrogate))


def load(
    path: str | os.PathLike[str],
    multiplier: Multiplier | None = None,
    *,
    verify: bool = False,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> Surrogate:
    """Read a surrogate from a file.

    The certificate in a file is a claim of whoever wrote it: the hash detects damage, not a lie. ``verify=True``
    measures it anew.

    Parameters
    ----------
    path : path
        A file that `save` wrote, in any layout of the same JSON.
    multiplier : Multiplier, optional
        Refuse the file unless it stands for this multiplier (formats and fingerprint).
    verify : bool
        Repeat the certificate's comparison with ``multiplier`` and refuse the file if the residuals differ. A file
        without a certificate gets one.
    max_bytes : int
        Refuse larger files unread.
    progress : callable, optional
        ``progress(pairs_done, pairs_in_all)`` while verifying.

    Raises
    ------
    SurrogateFileError
        If the file is not a surrogate that this version can read; the message names the file and the reason.
    FileNotFoundError
        If there is no such file.
    SurrogateError
        If ``verify`` is asked for without a multiplier.
    """
    path = Path(path)
    if path.is_dir():
        raise SurrogateFileError(f"{path}: is a folder, not a surrogate file")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    return loads(data, multiplier, verify=verify, max_bytes=max_bytes, progress=progress, source=str(path))


def loads(
    data: bytes | str,
    multiplier: Multiplier | None = None,
    *,
    verify: bool = False,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
    source: str = "surrogate data",
) -> Surrogate:
    """Read a surrogate from the bytes or text of a file; see `load`. Messages call the data ``source``.

    Examples
    --------
    >>> loads(b"{}")
    Traceback (most recent call last):
        ...
    surrogate.errors.SurrogateFileError: surrogate data: is not a surrogate file: no "format"
    """
    if verify and multiplier is None:
        raise SurrogateError("verify=True compares with the multiplier: pass it as well")
    try:
        surrogate = _read(data, max_bytes)
        if multiplier is not None:
            return _bound(surrogate, multiplier, verify, progress)
    except _Refused as refused:
        raise SurrogateFileError(f"{source}: {refused}") from None
    return surrogate


class _Refused(Exception):  # noqa: N818  # never leaves this module
    """Why a file is not read."""


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def _digest(content: Any) -> str:
    return hashlib.sha256(_canonical(content)).hexdigest()


def _read(data: bytes | str, max_bytes: int) -> Surrogate:
    try:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        if len(raw) > max_bytes:
            raise _Refused(f"is larger than {max_bytes} bytes; pass max_bytes to read it all the same")
        return _content(_parse(raw.decode()))
    except (UnicodeEncodeError, UnicodeDecodeError) as error:
        raise _Refused(f"is not UTF-8 text ({error.reason}), so not a surrogate file") from None
    except RecursionError:
        raise _Refused("is nested too deeply to be a surrogate file") from None


def _parse(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        if text.strip() and not text.rstrip().endswith("}"):
            raise _Refused(f"is not JSON, or was cut off: {error}") from None
        raise _Refused(f"is not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise _Refused(f"the key {repeated!r:.80} occurs twice in one object")
    return result


def _constant(text: str) -> NoReturn:
    raise _Refused(f"{text} is not a number of this format")


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS or not -(1 << 63) <= (value := int(text)) < 1 << 63:
        raise _Refused(f"the integer {text:.40} does not fit int64")
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _Refused(f"the number {text:.40} does not fit a 64-bit float")
    return value + 0.0  # -0.0 is read as 0.0


def _content(envelope: Any) -> Surrogate:
    """Check format, version and hash, then build the surrogate."""
    if not isinstance(envelope, dict) or "format" not in envelope:
        raise _Refused('is not a surrogate file: no "format"')
    if envelope["format"] != FORMAT:
        raise _Refused(f"is not a surrogate file: its format is {envelope['format']!r:.80}, not {FORMAT!r}")
    version = envelope.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise _Refused(f"the version of the format must be an integer, got {version!r:.80}")
    if version > VERSION:
        raise _Refused(
            f"has version {version} of the format{_writer(envelope)}, and this package reads up to {VERSION}; "
            f"upgrade axsurrogate to read it"
        )
    if version < 1:
        raise _Refused(f"has version {version} of the format, which never existed; versions start at 1")
    if set(envelope) != {"format", "version", "sha256", "content"}:
        raise _Refused(
            f"has the fields {', '.join(map(repr, sorted(envelope)))[:200]}; content and sha256 belong there"
        )
    if envelope["sha256"] != _digest(envelope["content"]):
        raise _Refused("its hash does not match: it was changed or damaged after it was written")
    try:
        surrogate = Surrogate.from_dict(envelope["content"])
    except (SurrogateError, ParameterError) as error:
        raise _Refused(str(error)) from None
    if version != _version(surrogate):
        raise _Refused(f"has version {version} of the format, but its basis functions are of {_version(surrogate)}")
    return surrogate


def _version(surrogate: Surrogate) -> int:
    """Return the lowest version of the format that knows the surrogate's basis functions."""
    functions = (function for term in surrogate.terms for function in (term.a, term.b))
    return max((part.since for function in functions for part in function.components), default=1)


def _writer(envelope: dict[str, Any]) -> str:
    """Say which release wrote a file of a newer version, where the content still tells."""
    content = envelope.get("content")
    provenance = content.get("provenance") if isinstance(content, dict) else None
    release = provenance.get("version") if isinstance(provenance, dict) else None
    return f" (written by axsurrogate {release:.40})" if isinstance(release, str) and release else ""


def _bound(surrogate: Surrogate, multiplier: Multiplier, verify: bool, progress: Progress | None) -> Surrogate:
    """Refuse another multiplier's surrogate; measure the certificate anew if asked to."""
    reference, claimed = surrogate.multiplier, surrogate.certificate
    if not reference.matches(multiplier):
        raise _Refused(
            f"stands for {reference.name!r:.80} ({reference.a} x {reference.b}, fingerprint "
            f"{reference.fingerprint[:12]}...), not for {multiplier.name!r:.80} ({multiplier.a} x {multiplier.b})"
        )
    if not verify:
        return surrogate
    if claimed is None:
        return certify(surrogate, multiplier, sample=default_sample(multiplier), progress=progress)
    sample = None if claimed.every_pair else claimed.n_pairs
    measured = certify(surrogate, multiplier, sample=sample, progress=progress)
    if measured.certificate is None or not claimed.agrees_with(measured.certificate):
        raise _Refused(f"its certificate does not hold: it claims {claimed}, measured is {measured.certificate}")
    return measured
