"""What the README shows is true of today's code."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import multipliers

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(marker, language):
    match = re.search(rf"<!-- {re.escape(marker)} -->\n```{language}\n(.*?)```", README, re.DOTALL)
    assert match, f"the README has no {language} block marked {marker!r}"
    return match[1]


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = block("example", "python")
    assert len(source.strip().splitlines()) == 12
    exec(compile(source, "README.md", "exec"), {})  # noqa: S102  # our own README
    assert capsys.readouterr().out == block("example output", "text")


def test_the_example_of_surrogates_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"m": multipliers.get("bam8s_h3v7")}
    source = block("example: surrogates", "python")
    exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102  # our own README
    assert capsys.readouterr().out == block("example output: surrogates", "text")
    assert namespace["exact"].is_exact
    assert namespace["best"].n_products == 3


def test_the_two_commands_are_there():
    install = block("command: install-and-run", "sh")
    assert 'pip install -e ".[dev]" -c constraints.txt' in install
    assert "axsurrogate demo" in install
    assert block("command: test", "sh").strip() == "pytest -n auto"


@pytest.mark.slow
def test_the_table_of_circuits_is_what_its_command_prints(shared, tmp_path, monkeypatch):
    from catalog.cli.app import app

    command = block("command: table of circuits", "sh").strip()
    assert command.startswith("axsurrogate ")
    assert command.endswith(" mul8s_*.npz")
    files = sorted((shared / "evoapprox").glob("mul8s_*.npz"))
    assert len(files) == 13
    monkeypatch.chdir(shared / "evoapprox")
    arguments = [*command.split()[1:-1], *(file.name for file in files)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    start = README.index("<!-- table of circuits -->\n") + len("<!-- table of circuits -->\n")
    assert README[start:].startswith(result.stdout)


def test_the_table_of_times_has_the_rows_of_its_command():
    from benchmarks.rows import ROWS

    assert block("command: table of times", "sh").strip() == "python -m benchmarks.report --markdown"
    table = re.search(r"<!-- benchmarks.report -->\n(.*?)\n<!-- /benchmarks.report -->\n", README, re.DOTALL)[1]
    _, _, *lines = (tuple(cell.strip() for cell in line.split("|")[1:]) for line in table.splitlines())
    assert [line[:3] for line in lines] == [(row.operation, row.circuit, row.published) for row in ROWS]


def test_constraints_pin_every_direct_dependency():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
    names = {re.match(r"[A-Za-z0-9-]+", requirement)[0] for requirement in wanted} - {"axsurrogate"}
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
    )
    assert names <= set(pins)
    assert np.lib.NumpyVersion(pins["numpy"]) >= "2.0.0"


def test_counts_of_the_catalog_are_todays():
    from catalog.catalog import families

    members = [entry for family in families() for entry in family.members]
    assert f"{len(families())} families from the literature" in README
    assert f"the {len(members)} designs of the catalog" in README
    assert f"{sum(len(entry.figures) for entry in members)} published figures" in README
