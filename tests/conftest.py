import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with reference data: $AXSURROGATE_SHARED, or ``shared`` beside the checkout or in it."""
    root = Path(__file__).resolve().parents[1]
    given = os.environ.get("AXSURROGATE_SHARED")
    candidates = [Path(given)] if given else [root.parent / "shared", root / "shared"]
    for folder in candidates:
        if (folder / "evoapprox" / "index.json").is_file():
            return folder
    pytest.skip(f"no reference data in {' or '.join(map(str, candidates))}; set AXSURROGATE_SHARED to the folder")
