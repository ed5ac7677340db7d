"""The command line as a user meets it: whole runs, with values checked against the library."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

import multipliers
import surrogate
from catalog.cli.app import app

BIN = Path(sys.executable).with_name("axsurrogate")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def process(*arguments, cwd=None, **environment):
    """Run in a process of its own, without the terminal settings of whoever runs the tests."""
    unset = ("COLUMNS", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "AXSURROGATE_DEBUG")
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [str(a) for a in arguments],
        capture_output=True,
        cwd=cwd,
        env={**clean, **environment},
        timeout=120,
        check=False,
    )


def test_console_script_and_module_print_the_version():
    for command in ([BIN], [sys.executable, "-m", "catalog.cli"]):
        done = process(*command, "--version")
        assert (done.returncode, done.stdout.decode().strip()) == (0, f"axsurrogate {version('axsurrogate')}")


def test_help_lists_the_commands_and_exit_codes():
    done = process(BIN, "--help")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert all(f" {name} " in text for name in ("characterise", "discover", "show", "export", "catalog", "demo"))
    assert "130 interrupted" in " ".join(text.split())


def test_no_command_prints_help():
    assert "Usage" in run().output


def test_heavy_libraries_are_not_imported_for_help():
    heavy = ("torch", "sklearn", "scipy", "sympy", "flint", "matplotlib")
    code = f"import sys, catalog.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    assert process(sys.executable, "-c", code).stdout.decode().strip() == "[]"


def test_output_that_is_no_terminal_has_no_escape_codes_and_whole_lines():
    done = process(BIN, "catalog", "show", "drum8u_k4")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "\x1b" not in text
    assert "Dynamic range unbiased multiplier (DRUM)" in text
    assert any("S. Hashemi" in line and line.endswith("ICCAD 2015.") for line in text.splitlines())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_of_the_locale_works(encoding):
    done = process(BIN, "characterise", "udm8u", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert "Published figures" in text
    assert ("─" in text) == (encoding == "utf-8")


def test_numbers_stay_whole_on_a_narrow_terminal():
    done = process(BIN, "discover", "udm5u", "exact5u", "--method", "all", COLUMNS="30")
    assert done.returncode == 0
    line = next(line for line in done.stdout.decode().splitlines() if "udm5u" in line)
    assert line.split()[:4] == ["udm5u", "2", "0", "%"]
    htp = surrogate.discover(multipliers.get("udm5u"), "htp")
    assert f" {htp.certificate.rms_residual:,.6g} " in line


@pytest.mark.parametrize("width", [20, 60, 95, 100, 101, 105, 120])
def test_no_number_is_cut_at_any_width(width):
    wide = process(BIN, "catalog", "list", "--family", "udm").stdout.decode().split()
    narrow = process(BIN, "catalog", "list", "--family", "udm", COLUMNS=str(width)).stdout.decode()
    assert sorted("".join(narrow.split()).replace("─", "")) == sorted("".join(wide).replace("─", ""))
    found = process(BIN, "discover", "udm4u", "trunc4u_t1", COLUMNS=str(width)).stdout.decode()
    lines = [line.split() for line in found.splitlines()]
    for label in ("udm4u", "trunc4u_t1"):
        size = len(surrogate.dumps(surrogate.discover(multipliers.get(label))))
        assert next(line for line in lines if label in line)[-1] == f"{size:,}"


def test_unexpected_arguments_are_refused_with_usage():
    done = process(BIN, "charaterise", "udm8u")
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"No such command 'charaterise'" in done.stderr


def test_a_reader_that_goes_away_is_no_traceback():
    with subprocess.Popen([BIN, "catalog", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        errors = running.stderr.read()
    assert b"Traceback" not in errors


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupt_exits_with_130(tmp_path):
    (tmp_path / "slow_design.py").write_text(
        "import pathlib, time\n"
        "def multiply(a, b):\n    pathlib.Path('started').touch()\n    time.sleep(60)\n    return a * b\n"
    )
    command = [BIN, "characterise", "slow_design:multiply", "--a", "8u", "-o", "x.json"]
    # a shell starts background jobs with the signal ignored, and children inherit that
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, preexec_fn=heed) as running:
        deadline = time.monotonic() + 60
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=60)
    assert (running.returncode, out, errors) == (130, b"", b"interrupted\n")
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".py" and p.is_file()) == ["started"]


@pytest.mark.parametrize("arguments", [("--debug", "characterise", "nosuch8u"), ("characterise", "nosuch8u")])
def test_debug_shows_the_traceback(arguments):
    done = process(BIN, *arguments)
    assert done.returncode in (1, 2)
    assert (b"Traceback" in done.stderr) == ("--debug" in arguments)
    by_variable = process(BIN, "characterise", "nosuch8u", AXSURROGATE_DEBUG="1")
    assert b"Traceback" in by_variable.stderr
    assert b"UnknownNameError" in by_variable.stderr


def test_catalog_list():
    import catalog

    everything = json.loads(run("catalog", "list", "--json").stdout)
    assert [item["label"] for item in everything] == [e.label for f in catalog.families() for e in f.members]
    drums = json.loads(run("catalog", "list", "--family", "drum", "--json").stdout)
    assert {item["family"] for item in drums} == {"drum"}
    text = run("catalog", "list").stdout
    assert all(entry.label in text for entry in catalog.entries())
    assert "mitchell" not in run("catalog", "list", "--family", "drum").stdout


def test_catalog_show():
    import catalog

    entry = catalog.entry("drum16u_k6")
    shown = json.loads(run("catalog", "show", "drum16u_k6", "--json").stdout)
    assert shown["check"] == entry.check
    assert [figure["value"] for figure in shown["figures"]] == [figure.value for figure in entry.figures]
    text = run("catalog", "show", "drum16u_k6").stdout
    assert entry.check in text.replace("\n", "").replace(" ", "")
    family = run("catalog", "show", "drum").stdout
    assert "drum16u_k6" in family
    assert "Hashemi" in family


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "drum8u_k5u"), "did you mean 'drum8u_k4'"),
        (("list", "--family", "mitchel"), "did you mean 'mitchell'"),
    ],
)
def test_catalog_suggests_names(arguments, said):
    done = run("catalog", *arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
