"""The study of layer assignments: candidates and energies, rankings, budgets, resuming, and the command."""

import csv
import json

import numpy as np
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

import catalog
from catalog.cli.app import app
from catalog.datasets import digits
from catalog.library import Figure, Library, Source
from catalog.library.measuring import Task, measure
from catalog.studies.assignment import (
    PREDICTORS,
    Candidate,
    LayerStudy,
    catalog_candidates,
    correlations,
    rank_correlation,
    read_energies,
    with_energies,
)
from catalog.studies.study import Study
from multipliers import OperandFormat, ParameterError, TableMultiplier, get
from surrogate.nn.assignment import Assignment
from surrogate.nn.training import Images, Recipe

EIGHT = OperandFormat(8, signed=True)
POWER = {"exact8s": 0.425, "trunc8s_t1": 0.301, "trunc8s_t2": 0.2, "ppp8s_j0k6": 0.052, "etm8s": None}
ARGUMENTS = ("--epochs", 1, "--train-images", 128, "--test-images", 60, "--calibration", 64)


def run(*arguments):
    return CliRunner().invoke(app, ["study", "assignment", *map(str, arguments)])


def candidates():
    return [Candidate(get(name), energy) for name, energy in POWER.items()]


@pytest.fixture(scope="module")
def images():
    return Images.from_arrays(*digits()).subset(640, 150)


@pytest.fixture
def layers(tmp_path, images, one_thread):
    study = Study.open(tmp_path, "assignment", {})
    return LayerStudy(study, images, "lenet5", Recipe(8, 0.1, batch_size=32), candidates(), calibration=128)


