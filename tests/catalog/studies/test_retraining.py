"""Retraining by an exact surrogate is retraining by the table, bit for bit; the study keeps what it finds."""

import copy
import csv
import json
import math

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from catalog import resolve
from catalog.cli.app import app
from catalog.studies.retraining import (
    Simulations,
    Stages,
    quantise,
    retrain,
    retraining_fidelity,
)
from catalog.studies.retraining.simulations import check_methods
from catalog.studies.retraining.stages import accurate_config, run
from catalog.studies.study import Study
from multipliers import TableMultiplier, get
from multipliers.errors import UnknownNameError
from surrogate import FitError
from surrogate.nn import ApproxConfig, approximate_, mode
from surrogate.nn.networks import create_network
from surrogate.nn.training import Images, Recipe, accuracy, parameters_digest, seeded

RECIPE = Recipe(1, 0.02, batch_size=16, steps_per_epoch=3)
STAGES = Stages(Recipe(2, 0.05, batch_size=16, steps_per_epoch=6), RECIPE, RECIPE)


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 256, (64, 8, 8)), np.arange(64) % 4
    x[np.arange(64), 2 * y, :] = 255
    return Images.from_arrays(x[:48], y[:48], x[48:], y[48:])


@pytest.fixture(scope="module")
def colour():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(48, 3, 32, 32, generator=generator), torch.arange(48) % 4
    return Images(x, y, x[:8], y[:8])


def quantised(network, multiplier, images):
    _, *shape = images.x_train.shape
    model = create_network(network, tuple(shape), images.n_classes)
    quantise(model, accurate_config(multiplier.a, multiplier.b), images)
    return model


def trained_state(model, simulation, images, recipe=RECIPE):
    candidate = copy.deepcopy(model)
    approximate_(candidate, simulation.config)
    with mode(candidate, simulation.mode), seeded(0):
        run(candidate, images, recipe)
    return {name: value for name, value in candidate.state_dict().items() if ".engine." not in name}


@pytest.mark.parametrize("label", ["bam8s_h3v7", "drum8s_k4", "mitchw8s_w4c2", "bam8u_h2v5"])
@pytest.mark.parametrize("network", ["lenet5", "resnet8-w4", "vgg11-w2"])
def test_exact_surrogates_train_as_tables_do_to_the_last_bit(network, label, images, colour):
    data = images if network == "lenet5" else colour
    simulations = Simulations(get(label))
    model = quantised(network, simulations.multiplier, data)
    behavioural, exact = (trained_state(model, simulations.of(m), data) for m in ("behavioural", "exact"))
    assert behavioural.keys() == exact.keys()
    for name, value in behavioural.items():
        assert torch.equal(value, exact[name]), name
    accurate = trained_state(model, simulations.of("none"), data)
    assert any(not torch.equal(value, accurate[name]) for name, value in behavioural.items())


QUICK = ("mul8s_1KVA", "mul8s_1L12", "mul8s_1KXF")
OTHERS = ("1KV6", "1KV8", "1KV9", "1KVM", "1KVP", "1KVQ", "1KX5", "1L2J", "1L2L", "1L2N")


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(f"mul8s_{n}", marks=pytest.mark.slow) for n in OTHERS)])
def test_it_holds_for_the_published_circuits(name, shared, images):
    """The 13 signed circuits of 8 bits of EvoApproxLib: weights and logits."""
    simulations = Simulations(resolve(shared / "evoapprox" / f"{name}.npz"))
    model = quantised("lenet5", simulations.multiplier, images)
    states, logits = [], []
    for method in ("behavioural", "exact"):
        candidate = copy.deepcopy(model)
        approximate_(candidate, simulations.of(method).config)
        run(candidate, images, RECIPE)
        states.append(parameters_digest(candidate))
        with torch.no_grad():
            logits.append(candidate.eval()(images.x_test))
    assert states[0] == states[1]
    assert torch.equal(*logits)


@pytest.mark.parametrize("kernel", ["portable", "torch"])
def test_it_holds_for_every_way_to_the_sums(kernel, images, monkeypatch):
    """Tables by another kernel or none, products alone, errors by table, another datatype."""
    multiplier = get("bam8s_h3v7")
    simulations = Simulations(multiplier)
    model = quantised("lenet5", multiplier, images)
    wanted = trained_state(model, simulations.of("behavioural"), images)
    surrogate = simulations.exact_surrogate
    monkeypatch.setenv("AXSURROGATE_TABLE_KERNEL", kernel)
    for config in (
        ApproxConfig(multiplier=multiplier, backend="table"),
        ApproxConfig(multiplier=multiplier, backend="error_table"),
        ApproxConfig(surrogate=surrogate, backend="lowrank"),
        ApproxConfig(surrogate=surrogate, arithmetic="float64"),
    ):
        candidate = copy.deepcopy(model)
        approximate_(candidate, config)
        run(candidate, images, RECIPE)
        for name, value in candidate.named_parameters():
            assert torch.equal(value, wanted[name]), (config.backend, name)


