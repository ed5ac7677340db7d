"""``axsurrogate doctor`` tells which kernel runs, and why."""

import json
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from catalog.cli.app import app
from surrogate.nn.native import available_kernels, diagnosis, library


@pytest.fixture(autouse=True)
def nothing_forced(monkeypatch):
    monkeypatch.delenv(library.VARIABLE, raising=False)


def doctor(*arguments):
    done = CliRunner().invoke(app, ["doctor", *arguments])
    assert done.exit_code == 0
    return done.stdout


def test_json_says_what_runs():
    found = json.loads(doctor("--json"))
    assert found["kernel"] == found["available"][0]
    assert tuple(found["available"]) == available_kernels()
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert isinstance(found["int8_exact"], bool)
    if found["library"] is not None:
        assert found["library"].endswith(tuple(EXTENSION_SUFFIXES))
        assert found["avx512_vbmi"] == ("avx512-vbmi" in found["available"])
        assert found["avx2"] == ("avx2" in found["available"])
        assert found["neon"] == ("neon" in found["available"])
    else:
        assert found["avx2"] is None


def test_the_features_are_those_that_the_system_names():
    flags = Path("/proc/cpuinfo")
    if library.load_library() is None or not flags.is_file():
        pytest.skip("no compiled library, or no /proc/cpuinfo to compare with")
    words = flags.read_text().split()
    found = json.loads(doctor("--json"))
    assert found["avx2"] == ("avx2" in words)
    assert found["neon"] == ("asimd" in words)
    assert found["avx512_vbmi"] == ({"avx512f", "avx512bw", "avx512vbmi"} <= set(words))
    assert found["avx512_vnni"] == (found["avx512_vbmi"] and "avx512_vnni" in words)


def test_text_has_a_line_each():
    text = doctor()
    for label in (
        "table kernel",
        "compiled library",
        "C compiler",
        "AVX-512 VBMI",
        "NEON",
        "PyTorch",
        "int8 products exact",
    ):
        assert sum(line.startswith(label) for line in text.splitlines()) == 1
    assert available_kernels()[0] in text


def test_gpus_and_what_runs_on_them(monkeypatch):
    found = json.loads(doctor("--json"))
    assert (found["gpu"] is None) == (not torch.cuda.is_available())
    if found["gpu"] is None:
        assert found["gpu_trouble"] == "PyTorch finds no CUDA device"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a new one")
    for trouble, words in (("Triton is not installed", "no kernel: Triton is not installed"), (None, "Triton kernel")):
        monkeypatch.setattr(diagnosis, "triton_trouble", lambda device, trouble=trouble: trouble)
        lines = dict(line.split("  ", maxsplit=1) for line in doctor().splitlines() if "GPU" in line)
        assert {name: value.strip() for name, value in lines.items()} == {"GPU": "a new one", "tables on a GPU": words}


def test_a_forced_kernel_and_one_that_cannot_be(monkeypatch):
    monkeypatch.setenv(library.VARIABLE, "torch")
    found = json.loads(doctor("--json"))
    assert found["kernel"] == "torch"
    assert library.VARIABLE in found["reason"]
    monkeypatch.setenv(library.VARIABLE, "mmx")
    found = json.loads(doctor("--json"))
    assert found["kernel"] is None
    assert "'mmx'" in found["reason"]


@pytest.mark.parametrize("content", [None, b"not a library"], ids=["not built", "broken"])
def test_without_a_library_that_loads(tmp_path, content):
    """In a process of its own, whose library is sought in a folder where there is none, or a broken one."""
    if content is not None:
        (tmp_path / f"_sums{EXTENSION_SUFFIXES[0]}").write_bytes(content)
    code = (
        f"from surrogate.nn.native import library; library.__file__ = {str(tmp_path / 'library.py')!r}; "
        f"from catalog.cli.app import app; app(['doctor', '--json'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != library.VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    found = json.loads(done.stdout)
    assert found["kernel"] == "torch"
    assert found["available"] == ["torch"]
    assert found["avx2"] is None
    assert "install the package again" in found["reason"]
    assert (found["library"] is None) == (content is None)
