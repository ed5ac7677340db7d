"""A disk that fills: every writer and command says so, keeps the old file, and leaves nothing else behind.

A limit on the size of files fails a write half-way, as a full disk does. It holds for a process, so this file is also
run as a script: it writes a folder full, and prints how each writer failed.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import multipliers
from multipliers.characterise import characterise
from multipliers.distributions import OperandDistributions
from multipliers.readers.mantissa import MantissaTable
from multipliers.writers.mantissa import write_mantissa
from multipliers.writers.tables import WRITERS
from multipliers.writers.tram import write_tram
from multipliers.writers.weights import write_distributions

LIMIT = 50
"""Bytes that a file may have."""

COMMANDS = [
    ("characterise", "mitchell4u", "-o", "c.json"),
    ("characterise", "mitchell4u", "-o", "c.png"),
    ("characterise", "mitchell4u", "-o", "c.svg"),
    ("characterise", "mitchell4u", "-o", "c.pdf"),
    ("characterise", "mitchell4u", "-o", "c.npz"),
    ("discover", "trunc4u_t1", "-o", "s.json"),
]


def writers():
    """Functions that write a file of more bytes than the limit, by the name of the file."""
    from multipliers.plot import overview, save_figure
    from surrogate import discover, save
    from surrogate.export import TARGETS, export

    unsigned, signed = (multipliers.get(f"mitchell8{sign}") for sign in "us")
    noise = np.random.default_rng(0).integers(0, 1 << 40, 256)
    distributions = OperandDistributions(unsigned.a, unsigned.b, noise, noise)
    picture = overview(characterise(multipliers.get("mitchell4u")))
    found = discover(multipliers.get("bam4u_h0v1"), method="htp")  # of functions that fit every target
    yield "gradients.txt", lambda path: write_tram(unsigned, path, {"a": np.ones((256, 256))})
    yield "mantissa.bin", lambda path: write_mantissa(MantissaTable.exact(4), path)
    yield "weights.npz", lambda path: write_distributions(distributions, path)
    yield "surrogate.json", lambda path: save(found, path)
    for name, write in WRITERS.items():
        yield f"table.{name}", lambda path, w=write, n=name: w(unsigned if n == "approxflow" else signed, path)
    for suffix in ("png", "svg", "pdf"):
        yield f"picture.{suffix}", lambda path: save_figure(picture, path)
    for target in TARGETS:
        yield f"export.{target}", lambda path, t=target: export(found, t, path)


def fill_up(folder, limited):
    """Write every file under the limit; return what each writer raised, by the name of the file."""
    raised = {}
    all_writers = list(writers())
    limited()
    for name, write in all_writers:
        path = folder / name
        path.write_bytes(b"old")
        try:
            write(path)
        except OSError as error:
            raised[name] = [error.filename, error.strerror]
        else:
            raised[name] = None
    return raised


def run_commands(limited):
    from typer.testing import CliRunner

    from catalog.cli.app import app

    runner = CliRunner()
    for *arguments, name in COMMANDS:  # what is imported may write caches, before the limit
        runner.invoke(app, [*arguments, "warm-" + name])
    limited()
    done = {}
    for command in COMMANDS:
        Path(command[-1]).write_bytes(b"old")
        result = runner.invoke(app, list(command))
        done[command[-1]] = [result.exit_code, result.stderr]
    return done


def limit_files():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def in_a_process(what, folder):
    pytest.importorskip("resource", reason="needs limits on the size of files (POSIX)")
    # -P: the folders beside this file have the names of the packages
    command = [sys.executable, "-P", __file__, what, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_writer(tmp_path):
    raised = in_a_process("writers", tmp_path)
    assert set(WRITERS) <= {name.removeprefix("table.") for name in raised}
    for name, error in raised.items():
        assert error is not None, f"{name} was written although the disk was full"
        filename, text = error
        assert filename == str(tmp_path / name)
        assert text.startswith("cannot be written: "), name
        assert (tmp_path / name).read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(raised)


def test_commands(tmp_path):
    done = in_a_process("commands", tmp_path)
    for name, (exit_code, stderr) in done.items():
        assert exit_code == 2, (name, stderr)
        assert stderr.startswith("error: ")
        assert f"{tmp_path / name}: cannot be written: " in stderr
        assert len(stderr.splitlines()) == 1
        assert (tmp_path / name).read_bytes() == b"old"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {name for command in COMMANDS for name in (command[-1], "warm-" + command[-1])}


if __name__ == "__main__":
    what, where = sys.argv[1:]
    if what == "writers":
        print(json.dumps(fill_up(Path(where), limit_files)))
    else:
        print(json.dumps(run_commands(limit_files)))