@pytest.mark.parametrize("label", ["mitchw9s_w3c2", pytest.param("mitchw12s_w3c2", marks=pytest.mark.slow)])
def test_exact_surrogates_of_wide_operands_train_as_their_tables_do(label, images):
    simulations = Simulations(get(label))
    assert simulations.reference == "exact"
    assert simulations.available(["none", "behavioural", "exact"]) == ("exact", "none")
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))
    quantise(model, accurate_config(simulations.multiplier.a, simulations.multiplier.b), images)
    table = trained_state(model, simulations.of("behavioural"), images)
    for name, value in trained_state(model, simulations.of("exact"), images).items():
        assert torch.equal(value, table[name]), name


def test_multipliers_without_an_exact_surrogate_are_looked_up():
    table = np.random.default_rng(0).integers(0, 255, (256, 256))
    simulations = Simulations(TableMultiplier(table, "8u", name="noisy"))
    assert simulations.exact_surrogate is None
    assert simulations.circuit.method == simulations.reference == "behavioural"
    assert simulations.available(["exact", "htp"]) == ("behavioural", "htp")
    with pytest.raises(FitError, match="noisy has no exact surrogate of at most 64 terms"):
        simulations.of("exact")


@pytest.mark.parametrize("name", ["", "lowrank", "lowrank0", "lowrankK", "tables", "None"])
def test_unknown_methods_are_refused(name):
    with pytest.raises(UnknownNameError, match="method"):
        check_methods(["none", name])


def test_retraining_tests_as_simulated_and_on_the_circuit(images):
    """What `retrain` reports is what its parts give by hand; the model that it starts from is unchanged."""
    simulations = Simulations(get("mitchw8s_w4c2"))
    model = quantised("lenet5", simulations.multiplier, images)
    before = parameters_digest(model)
    found = retrain(model, simulations.of("noise"), simulations.circuit, images, RECIPE)
    assert parameters_digest(model) == before
    candidate = copy.deepcopy(model)
    approximate_(candidate, simulations.circuit.config)
    with mode(candidate, "noise"), seeded(0):
        assert found.before == accuracy(candidate, images.x_test, images.y_test)
        run(candidate, images, RECIPE)
        assert found.simulated == accuracy(candidate, images.x_test, images.y_test)
    assert found.on_circuit == accuracy(candidate, images.x_test, images.y_test)
    assert found.weights == parameters_digest(candidate)
    again = retrain(model, simulations.of("noise"), simulations.circuit, images, RECIPE)
    assert again.weights == found.weights


def test_a_diverged_retraining_counts_as_guessing(images):
    simulations = Simulations(get("drum8s_k3"))
    model = quantised("lenet5", simulations.multiplier, images)
    explosive = Recipe(1, 1e30, batch_size=16, steps_per_epoch=5)
    found = retrain(model, simulations.of("linear"), simulations.circuit, images, explosive)
    assert found.diverged
    assert math.isnan(found.step_time_s)
    assert found.simulated == found.on_circuit == 1 / 4


LABELS = ("bam8s_h3v7", "drum8s_k3")
METHODS = ("none", "exact", "noise")


def study_of(folder, images, seeds=(0, 1), told=None):
    study = Study.open(folder, "retraining", STAGES.settings())
    multipliers = [get(label) for label in LABELS]
    return retraining_fidelity(study, multipliers, "lenet5", images, STAGES, methods=METHODS, seeds=seeds, told=told)


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("whole"), images)


TIMES = {"step_time_s"}


def without_times(rows):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def test_rows_are_tidy_and_summed_up(whole):
    keys = [(row["multiplier"], row["method"], row["seed"]) for row in whole.rows]
    assert len(set(keys)) == len(keys) == 2 + 2 + 2 * 2 * 4
    by_key = dict(zip(keys, whole.rows, strict=True))
    summary = {row["method"]: row for row in whole.summary}
    assert list(summary) == ["behavioural", *METHODS]
    for method, row in summary.items():
        differences = [
            abs(by_key[label, method, seed]["on_circuit"] - by_key[label, "behavioural", seed]["on_circuit"])
            for label in LABELS
            for seed in (0, 1)
        ]
        assert row["difference_on_circuit"] == pytest.approx(100 * sum(differences) / 4)
        assert row["largest_difference"] == pytest.approx(100 * max(differences))
        assert (row["multipliers"], row["seeds"], row["operands"]) == (2, 2, "8s x 8s")
    assert summary["exact"]["same_weights"] == 4
    assert summary["exact"]["difference_simulated"] == summary["exact"]["difference_on_circuit"] == 0
    assert summary["noise"]["same_weights"] == 0
    assert by_key["bam8s_h3v7", "none", 0]["weights"] == by_key["drum8s_k3", "none", 0]["weights"]
    assert by_key["bam8s_h3v7", "none", 0]["weights"] != by_key["bam8s_h3v7", "none", 1]["weights"]


