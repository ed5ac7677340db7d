"""Which release of the package this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Version of the installed distribution; ``"unknown"`` in a source tree that is not installed."""
    try:
        return version("axsurrogate")
    except PackageNotFoundError:
        return "unknown"
