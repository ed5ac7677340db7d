"""The study of hybrid training, at a tiny setting: what is measured, resuming, what stand-ins predict, the command."""

import csv
import json

import pytest
from typer.testing import CliRunner

from catalog.cli.app import app
from catalog.datasets import digits
from catalog.studies.hybrid import HAMMAD_LEVELS, error_sources, run_hybrid
from catalog.studies.hybrid_results import means, plot_hybrid, prediction
from catalog.studies.study import Study
from multipliers import get
from multipliers.metrics import error_metrics
from multipliers.table import TableMultiplier
from surrogate.nn.training import Images, Recipe, Training

RECIPE = Recipe(3, 0.1, batch_size=32, steps_per_epoch=12)
LEVELS = HAMMAD_LEVELS[4:6]


@pytest.fixture(scope="module")
def images():
    return Images.from_arrays(*digits()).subset(200, 60)


def run(folder, images, sources, **options):
    return run_hybrid(Study.open(folder, "hybrid", {}), images, "resnet8-w4", RECIPE, sources, **options)


@pytest.fixture(scope="module")
def rows(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hybrid")
    found = run(folder, images, error_sources(LEVELS, [get("drum8s_k3")]), seeds=2)
    return folder, found


def test_a_row_for_each_source_and_seed(rows):
    _, found = rows
    names = ["mre4.8 sd6", "mre9.6 sd12", "drum8s_k3", "drum8s_k3"]
    assert [(row["error"], row["seed"]) for row in found] == [(name, seed) for seed in (0, 1) for name in names]
    assert [row["kind"] for row in found[:4]] == ["gaussian", "gaussian", "multiplier", "stand-in"]
    metrics = error_metrics(get("drum8s_k3"))
    for row in found[2:4]:
        assert (row["mre"], row["sd"], row["bias"]) == (metrics.mre, metrics.relative_sd, metrics.relative_bias)
    for row in found:
        assert 0 <= row["plateau"] <= row["epochs"] == 3
        assert ("switch" in row) == (row["kind"] != "stand-in")
        if "switch" in row:
            assert row["switch_accuracy"] >= row["baseline"] - 0.001
            assert row["accuracy"] < row["baseline"] - 0.001 or row["switch"] == 3
    for first, second in ((0, 1), (2, 3)):  # the same training without errors
        assert found[first]["baseline"] == found[second]["baseline"]
    assert len({row["baseline"] for row in found}) > 1


def test_accuracies_are_those_of_trainings_by_hand(rows, images):
    from surrogate.nn import RelativeError, mode, perturb_weights_
    from surrogate.nn.networks import create_network
    from surrogate.nn.training import accuracy

    kept = Images(images.x_train[:-20], images.y_train[:-20], images.x_test, images.y_test)
    model = create_network("resnet8-w4", (1, 8, 8), 10, 1)
    perturb_weights_(model, RelativeError.from_mre(*LEVELS[1], seed=1))
    training = Training(model, kept, Recipe(3, 0.1, batch_size=32, steps_per_epoch=12, seed=1))
    while not training.finished:
        training.run_epoch()
    with mode(model, "float"):
        assert rows[1][5]["accuracy"] == accuracy(model, images.x_test, images.y_test)


def test_a_finished_study_trains_nothing_and_a_larger_one_the_rest(rows, images, monkeypatch):
    folder, found = rows
    trained, run_epoch = [], Training.run_epoch

    def counted(self, progress=None):
        trained.append(self.recipe.seed)
        return run_epoch(self, progress)

    monkeypatch.setattr(Training, "run_epoch", counted)
    sources = error_sources(LEVELS, [get("drum8s_k3")])
    assert run(folder, images, sources, seeds=2) == found
    assert trained == []
    assert not any((folder / "checkpoints").iterdir())
    run(folder, images, sources[:1], seeds=3)
    assert set(trained) == {2}


def test_an_interrupted_study_ends_as_if_it_had_not_been(rows, images, tmp_path, monkeypatch):
    run_epoch = Training.run_epoch
    left = iter(range(4))

    def interrupted(self, progress=None):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return run_epoch(self, progress)

    sources = error_sources(LEVELS, [])
    monkeypatch.setattr(Training, "run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, images, sources)
    monkeypatch.undo()
    told = []
    assert run(tmp_path, images, sources, told=lambda *args: told.append(args)) == rows[1][:2]
    assert told[0] == ("sources of error", 0, 2)
    stages = {stage.partition(":")[0] for stage, *_ in told}
    assert stages == {"sources of error", "gaussian mre4.8 sd6, seed 0", "gaussian mre9.6 sd12, seed 0"}


def test_another_multiplier_of_the_same_name_is_trained_anew(images, tmp_path):
    harmless, harmful = (
        TableMultiplier(get("exact4s").table() // divisor, "4s", "4s", name="../mine") for divisor in (1, 16)
    )
    found = [run(tmp_path, images, error_sources([], [m])[:1], search=())[0] for m in (harmless, harmful)]
    assert found[0]["accuracy"] == found[0]["baseline"] == found[1]["baseline"]
    assert found[1]["accuracy"] < found[1]["baseline"]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_held_out_share_that_is_none_is_refused(share, images, tmp_path):
    with pytest.raises(ValueError, match=r"of 200 training images leaves .* give a share between 0 and 1"):
        run(tmp_path, images, error_sources(LEVELS, []), validation=share)


def row(kind, name, seed, loss, **more):
    values = {"mre": 0.1, "sd": 0.1, "bias": 0.0, "epochs": 10, "baseline": 0.9, "accuracy": 0.9 - loss}
    values |= {"plateau": 5, "plateau_accuracy": 0.9}
    return {"kind": kind, "error": name, "seed": seed, **values, **more}


def test_prediction_pairs_by_multiplier_and_seed():
    real = [row("multiplier", name, 0, loss) for name, loss in (("a", 0.1), ("b", 0.2), ("c", 0.4), ("d", 0.3))]
    stand_ins = [row("stand-in", name, 0, loss) for name, loss in (("c", 0.2), ("a", 0.1), ("b", 0.3))]
    found = prediction([*real, *stand_ins, row("stand-in", "a", 1, 0.9)])
    assert found.n == 3
    assert found.rank_correlation == pytest.approx(0.5)
    assert found.mean_absolute_difference == pytest.approx(0.1)
    assert found.mean_loss == pytest.approx(0.7 / 3)
    assert prediction([*real, *stand_ins], "plateau_accuracy").mean_loss == 0
    assert prediction(real) is None
    assert prediction([real[0], stand_ins[1]]).to_dict()["correlation"] != 0  # NaN of one pair


def test_means_leave_out_what_was_not_found():
    group = [
        row("gaussian", "x", 0, 0.1, switch=None, switch_accuracy=None, searched=12, monotone=True),
        row("gaussian", "x", 1, 0.3, switch=4, switch_accuracy=0.8, searched=6, monotone=False),
    ]
    (found,) = means(group)
    assert (found["seeds"], found["switch"], found["switch_accuracy"], found["searched"]) == (2, 4, 0.8, 9)
    assert found["accuracy"] == pytest.approx(0.7)
    assert not found["monotone"]
    assert means([row("stand-in", "x", 0, 0.1)])[0]["switch"] is None


def test_the_plot_has_a_panel_for_each_question(rows):
    def labels(rows):
        return [axis.get_xlabel() for axis in plot_hybrid(rows, "title").axes]

    whole = labels(rows[1])
    assert len(whole) == 2
    assert labels([row for row in rows[1] if row["kind"] == "gaussian"]) == whole[:1]
    assert labels([]) == []


def test_the_command(tmp_path):
    arguments = ["study", "hybrid", "-o", str(tmp_path), "--network", "lenet5", "--epochs", "1", "--steps", "1"]
    arguments += ["--train-images", "60", "--test-images", "20", "-m", "mitchell8s"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert len(data["rows"]) == len(data["means"]) == 10
    assert [one["n"] for one in data["prediction"].values()] == [1, 1]
    with (tmp_path / "results.csv").open() as file:
        assert [line["error"] for line in csv.DictReader(file)] == [row["error"] for row in data["rows"]]
    assert (tmp_path / "hybrid.png").read_bytes().startswith(b"\x89PNG")
    again = CliRunner().invoke(app, arguments)
    assert "1 pairs" in again.stdout
    assert "mitchell8s" in again.stdout
    other = CliRunner().invoke(app, [*arguments, "--learning-rate", "0.2"])
    assert other.exit_code == 2
    assert "learning_rate is 0.1 there, 0.2 now" in other.output
