"""Names in backticks become links to the reference, wherever it has them.

Docstrings and pages write `surrogate.discover`, which reads well in an editor; a link needs no other notation. On the
page of a package, what it exports needs no prefix.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from mkdocs.structure.pages import Page

PACKAGES = ("multipliers", "surrogate", "catalog")

_CODE = re.compile(r"<(a|autoref|h\d)\b.*?</\1>|<code>(?P<name>[A-Za-z_]\w*(?:\.\w+)*)</code>", re.DOTALL)
_DOCUMENTED = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Mark names as references that autorefs resolves, or leaves as they are; not inside links and headings."""
    documented = _DOCUMENTED.search(page.markdown or "")
    package = documented[1] if documented else ""
    exported = getattr(importlib.import_module(package), "__all__", ()) if package else ()

    def mark(found: re.Match[str]) -> str:
        name = found["name"] or ""
        first = name.partition(".")[0]
        if first in exported:
            name = f"{package}.{name}"
        elif first not in PACKAGES:
            return found[0]
        return f'<autoref optional identifier="{name}">{found[0]}</autoref>'

    return _CODE.sub(mark, html)
