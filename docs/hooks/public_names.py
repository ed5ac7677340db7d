"""No public name without its place in the reference: what a package exports and no page documents is a warning."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from mkdocs.config.defaults import MkDocsConfig

PACKAGES = (
    "multipliers",
    "surrogate",
    "surrogate.nn",
    "surrogate.nn.assignment",
    "surrogate.nn.networks",
    "surrogate.nn.prediction",
    "surrogate.nn.training",
    "catalog",
    "catalog.datasets",
)

_log = logging.getLogger("mkdocs.hooks.public_names")


def on_env(env: Any, config: MkDocsConfig, **_: Any) -> None:
    """Warn of each name of ``__all__`` that the reference has no heading for; strict builds then fail."""
    known: Any = config.plugins["autorefs"]
    for package in PACKAGES:
        for name in importlib.import_module(package).__all__:
            try:
                known.get_item_url(f"{package}.{name}")
            except KeyError:
                _log.warning("%s.%s is public, but on no page of docs/reference/python", package, name)
