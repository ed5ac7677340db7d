import sys

import numpy as np
import pytest

import multipliers
from catalog import resolve
from multipliers import CallableMultiplier, OperandFormat, ParameterError, TableError, UnknownNameError
from multipliers.writers.arrays import write_npz

SOURCE = """
import numpy as np
import multipliers

def cleared(a, b):
    return (a & ~3) * b

def scalar(a, b):
    return 0 if a > b else a * b

def arrays_only(a, b):
    return np.left_shift(a, 1).astype(np.int64)

def uneven(a, b):
    return a * b + np.size(a) - 1

def broken(a, b):
    raise RuntimeError("never works")

def halves(a, b):
    return a * b / 2

class Holder:
    nested = multipliers.get("drum8u_k4")

ready = multipliers.get("mitchell8s")
number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a user's module in the current folder."""
    (tmp_path / "my_design_module.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield "my_design_module"
    sys.modules.pop("my_design_module", None)


def test_labels_in_and_beyond_the_catalog():
    assert resolve("drum16u_k6") == multipliers.get("drum16u_k6")
    assert resolve("drum9x7u_k3", a="9u", b="7u") == multipliers.get("drum9x7u_k3")
    assert resolve(multipliers.get("exact8u")) == multipliers.get("exact8u")


def test_other_names_of_a_family():
    assert resolve("dsm8u_k4") == multipliers.get("loba8u_v0k4")


def test_formats_that_contradict_a_label():
    with pytest.raises(ParameterError, match="operand a of drum8u_k4 is 8u, not 8s"):
        resolve("drum8u_k4", a="8s")


def test_bad_parameters_of_a_known_family_are_reported_as_such():
    with pytest.raises(ParameterError, match="kept_bits"):
        resolve("drum8u_k99")


@pytest.mark.parametrize("spec", ["drun8u_k4", "mitchel16u", "Drum16u_k6"])
def test_unknown_labels_suggest(spec):
    with pytest.raises(
        UnknownNameError, match=r"did you mean .*Tried: it is no label .*; no file; no 'module:function'"
    ):
        resolve(spec)


def test_tables(tmp_path):
    path = write_npz(multipliers.get("bam6s_h1v2"), tmp_path / "mine.npz")
    for spec in (path, str(path)):
        assert resolve(spec).fingerprint() == multipliers.get("bam6s_h1v2").fingerprint()
    np.save(tmp_path / "mine.npy", np.zeros((4, 4), int))
    assert resolve(tmp_path / "mine.npy", a="2u").a.label == "2u"
    with pytest.raises(TableError, match="cannot tell the signs"):
        resolve(tmp_path / "mine.npy")
    with pytest.raises(FileNotFoundError):
        resolve("absent.npz")


@pytest.mark.parametrize(("name", "vectorised"), [("cleared", True), ("scalar", False), ("arrays_only", True)])
def test_functions(module, name, vectorised):
    found = resolve(f"{module}:{name}", a="8s", b=OperandFormat(4))
    assert isinstance(found, CallableMultiplier)
    assert (found.vectorised, found.a.label, found.b.label, found.name) == (vectorised, "8s", "4u", name)
    assert found.table().shape == (256, 16)
    assert found(-5, 3) == {"cleared": -24, "scalar": -15, "arrays_only": -10}[name]
    assert resolve(f"{module}:{name}", a="3u").b.label == "3u"


def test_objects_of_a_module(module):
    assert resolve(f"{module}:ready") == multipliers.get("mitchell8s")
    assert resolve(f"{module}:Holder.nested", a="8u") == multipliers.get("drum8u_k4")
    with pytest.raises(ParameterError, match="is 8s, not 8u"):
        resolve(f"{module}:ready", a="8u")


def test_what_is_no_multiplier_of_a_module(module):
    with pytest.raises(ParameterError, match="pass a= and b="):
        resolve(f"{module}:cleared")
    with pytest.raises(ParameterError, match="is a int"):
        resolve(f"{module}:number", a="8u")
    with pytest.raises(ParameterError, match="is a type"):
        resolve(f"{module}:Holder", a="8u")
    with pytest.raises(ParameterError, match="never works"):
        resolve(f"{module}:broken", a="8u")
    with pytest.raises(ParameterError, match="whole numbers"):
        resolve(f"{module}:halves", a="8u")
    with pytest.raises(ParameterError, match="within an array and"):
        resolve(f"{module}:uneven", a="8u")
    with pytest.raises(UnknownNameError, match="did you mean 'scalar'"):
        resolve(f"{module}:scalr", a="8u")


@pytest.mark.parametrize("spec", ["no_such_module_here:f", ":f", "..:f"])
def test_modules_that_do_not_import(spec):
    with pytest.raises(UnknownNameError, match="cannot import"):
        resolve(spec, a="8u")


def test_the_search_path_is_left_as_it_was(module):
    before = list(sys.path)
    resolve(f"{module}:ready")
    assert sys.path == before