@pytest.fixture
def one_thread():
    """One thread of torch's: tiny networks spend their time waiting for others."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_candidates_of_the_catalog_have_the_power_of_one_technology():
    found = {c.name: c.energy for c in catalog_candidates(EIGHT, EIGHT)}
    assert len(found) >= 30
    assert {name: found[name] for name in ("exact8s", "trunc8s_t1", "ppp8s_j0k6", "etm8s")} == {
        name: POWER[name] for name in ("exact8s", "trunc8s_t1", "ppp8s_j0k6", "etm8s")
    }
    fingerprints = [c.multiplier.fingerprint() for c in catalog_candidates(EIGHT, EIGHT)]
    assert len(set(fingerprints)) == len(fingerprints)
    area = {c.name: c.energy for c in catalog_candidates(EIGHT, EIGHT, "area")}
    assert area["exact8s"] == 729.8


def test_energies_come_from_circuits_with_the_same_products():
    own = [get("trunc8s_t1"), get("drum8s_k4")]
    found = with_energies(own, catalog.circuits())
    assert [c.energy for c in found] == [0.301, None]


def test_energies_are_read_from_files(tmp_path):
    (tmp_path / "energies.json").write_text('{"exact8s": 2, "unheard": 1}')
    (tmp_path / "energies.csv").write_text("name,energy,unit\nexact8s,2.0,pJ\n")
    for name in ("energies.json", "energies.csv"):
        found = {c.name: c.energy for c in read_energies(tmp_path / name, candidates())}
        assert found == dict.fromkeys(POWER) | {"exact8s": 2.0}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("e.json", "[1, 2]", "holds no energies"),
        ("e.json", "{", "holds no energies"),
        ("e.json", '{"exact8s": "much"}', "holds no energies"),
        ("e.json", '{"exact8s": -1}', "the energy of 'exact8s' must be a positive number, got -1"),
        ("e.csv", "multiplier,energy\nexact8s,1\n", "holds no energies .'name'.; write JSON"),
        ("e.csv", "name,energy\nexact8s,\n", "holds no energies"),
        ("e.csv", "name,energy\nother,1\n", "names none of the multipliers, exact8s"),
    ],
)
def test_malformed_files_of_energies_are_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(ParameterError, match=said):
        read_energies(tmp_path / name, candidates())


def test_rank_correlation_is_spearmans_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 20, 40).astype(float)
    y = x + rng.normal(0, 4, 40)
    found = rank_correlation(x, y)
    assert found.rho == pytest.approx(spearmanr(x, y).statistic)
    assert found.low < found.rho < found.high
    assert 0.05 < found.high - found.low < 0.5
    assert rank_correlation(x, -x).to_dict() == pytest.approx({"rho": -1.0, "low": -1.0, "high": -1.0, "n": 40})
    assert rank_correlation([1, 1, 1], [1, 2, 3]).rho == 0
    with pytest.raises(ValueError, match="at least 3 pairs, got 2 and 3 values"):
        rank_correlation([1, 2], [1, 2, 3])


def test_study_ranks_assigns_and_resumes(layers, images, monkeypatch):
    ranked = layers.rank()
    assert {row["multiplier"] for row in ranked} == set(POWER)
    assert [row["predicted"] for row in ranked] == sorted((row["predicted"] for row in ranked), reverse=True)
    by_name = {row["multiplier"]: row for row in ranked}
    assert by_name["exact8s"]["measured"] == layers.baselines()["quantised"] > 0.6
    assert by_name["ppp8s_j0k6"]["measured"] < 0.4
    assert by_name["exact8s"]["weighted_mse"] == 0 < by_name["trunc8s_t1"]["weighted_mse"]
    assert by_name["trunc8s_t2"]["energy"] == 0.2
    found = {row["predictor"]: row["rho"] for row in correlations(ranked)}
    assert set(found) == set(PREDICTORS)
    without = [row | {"retrained": None if row["multiplier"] == "etm8s" else row["measured"]} for row in ranked]
    assert {row["n"] for row in correlations(without, "retrained")} == {4}
    assert found["predicted"] > 0.5

    budgets = [0.4, 0.8]
    assigned = layers.assign(budgets)
    assert [row["budget"] for row in assigned] == [0.8, 0.4]
    for row in assigned:
        assert row["energy"] <= row["budget"] + 1e-9
        loaded = Assignment.load(layers.study.folder / f"assignment_{100 * row['budget']:g}.json")
        assert " ".join(f"{layer}={name}" for layer, name in loaded.multipliers.items()) == row["layers"]
        assert loaded.predicted_accuracy == row["predicted"]
    retrained = layers.retrained(4, 0.01, ["trunc8s_t2"])
    assert set(retrained) == {"trunc8s_t2"}
    assert layers.retrained(2, 1e30, ["etm8s"]) == {"etm8s": None}  # it diverges

    again = Study.open(layers.study.folder, "assignment", {})
    monkeypatch.setattr("catalog.studies.assignment.measuring.trained_network", None)  # nothing is done again
    resumed = LayerStudy(again, images, "lenet5", layers.recipe, candidates(), calibration=128)
    assert resumed.rank() == ranked
    assert resumed.assign(budgets) == assigned
    assert resumed.retrained(4, 0.01, ["trunc8s_t2"]) == retrained


def test_a_corrected_network_bears_a_constant_error(images, tmp_path, one_thread):
    off = TableMultiplier(get("exact8s").table() - 200, "8s", name="off")
    accuracies = {}
    for corrected in (False, True):
        study = Study.open(tmp_path / str(corrected), "assignment", {})
        chosen = [Candidate(off), Candidate(get("exact8s"))]
        layers = LayerStudy(study, images, "lenet5", Recipe(6, 0.1, batch_size=32), chosen, 64, corrected)
        rows = {row["multiplier"]: row for row in layers.rank()}
        accuracies[corrected] = rows["off"]["measured"], rows["off"]["predicted"]
        assert rows["exact8s"]["measured"] == layers.baselines()["quantised"]
    assert accuracies[True][0] == rows["exact8s"]["measured"] > accuracies[False][0]
    assert accuracies[True][1] == rows["exact8s"]["predicted"] > accuracies[False][1]


def test_candidates_of_two_formats_or_one_name_are_refused(images, tmp_path):
    study = Study.open(tmp_path, "assignment", {})
    for chosen, said in (
        ([], "no multiplier to rank"),
        ([get("exact8s"), get("exact8u")], "exact8u multiplies 8u x 8u operands, and exact8s 8s x 8s"),
        ([get("exact8s"), get("exact8s")], "two multipliers are called exact8s"),
    ):
        with pytest.raises(ParameterError, match=said):
            LayerStudy(study, images, "lenet5", Recipe(1, 0.1), map(Candidate, chosen))


def test_command_writes_tables_pictures_and_assignments(tmp_path, one_thread):
    names = [word for name in POWER for word in ("-m", name)]
    arguments = (*names, *ARGUMENTS, "--budget", "60%", "--retraining-steps", 1, "-o", tmp_path)
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    for word in ("5 ranked by prediction", "Spearman's rho", "budget", "60 %", "retrained"):
        assert word in done.stdout
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written >= {
        "results.csv",
        "results.json",
        "correlations.csv",
        "ranking.png",
        "front.png",
        "assignment_60.json",
    }
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["uniform"] * 5 + ["assigned"]
    again = json.loads(run(*arguments, "--json").stdout)
    assert [row["multiplier"] for row in again["ranking"]] == [row["multiplier"] for row in rows[:5]]
    assert again["assignments"][0]["energy"] <= 0.6
    assert again["settings"]["energies"] == {name: power for name, power in POWER.items() if power is not None}

    other = run(*arguments[:-2], "--epochs", 2, "-o", tmp_path)
    assert other.exit_code == 2
    assert "other settings: epochs is 1 there, 2 now" in other.stderr


def test_command_takes_energies_of_the_users_library(tmp_path, one_thread):
    with Library(tmp_path / "mine.sqlite", create=True) as opened:
        for name, label, power in (("mul8s_A", "exact8s", "0.4"), ("mul8s_B", "trunc8s_t2", "0.1")):
            figures = (Figure("PDK45_PWR", power, "mW"),)
            source = Source(tmp_path / f"{name}.c", "c", "mine", name, "0" * 64, figures)
            opened.add(measure(get(label), Task((), "mine", "sampled", 1)), [source])
    output = tmp_path / "study"
    found = run("--library", tmp_path / "mine.sqlite", *ARGUMENTS, "--budget", "0.5", "-o", output, "--json")
    assert found.exit_code == 0, found.output
    data = json.loads(found.stdout)
    assert data["settings"]["energies"] == {"mul8s_A": 0.4, "mul8s_B": 0.1}
    assert data["correlations"] == []  # of one inexact multiplier


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--budget", "5%"), "no assignment of these 13 multipliers meets a budget of 5 % of the energy with exact8s"),
        (("--budget", "much"), "--budget much: write a share of the energy"),
        (("--budget", "120%"), "--budget 120%: write a share of the energy"),
        (("-m", "drum8s_k4", "--budget", "50%"), "there are no candidates; give multipliers and the energy"),
        (("--cost", "mre"), "--cost mre is an error metric; take one of power, area"),
        (("--operands", "5x"), "operand format '5x' is not understood"),
        (("--energy", "missing.json"), "missing.json: No such file"),
        (("--data", "missing.npz"), "missing.npz"),
    ],
)
def test_command_refuses_before_anything_is_written(tmp_path, arguments, said):
    output = tmp_path / "study"
    done = run(*arguments, *ARGUMENTS, "-o", output)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not output.exists()
