"""Full names in backticks become links to the reference, wherever it has them.

Docstrings and pages write `surrogate.discover`, which reads well in an editor; a link needs no other notation.
"""

from __future__ import annotations

import re
from typing import Any

FULL_NAME = re.compile(r"(?<!>)<code>((?:multipliers|surrogate|catalog)(?:\.\w+)+)</code>")


def on_page_content(html: str, **_: Any) -> str:
    """Mark full names as references that autorefs resolves, or leaves as they are."""
    return FULL_NAME.sub(r'<autoref optional identifier="\1"><code>\1</code></autoref>', html)
