"""The main job, from the command line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import surrogate
from catalog.cli.app import app
from multipliers import TableMultiplier
from multipliers.writers.arrays import write_npz


def run(*arguments):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    result = run("--steps", 400, "-o", folder)
    assert result.exit_code == 0, result.output
    return folder, result.stdout


def test_surrogates_are_saved_and_load(demo):
    folder, _ = demo
    exact, htp, lowrank = (surrogate.load(folder / f"surrogate_{m}.json") for m in ("exact", "htp", "lowrank"))
    assert exact.is_exact
    assert exact.n_terms == 5
    assert htp.certificate.share_different > 0.5
    assert lowrank.certificate.rms_residual < htp.certificate.rms_residual


def test_results_are_told_and_stored(demo):
    folder, printed = demo
    results = json.loads((folder / "results.json").read_text())
    rows = {row["method"] if row["network"] == "approximate" else row["network"]: row for row in results["networks"]}
    assert list(rows) == [
        "float",
        "quantised",
        "table",
        "exact surrogate",
        "HTP surrogate",
        "low-rank surrogate",
    ]
    assert rows["float"]["after"] > 0.8
    table, exact = rows["table"], rows["exact surrogate"]
    assert (table["before"], table["after"]) == (exact["before"], exact["after"])
    assert table["after"] > table["before"]
    for row in rows.values():
        assert f"{100 * row['on_circuit']:.2f} %" in printed
    assert "bam8s_h3v7" in printed


def test_pictures_are_drawn(demo):
    folder, _ = demo
    for name in ("multiplier.png", "networks.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob("*.partial"))


def test_own_table_and_images(tmp_path):
    """An unsigned table of high rank, with f(0, 0) != 0: no exact surrogate is tried beyond 64 terms."""
    generator = np.random.default_rng(0)
    a = np.arange(128)
    table = np.outer(a, a) + generator.integers(0, 9, (128, 128))
    write_npz(TableMultiplier(table, "7u", name="noisy"), tmp_path / "noisy.npz")
    x, y = generator.integers(0, 255, (80, 12, 12, 3)), generator.integers(0, 3, 80)
    np.savez(tmp_path / "images.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    result = run(
        "--multiplier",
        tmp_path / "noisy.npz",
        "--data",
        tmp_path / "images.npz",
        "--steps",
        3,
        "--json",
        "-o",
        tmp_path,
    )
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert [row["method"] for row in data["networks"]] == ["-", "-", "table", "HTP surrogate", "low-rank surrogate"]
    assert "rank exceeds" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--multiplier", "drun8u_k4"], "did you mean"),
        (["--multiplier", "exact16s"], "at most 12 bits"),
        (["--data", "missing.npz"], "there is no file missing.npz"),
        (["--multiplier", "exact8s", "-o", "pyproject.toml/x"], "pyproject.toml"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