def test_step_times_are_ratios_to_the_float_network_of_the_same_run(whole):
    rows = [row for row in whole.step_times if row["multiplier"] == LABELS[0]]
    assert [row["method"] for row in rows] == ["float", "behavioural", *METHODS]
    for row in rows:
        assert row["ratio_to_float"] == row["step_time_s"] / rows[0]["step_time_s"]


def test_an_interrupted_study_goes_on_and_ends_alike(whole, images, tmp_path):
    def interrupt(stage, done, steps):
        if stage == "drum8s_k3, seed 0: exact" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_of(tmp_path, images, told=interrupt)
    stages = []
    resumed = study_of(tmp_path, images, told=lambda stage, done, steps: stages.append(stage))
    assert not [stage for stage in stages if stage.startswith("bam8s_h3v7, seed")]
    assert "drum8s_k3, seed 0: behavioural" not in stages
    assert without_times(resumed.rows) == without_times(whole.rows)
    again = study_of(tmp_path, images, told=lambda *_: pytest.fail("trained again"))
    assert (again.rows, again.step_times, again.summary) == (resumed.rows, resumed.step_times, resumed.summary)


def test_names_tell_multipliers_apart(images, tmp_path):
    study = Study.open(tmp_path, "retraining", {})
    with pytest.raises(ValueError, match="several multipliers are called drum8s_k3"):
        retraining_fidelity(study, [get("drum8s_k3")] * 2, "lenet5", images, STAGES)


def command(*arguments):
    return CliRunner().invoke(app, ["study", "retraining", *map(str, arguments)])


FEW = ("--epochs", 1, "--quantised-epochs", 1, "--retraining-epochs", 1, "--train-images", 64, "--test-images", 40)


def test_the_command_writes_tables_and_a_picture(tmp_path):
    folder = tmp_path / "study"
    arguments = (*FEW, "-m", "bam8s_h3v7", "--method", "htp", "--method", "exact", "-o", folder)
    done = command(*arguments)
    assert done.exit_code == 0, done.output
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["float", "quantised", "behavioural", "htp", "exact"]
    assert rows[2]["weights"] == rows[4]["weights"] != rows[3]["weights"]
    assert json.loads((folder / "summary.json").read_text())["settings"]["network"] == "lenet5"
    assert (folder / "retraining.png").read_bytes().startswith(b"\x89PNG")
    assert "behavioural" in done.stdout
    again = command(*arguments, "--json")
    assert json.loads(again.stdout)["rows"] == json.loads((folder / "results.json").read_text())["rows"]


def test_multipliers_may_be_a_pattern_of_files(tmp_path):
    for name, label in (("one", "drum8s_k3"), ("two", "drum8s_k4"), ("other", "exact8s")):
        np.savez(tmp_path / f"{name}.npz", table=get(label).table())
    done = command(*FEW, "-m", tmp_path / "*o*.npz", "-m", "trunc8s_t3", "--method", "none", "-o", tmp_path / "s")
    assert done.exit_code == 0, done.output
    with (tmp_path / "s" / "results.csv").open() as file:
        names = [row["multiplier"] for row in csv.DictReader(file)]
    assert list(dict.fromkeys(names)) == ["-", "one", "other", "two", "trunc8s_t3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "missing_*.npz"], "no file matches 'missing_*.npz'"),
        (["-m", "drum8s_k3", "-m", "drum8s_k3"], "two of the multipliers are called drum8s_k3"),
        (["--method", "tables"], "unknown method"),
        (["--data", "missing.npz"], "missing.npz"),
        (["--network", "vgg12"], "there is no network 'vgg12'"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments, message, tmp_path):
    done = command(*FEW, *arguments, "-o", tmp_path / "study")
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_a_study_of_other_settings_is_left_alone(tmp_path):
    study = (*FEW, "-m", "drum8s_k3", "--method", "none", "-o", tmp_path / "study")
    assert command(*study).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()}
    done = command(*study, "--retraining-epochs", 2, "--later-rate", 0.25)
    assert done.exit_code == 2
    assert "approximate_epochs is 1 there, 2 now" in done.stderr
    assert "quantised_learning_rate is 0.005 there, 0.25 now" in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()} == before
