"""The multipliers of a study: the user's, by specification or by a pattern of files, or the usual ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.cli.errors import CommandError, users_code

if TYPE_CHECKING:
    from multipliers.multiplier import Multiplier


def resolve_multipliers(specs: Sequence[str] | None, usual: Sequence[str]) -> list[Multiplier]:
    """Build multipliers; a specification as ``"tables/mul8s_*.npz"`` stands for the files that match, by name.

    Raises
    ------
    CommandError
        If a pattern matches no file, or two multipliers have one name.
    """
    from catalog import resolve

    found: dict[str, Multiplier] = {}
    for spec in specs or usual:
        for one in _matching(spec):
            with users_code(one):
                multiplier = resolve(one)
            if multiplier.name in found:
                raise CommandError(f"two of the multipliers are called {multiplier.name}; rename the file of one")
            found[multiplier.name] = multiplier
    return list(found.values())


def _matching(spec: str) -> list[str]:
    path = Path(spec)
    if path.exists() or not any(character in path.name for character in "*?["):
        return [spec]
    files = sorted(map(str, path.parent.glob(path.name)))
    if not files:
        raise CommandError(f"no file matches {spec!r}")
    return files
