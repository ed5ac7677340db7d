import json

import numpy as np
import pytest

from multipliers import OperandFormat, TableMultiplier


@pytest.fixture(scope="session")
def circuits(shared):
    """Published tables by name: (multiplier, fewest exact terms)."""
    found = {}
    for entry in json.loads((shared / "evoapprox" / "index.json").read_text()):
        table = np.load(shared / "evoapprox" / f"{entry['name']}.npz")["table"]
        formats = (OperandFormat(entry[f"{operand}_bits"], entry["signed"]) for operand in "ab")
        fewest = min(entry["rank_table"], 1 + entry["rank_error"])
        found[entry["name"]] = (TableMultiplier(table, *formats, name=entry["name"]), fewest)
    return found
