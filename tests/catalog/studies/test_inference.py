"""The study of inference without retraining, at a tiny setting."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from catalog.cli.app import app
from catalog.studies.inference import WITH_STATISTICS, WITHOUT_STATISTICS, run_inference
from catalog.studies.inference_results import accuracy_rows, layer_rows, means, plot_inference, shares
from catalog.studies.study import Study, StudyError
from multipliers import get
from surrogate.nn.training import Images, Recipe

RECIPE = Recipe(2, 0.05, batch_size=32)


@pytest.fixture(scope="module")
def images():
    from catalog.datasets import digits

    return Images.from_arrays(*digits()).subset(256, 100)


def run(folder, images, networks=("resnet8-w4", "lenet5"), multipliers=("mitchw8s_w4c2",), **options):
    study = Study.open(folder, "inference", {})
    circuits = [get(label) for label in multipliers]
    return run_inference(study, images, networks, RECIPE, circuits, calibration=128, **options)


@pytest.fixture(scope="module")
def rows(tmp_path_factory, images):
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("study"), images)


def test_every_correction_that_applies_is_measured(rows):
    normalised = [row["correction"] for row in rows if row["network"] == "resnet8-w4"]
    plain = [row["correction"] for row in rows if row["network"] == "lenet5"]
    assert normalised == ["float", *WITH_STATISTICS]
    assert plain == ["float", *WITHOUT_STATISTICS]
    assert all(0 <= row["accuracy"] <= 1 for row in rows)
    assert {row["simulation"] for row in rows if "simulation" in row} == {"exact"}
    e = {row["relative_error"] for row in rows if "relative_error" in row}
    assert len(e) == 1
    assert e.pop() == pytest.approx(-0.0928, abs=1e-4)
    gains = {row["correction"]: row["gain"] for row in rows if row.get("gain") and row["network"] == "resnet8-w4"}
    assert gains.keys() == {"none", "analytic", "gain"}
    assert all(0.85 < gain < 0.95 for gain in gains.values())


def test_corrections_bring_accuracy_back(rows):
    """A multiplier that loses a tenth of every product costs accuracy; statistics estimated anew bring it back."""
    found = {row["correction"]: row["accuracy"] for row in rows if row["network"] == "resnet8-w4"}
    assert found["none"] < found["quantised, reestimated"]
    assert max(found["reestimate"], found["auto"]) > found["none"]


def test_an_interrupted_study_goes_on(tmp_path, images, rows):
    def stop(stage, done, in_all):
        if "analytic" in stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, images, networks=("lenet5", "resnet8-w4"), told=stop)
    assert 0 < len(Study.open(tmp_path, "inference", {}).rows) < len(rows)
    resumed = run(tmp_path, images)

    def values(row):
        return {name: value for name, value in row.items() if name != "correcting_time_s"}

    assert list(map(values, resumed)) == list(map(values, rows))
    with pytest.raises(StudyError, match="other settings"):
        Study.open(tmp_path, "inference", {"calibration": 2})


def test_recovered_is_relative_to_what_was_lost():
    subject = {"network": "n", "seed": 0, "multiplier": "m"}
    given = [{**subject, "correction": c, "accuracy": a} for c, a in (("quantised", 0.9), ("none", 0.5), ("auto", 0.8))]
    given.append({**subject, "multiplier": "harmless", "correction": "none", "accuracy": 0.9})
    given.append({**subject, "correction": "analytic", "accuracy": None, "reason": "zero points"})
    found = [row["recovered"] for row in accuracy_rows(given)]
    assert found == [pytest.approx(1), 0, pytest.approx(0.75), None, None]


def test_tables_and_picture(rows):
    layers = layer_rows(rows)
    assert {row["kind"] for row in layers} == {"conventional", "pointwise", "linear"}
    assert len(layers) == 10 + 5
    assert all("layers" not in row for row in accuracy_rows(rows))
    found = shares(layers)
    mine = [row["share"] for row in layers if (row["network"], row["kind"]) == ("lenet5", "linear")]
    entry = next(row for row in found if (row["network"], row["kind"]) == ("lenet5", "linear"))
    assert (entry["layers"], entry["share"]) == (3, pytest.approx(np.median(mine)))
    averages = means(rows)
    assert [row["network"] for row in averages] == ["resnet8-w4", "lenet5"]
    assert "separable" in averages[1]
    assert "analytic" not in averages[1]
    figure = plot_inference(averages, layers, "title")
    assert len(figure.axes) == 3
    assert len(figure.axes[0].containers) == 7


def test_corrections_that_do_not_apply_say_why(tmp_path, images):
    found = run(tmp_path, images, networks=("resnet8-w4",), multipliers=("mitchell8u",))
    analytic = next(row for row in found if row["correction"] == "analytic")
    assert analytic["accuracy"] is None
    assert "zero points" in analytic["reason"]
    assert next(row for row in found if row["correction"] == "gain")["accuracy"] is not None


@pytest.mark.slow
def test_wide_multipliers_run_by_surrogates(tmp_path, images):
    found = run(tmp_path, images, networks=("lenet5",), multipliers=("bfloat16s", "mitchell16s"))
    evidence = {row["multiplier"]: row["simulation"] for row in found if "simulation" in row}
    assert evidence["bfloat16s"] == "no difference in 262144 sampled pairs"
    assert evidence["mitchell16s"].startswith("approximate, ")


def test_the_command(tmp_path):
    folder = tmp_path / "out"
    sizes = ["--epochs", "1", "--calibration", "64", "--train-images", "128", "--test-images", "50"]
    arguments = ["study", "inference", "--network", "lenet5", "-m", "mitchell8s", *sizes, "--output", str(folder)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "separable" in shown.output
    assert {path.name for path in folder.iterdir()} >= {
        "results.csv", "results.json", "error_variance.csv", "error_variance.json", "inference.png", "settings.json",
    }  # fmt: skip
    again = CliRunner().invoke(app, [*arguments, "--json"])
    data = json.loads(again.stdout)
    assert [row["correction"] for row in data["rows"]] == ["float", *WITHOUT_STATISTICS]
    assert len(data["layers"]) == 5
    refused = CliRunner().invoke(app, [*arguments, "--calibration", "65"])
    assert refused.exit_code == 2
    assert "calibration is 64 there, 65 now" in refused.output.replace("\n", " ")
